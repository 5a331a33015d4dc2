package vault_test

import (
	"os"
	"testing"

	"github.com/keyferry/keyferry/internal/contract"
)

// TestSourceOnVault runs the suite on the Vault that test/servers started.
func TestSourceOnVault(t *testing.T) {
	address, token := os.Getenv("KEYFERRY_TEST_VAULT_ADDR"), os.Getenv("KEYFERRY_TEST_VAULT_TOKEN")
	if address == "" {
		t.Skip("KEYFERRY_TEST_VAULT_ADDR is not set")
	}
	contract.Source(t, func(*testing.T) contract.Vault { return contract.VaultOverHTTP(address, token, nil) })
}
