package vault_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

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

// TestSealedVault seals a Vault of its own.
func TestSealedVault(t *testing.T) {
	bin := os.Getenv("KEYFERRY_TEST_VAULT_BIN")
	if bin == "" {
		t.Skip("KEYFERRY_TEST_VAULT_BIN is not set")
	}
	address, token := startVault(t, bin)
	v := contract.VaultOverHTTP(address, token, nil)
	contract.SourceSealed(t, v, func() {
		if status, answer := v.Do(t, http.MethodPut, "sys/seal", ""); status/100 != 2 {
			t.Fatalf("seal: status %d, %s", status, answer)
		}
	})
}

// startVault starts a development server that ends with the test.
func startVault(t *testing.T, bin string) (address, token string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	token = rand.Text()
	ready, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	server := exec.Command(bin, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+token, "-dev-listen-address="+host)
	server.Env = []string{"HOME=" + t.TempDir()}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	for tick := time.Tick(20 * time.Millisecond); ; <-tick {
		resp, err := http.Get("http://" + host + "/v1/sys/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + host, token
			}
		}
		if ready.Err() != nil {
			t.Fatal("vault did not become ready")
		}
	}
}
