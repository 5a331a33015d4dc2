package dev

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/keyferry/keyferry/internal/emulator/keyvault"
)

// rotated is the secret of the story that comes near its expiry.
const rotated = "session-signing-key"

// changed is the secret of the story that changes in Vault.
const changed = "secret/data/webapp/prod/db-password"

// seedVault fills the emulated Vault the way people do, over its API. It holds what a real one holds: two KV versions,
// one field and several, odd paths, and some whose names are taken.
func (s *stage) seedVault(ctx context.Context) error {
	s.vault.Mount("secret", 2)
	s.vault.Mount("legacy", 1)
	text := rand.Text
	for _, w := range []struct {
		method, path string
		body         any
	}{
		{"POST", "secret/data/webapp/prod/db-password", data{"password": text()}},
		{"POST", "secret/data/webapp/prod/smtp", data{"host": "smtp.example.com", "port": 587, "password": text()}},
		{"POST", "secret/data/webapp/prod/api keys/stripe", data{"key": "sk_test_" + text()}},
		{"POST", "secret/data/webapp/test/db-password", data{"password": text()}},
		{"POST", "secret/data/billing/oauth", data{"client_id": "billing", "client_secret": text(), "scopes": []string{"read", "write"}}},
		{"POST", "secret/data/billing/webhook-token", data{"token": text()}},
		{"POST", "secret/data/shared/naïve café", data{"value": text()}},
		{"POST", "secret/data/shared", data{"note": "a name that is a folder too"}},
		{"POST", "secret/data/app/a_b", data{"token": text()}},
		{"POST", "secret/data/app/a-b", data{"token": text()}},
		{"PUT", "legacy/mainframe/ftp", map[string]any{"user": "batch", "password": text()}},
		{"PUT", "legacy/mainframe/pin", map[string]any{"pin": 1.10}},
	} {
		if w.method == "POST" {
			w.body = map[string]any{"data": w.body}
		}
		if err := s.writeVault(ctx, w.method, w.path, w.body); err != nil {
			return err
		}
	}
	return nil
}

type data = map[string]any

// writeVault is one call to the emulated Vault.
func (s *stage) writeVault(ctx context.Context, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, s.vaultURL, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.URL.Path = "/v1/" + path
	r.Header.Set("X-Vault-Token", s.vaultToken)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("seed %q in the emulated Vault: status %d", path, a.StatusCode)
	}
	return nil
}

// seedKeyVault puts in what Key Vault had before: a secret at home there and 20 days from its expiry, and one that a
// person made.
func (s *stage) seedKeyVault() error {
	now := time.Now()
	return s.keyVault.Seed(
		keyvault.Secret{Name: rotated, Versions: []keyvault.Version{{
			Value: rand.Text(), ContentType: "text/plain", Created: now.Add(-70 * 24 * time.Hour), Expires: now.Add(20 * 24 * time.Hour),
			Tags: map[string]string{"rotation-type": "generated", "team": "identity"},
		}}},
		keyvault.Secret{Name: "billing-webhook-token", Versions: []keyvault.Version{{
			Value: rand.Text(), Created: now.Add(-400 * 24 * time.Hour), Tags: map[string]string{"made-by": "hand"},
		}}},
	)
}

// configuration is the keyferry.yaml of the run.
func (s *stage) configuration(roots string) string {
	rules := `
    - {name: app, mount: secret}
    - {name: legacy, mount: legacy}`
	if s.options.Vault != "" {
		rules = fmt.Sprintf("\n    - {name: all, mount: %q}", s.options.Mount)
	}
	return fmt.Sprintf(`vault:
  address: %q
  auth: {method: token}
keyVault:
  url: %q
  caCert: %q
state:
  url: memory
sync:
  rules:%s
rotation:
  targets:
    - {name: signing-keys, type: generated, secrets: [%q], params: {length: 48}}
`, s.vaultURL, s.keyVaultURL, roots, rules, rotated)
}
