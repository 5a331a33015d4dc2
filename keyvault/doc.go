// Package keyvault speaks to the secrets of one Azure Key Vault. It is the only importer of azsecrets, and it keeps
// what the rest of Keyferry need not know: the names of the service's errors, when a call may be repeated, and how
// many writes a vault takes.
//
// A call passes the pipeline of the SDK in this order: pacer (the one place that repeats a call, and the write
// budget), the SDK's authentication, wire (checks and bounds what comes back). The SDK's own retries are off. Only
// Set knows more: a PUT is not idempotent, so after a lost answer it reads before it writes again.
//
// Errors name the operation and the secret and wrap a sentinel of package secret. They never hold a value, a URL, a
// header or a body.
package keyvault
