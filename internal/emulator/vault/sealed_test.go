package vault_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/keyferry/keyferry/internal/emulator/vault"
)

// TestSealed compares a sealed emulator with a sealed Vault of its own, when
// KEYFERRY_TEST_VAULT_BIN says where one is.
func TestSealed(t *testing.T) {
	const refused = `503 {"errors":["Vault is sealed"]}`
	want := map[string]string{
		"GET secret/data/x":            refused,
		"LIST secret/metadata":         refused,
		"GET sys/internal/ui/mounts":   refused,
		"GET sys/mounts":               refused,
		"GET auth/token/lookup-self":   refused,
		"POST auth/approle/login":      refused,
		"GET none/x":                   refused,
		"GET sys/health sealed":        "503 true",
		"GET sys/seal-status sealed":   "200 true",
		"GET sys/health version":       "503 1.21.0",
		"GET sys/health standby":       "503 true",
		"GET sys/health initialized":   "503 true",
		"GET sys/health enterprise":    "503 false",
		"GET sys/health cluster_name":  "503 ",
		"GET sys/seal-status progress": "200 0",
	}
	play := func(t *testing.T, addr string) {
		got := map[string]string{}
		for line := range want {
			fields := append(strings.Fields(line), "")
			status, body := ask(t, addr, fields[0], fields[1])
			if fields[2] != "" {
				body = field(t, body, fields[2])
			}
			got[line] = status + " " + strings.TrimSpace(body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	t.Run("emulator", func(t *testing.T) {
		v := vault.New(vault.Options{})
		v.Mount("secret", 2)
		server := httptest.NewServer(v)
		t.Cleanup(server.Close)
		v.Seal(true)
		play(t, server.URL)
		v.Seal(false)
		if status, _ := ask(t, server.URL, "GET", "sys/internal/ui/mounts/secret"); status != "200" {
			t.Errorf("unsealed, the mount answers %s", status)
		}
	})
	t.Run("vault", func(t *testing.T) {
		bin := os.Getenv("KEYFERRY_TEST_VAULT_BIN")
		if bin == "" {
			t.Skip("KEYFERRY_TEST_VAULT_BIN is not set")
		}
		addr := private(t, bin)
		if status, body := ask(t, addr, "PUT", "sys/seal"); status != "204" {
			t.Fatalf("seal: %s %s", status, body)
		}
		play(t, addr)
	})
}

// private starts a Vault in dev mode that ends with the test.
func private(t *testing.T, bin string) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), bin, "server", "-dev", "-dev-no-store-token", "-dev-listen-address="+listen, "-dev-root-token-id=root")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	addr = "http://" + listen
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		resp, err := http.Get(addr + "/v1/sys/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return addr
			}
		}
	}
	t.Fatal("the private Vault does not answer")
	return ""
}

func ask(t *testing.T, addr, method, path string) (status, body string) {
	req, err := http.NewRequest(method, addr+"/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", "root")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status[:3], string(text)
}

// field is one field of a JSON object as text, "" when absent.
func field(t *testing.T, body, name string) string {
	var object map[string]any
	if err := json.Unmarshal([]byte(body), &object); err != nil {
		t.Fatal(err)
	}
	if object[name] == nil {
		return ""
	}
	return fmt.Sprint(object[name])
}
