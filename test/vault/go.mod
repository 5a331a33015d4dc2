// Module vault only pins which HashiCorp Vault the tests run against. It holds
// no code: test/servers builds github.com/hashicorp/vault from here, with
// -tags minimal (no UI, no cloud plugins), and keeps the binary in .cache.
module github.com/keyferry/keyferry/test/vault

go 1.26.0

require github.com/hashicorp/vault v1.21.0

// Vault replaces its sdk by the folder beside it, which a module that depends on
// Vault does not inherit. v0.20.0 is that folder's release.
replace github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.20.0
