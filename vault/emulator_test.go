package vault_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	emulator "github.com/keyferry/keyferry/internal/emulator/vault"

	"github.com/keyferry/keyferry/internal/contract"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
)

// TestSourceOnEmulator runs the suite on the emulator.
func TestSourceOnEmulator(t *testing.T) {
	contract.Source(t, func(t *testing.T) contract.Vault { v, _ := emulated(t); return v })
	t.Run("OpenBao", func(t *testing.T) {
		contract.Source(t, func(t *testing.T) contract.Vault {
			v, _ := emulated(t, func(o *emulator.Options) { o.OpenBao = true })
			v.OpenBao = true
			return v
		})
	})
	t.Run("sealed", func(t *testing.T) {
		v, server := emulated(t)
		contract.SourceSealed(t, v, func() { server.Seal(true) })
	})
}

// emulated starts an emulator with both log-ins, whose tokens have the policy "sync".
func emulated(t *testing.T, edits ...func(*emulator.Options)) (contract.Vault, *emulator.Server) {
	t.Helper()
	root, role, proof := rand.Text(), rand.Text(), rand.Text()
	verify := func(given string) error {
		if given != proof {
			return errors.New("invalid proof")
		}
		return nil
	}
	o := emulator.Options{RootToken: root, Logins: []emulator.Login{
		{Type: "approle", Role: role, Verify: verify, Policies: []string{"sync"}},
		{Type: "jwt", Role: role, Verify: verify, Policies: []string{"sync"}},
	}}
	for _, edit := range edits {
		edit(&o)
	}
	server := emulator.New(o)
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	seen := &tokens{}
	v := contract.VaultOverHTTP(web.URL, root, seen)
	method := func(auth func(proof string) vault.Auth) func(*testing.T, contract.Grants) contract.Login {
		return func(t *testing.T, g contract.Grants) contract.Login {
			server.Policy("sync", g)
			return contract.Login{Auth: auth(proof), Wrong: auth("wrong"), Secrets: []string{proof}, Revoke: func(*testing.T) {
				for _, token := range seen.all() {
					if token != root {
						server.Revoke(token)
					}
				}
			}}
		}
	}
	v.AppRole = method(func(proof string) vault.Auth { return vault.AppRole("", role, secret.New(proof)) })
	v.JWT = method(func(proof string) vault.Auth {
		return vault.JWT("", role, func(context.Context) (secret.Value, error) { return secret.New(proof), nil })
	})
	return v, server
}

// tokens remembers the tokens that calls carry.
type tokens struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *tokens) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[req.Header.Get("X-Vault-Token")] = true
	s.mu.Unlock()
	return http.DefaultTransport.RoundTrip(req)
}

func (s *tokens) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for token := range s.seen {
		all = append(all, token)
	}
	return all
}
