// Package state keeps what Keyferry must remember between runs and what keeps runs apart: small records that are
// changed by compare-and-swap, and leases that fence.
//
// Two stores offer the same methods: Blob, a container of an Azure storage account, and Memory, which forgets all
// when the process ends and serves keyferry dev and tests. internal/contract holds the suite both must pass.
//
// A record holds no secret value. A lease keeps two runs from working at once as long as clocks run and the network
// answers; what must hold even then is guarded by the ETag of a record.
package state
