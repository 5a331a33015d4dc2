// Package vault reads HashiCorp Vault, and writes to it where a rotated secret is to go back: it implements the source
// port of package vaultsync on KV version 1 and 2, logs in, and is the only importer of Vault's API module.
//
// What it guarantees above the wire:
//   - No environment variable steers it. Vault's API module reads about twenty (facts/vault-sync.md A12); everything
//     here comes from Options.
//   - Absence is proven. An empty or missing folder, a missing secret, a missing mount and a mount of the other KV
//     version all answer 404; each gets its own result, and before "not found" is said the mount is looked up once
//     more and compared with the one the caller holds.
//   - A path is sent as it is or refused. The API module cleans paths, so that "x/../up" would read "up".
//   - Calls are retried here and nowhere else, a few times, with jitter, within the context. A write whose answer was
//     lost is looked for before it is repeated.
//   - A write succeeds exactly the version the caller names, by check-and-set, or changes nothing.
//   - Errors name the operation, the path and the mount. They hold no URL, token, header or text of an answer.
//
// Besides logging in, WriteField and WriteObject are all that changes anything in Vault.
package vault
