package vaultsync_test

import (
	"encoding/json"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/internal/contract"
	vaultemulator "github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
)

// server is a Vault to run scenarios on.
type server struct {
	name, address, root string
	clock               func() time.Time // to which the time is added that passes in the bubble
	reach               func(now func() time.Time) http.Handler
	logIn               func(r *rig, g contract.Grants) vault.Auth // that can be repeated
}

// emulated is a new Vault for each rig.
func emulated() server {
	return server{
		name: "emulator", address: "http://127.0.0.1:8200", root: "root",
		clock: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
		reach: func(now func() time.Time) http.Handler {
			return vaultemulator.New(vaultemulator.Options{
				Now: now, Logins: []vaultemulator.Login{{Type: "approle", Role: "sync", Policies: []string{"sync"}}},
			})
		},
		logIn: func(r *rig, g contract.Grants) vault.Auth {
			r.policy("sync", g)
			return vault.AppRole("", "sync", secret.New("made up"))
		},
	}
}

// servers are the emulated Vault and, where one was started, the real one. Call it outside of every bubble.
func servers() []server {
	all := []server{emulated()}
	if address := os.Getenv("KEYFERRY_TEST_VAULT_ADDR"); address != "" {
		way := realVault()
		all = append(all, server{
			name: "real", address: address, root: os.Getenv("KEYFERRY_TEST_VAULT_TOKEN"), clock: way.now,
			reach: func(func() time.Time) http.Handler { return way },
			logIn: func(r *rig, g contract.Grants) vault.Auth { return r.AppRole(r.t, g).Auth },
		})
	}
	return all
}

var realVault = sync.OnceValue(func() *outside { return newOutside(os.Getenv("KEYFERRY_TEST_VAULT_ADDR"), 64) })

// scenario runs a test on each Vault, at once, in a bubble of its own: time passes only where the test says so, or where
// everything waits for it.
func scenario(t *testing.T, run func(t *testing.T, r *rig)) {
	t.Helper()
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, s, run)
		})
	}
}

// onEmulator is scenario for what no Vault makes a difference to.
func onEmulator(t *testing.T, run func(t *testing.T, r *rig)) {
	t.Helper()
	inBubble(t, emulated(), run)
}

// inBubble is scenario for one Vault.
func inBubble(t *testing.T, s server, run func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, newRig(t, s)) })
}

// policy writes the grants down under a name.
func (r *rig) policy(name string, g contract.Grants) {
	r.t.Helper()
	rules := map[string]map[string][]string{}
	for path, capabilities := range g {
		rules[path] = map[string][]string{"capabilities": capabilities}
	}
	text, err := json.Marshal(map[string]any{"path": rules})
	r.must(err)
	body, err := json.Marshal(map[string]string{"policy": string(text)})
	r.must(err)
	if status, raw := r.Do(r.t, http.MethodPut, "sys/policies/acl/"+name, string(body)); status/100 != 2 {
		r.t.Fatalf("policy %s: status %d, %s", name, status, raw)
	}
}
