// Package vaultsync copies secrets from HashiCorp Vault KV to Azure Key Vault, again and again, through the dual-run
// period of a migration.
//
// A run lists the destination, walks the source, gives every secret its name, decides what to do with each and does
// it. Deciding is pure: decide takes what is known of one secret and answers with a verb and a reason, or with what
// it must still know; the engine fetches just that and asks again. So a run that finds nothing to do reads metadata
// only, and no value.
//
// The tags of the destination are the only state. A run that is cut off anywhere leaves nothing half-written, and
// the next one does what is missing.
//
// One thing goes the other way: WriteBack returns a value that was rotated in Key Vault to where it was copied from.
package vaultsync
