package vault_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/keyferry/keyferry/internal/emulator/vault"
)

var record = flag.Bool("record", false, "write testdata/exchanges.txt anew from the real Vault")

const exchanges = "testdata/exchanges.txt"

// TestExchanges plays testdata/exchanges.txt against the emulator and, when
// KEYFERRY_TEST_VAULT_ADDR is set, against the real Vault: the same requests
// must get the same answers. The answers in the file were recorded from Vault
// 1.21.0 by go test -run TestExchanges -record. The file explains its format.
func TestExchanges(t *testing.T) {
	text, err := os.ReadFile(exchanges)
	if err != nil {
		t.Fatal(err)
	}
	header, sections := parse(string(text))
	run := strings.ToLower(rand.Text()[:10])
	logins := map[string]string{"{approle}": "kf-" + run + "-approle", "{jwt}": "kf-" + run + "-jwt"}
	if *record {
		addr := os.Getenv("KEYFERRY_TEST_VAULT_ADDR")
		if addr == "" {
			t.Fatal("-record needs KEYFERRY_TEST_VAULT_ADDR")
		}
		enableLogins(t, addr, os.Getenv("KEYFERRY_TEST_VAULT_TOKEN"), logins)
		out := header
		for _, s := range sections {
			played, err := s.play(addr, os.Getenv("KEYFERRY_TEST_VAULT_TOKEN"), logins)
			if err != nil {
				t.Fatalf("%s: %v", s.title, err)
			}
			out += played
		}
		if err := os.WriteFile(exchanges, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Run("emulator", func(t *testing.T) {
		server := httptest.NewServer(vault.New(vault.Options{RootToken: "root", Logins: []vault.Login{
			{Type: "approle", Path: logins["{approle}"], Role: "known-role", Policies: []string{"reader"}, TTL: 20 * time.Minute, Verify: accept("known-secret")},
			{Type: "jwt", Path: logins["{jwt}"], Role: "known-role", Verify: accept("known-jwt")},
		}}))
		t.Cleanup(server.Close)
		playAll(t, sections, server.URL, "root", logins)
	})
	t.Run("vault", func(t *testing.T) {
		addr := os.Getenv("KEYFERRY_TEST_VAULT_ADDR")
		if addr == "" {
			t.Skip("KEYFERRY_TEST_VAULT_ADDR is not set")
		}
		enableLogins(t, addr, os.Getenv("KEYFERRY_TEST_VAULT_TOKEN"), logins)
		playAll(t, sections, addr, os.Getenv("KEYFERRY_TEST_VAULT_TOKEN"), logins)
	})
}

func accept(want string) func(string) error {
	return func(got string) error {
		if got != want {
			return errors.New("not the one")
		}
		return nil
	}
}

// enableLogins gives the real Vault the log-ins that the emulator has by options.
func enableLogins(t *testing.T, addr, token string, logins map[string]string) {
	p := &player{addr: addr, token: token, names: logins, times: map[string]string{}}
	t.Cleanup(func() {
		for name := range logins {
			_, _ = p.send(request{method: "DELETE", path: "sys/auth/" + name})
		}
	})
	for _, r := range []request{
		{method: "POST", path: "sys/auth/{approle}", body: `{"type":"approle"}`},
		{method: "POST", path: "auth/{approle}/role/role", body: `{"token_policies":["reader"],"token_ttl":"20m"}`},
		{method: "POST", path: "auth/{approle}/role/role/role-id", body: `{"role_id":"known-role"}`},
		{method: "POST", path: "auth/{approle}/role/role/custom-secret-id", body: `{"secret_id":"known-secret"}`},
		{method: "POST", path: "sys/auth/{jwt}", body: `{"type":"jwt"}`},
		{method: "POST", path: "auth/{jwt}/config", body: `{"jwt_validation_pubkeys":[` + strconv.Quote(publicKey(t)) + `]}`},
		{method: "POST", path: "auth/{jwt}/role/known-role", body: `{"role_type":"jwt","user_claim":"sub","bound_audiences":["any"]}`},
	} {
		if got, err := p.send(r); err != nil || !strings.HasPrefix(got, "20") {
			t.Fatalf("%s %s: %s %v", r.method, r.path, got, err)
		}
	}
}

// publicKey is one that nobody signs with.
func publicKey(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func playAll(t *testing.T, sections []section, addr, token string, logins map[string]string) {
	for _, s := range sections {
		t.Run(s.title, func(t *testing.T) {
			t.Parallel()
			played, err := s.play(addr, token, logins)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff.Diff(s.text, played); d != "" {
				t.Errorf("want -, got +\n%s", d)
			}
		})
	}
}
