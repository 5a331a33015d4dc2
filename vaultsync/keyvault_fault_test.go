package vaultsync_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

const internalError = `{"error":{"code":"InternalServerError","message":"Internal server error"}}`

// TestKeyVaultRefuses: whatever Key Vault answers instead of doing its work, nothing is half-written or written
// twice, each secret is told with a code or the run ends with one, and when Key Vault is well again the next run does
// the rest.
func TestKeyVaultRefuses(t *testing.T) {
	rbac := instead(kvemulator.ForbiddenByRBAC("setSecret"))
	for what, c := range map[string]struct {
		trouble trouble
		end     error  // of the run
		code    string // of each secret, "" when the run ends before them
	}{
		"401 at the listing":              {every("list", instead(kvemulator.TokenExpired())), secret.ErrUnauthorized, ""},
		"401 at the writes":               {every(http.MethodPut, instead(kvemulator.TokenExpired())), secret.ErrUnauthorized, ""},
		"401 for another audience":        {every("list", instead(kvemulator.InvalidAudience("https://management.azure.com"))), secret.ErrUnauthorized, ""},
		"403 no role to list":             {every("list", instead(kvemulator.ForbiddenByRBAC("readMetadata"))), secret.ErrForbidden, ""},
		"403 no role to read":             {every(http.MethodGet, instead(kvemulator.ForbiddenByRBAC("getSecret"))), secret.ErrForbidden, ""},
		"403 no role to set":              {every(http.MethodPut, rbac), secret.ErrPartial, "forbidden"},
		"403 access policy":               {every(http.MethodPut, instead(kvemulator.AccessDenied("set"))), secret.ErrPartial, "forbidden"},
		"403 firewall":                    {every("list", instead(kvemulator.ForbiddenByFirewall())), secret.ErrForbidden, ""},
		"403 firewall closed mid-run":     {from(http.MethodPut, 3, instead(kvemulator.ForbiddenByFirewall())), secret.ErrPartial, "forbidden"},
		"403 public access off":           {every("list", instead(kvemulator.ForbiddenByConnection())), secret.ErrForbidden, ""},
		"403 Azure Policy":                {every(http.MethodPut, answer(403, `{"error":{"code":"Forbidden","message":"denied by policy","innererror":{"code":"ForbiddenByPolicy"}}}`)), secret.ErrPartial, "forbidden"},
		"404 from a proxy":                {every("list", answer(404, "<html>")), secret.ErrUnavailable, ""},
		"409 being deleted, for long":     {every(http.MethodPut, answer(409, `{"error":{"code":"Conflict","message":"m","innererror":{"code":"ObjectIsBeingDeleted"}}}`)), secret.ErrPartial, "busy"},
		"409 being recovered, for long":   {every(http.MethodPut, answer(409, `{"error":{"code":"Conflict","message":"m","innererror":{"code":"ObjectIsBeingRecovered"}}}`)), secret.ErrPartial, "busy"},
		"409 of a kind nobody knows":      {every(http.MethodPut, answer(409, `{"error":{"code":"Conflict","message":"m"}}`)), secret.ErrPartial, "conflict"},
		"429 for ever":                    {every(http.MethodPut, instead(kvemulator.Throttled(0))), secret.ErrPartial, "throttled"},
		"500 at the listing":              {every("list", answer(500, internalError)), secret.ErrUnavailable, ""},
		"500 at the second page":          {from("list", 2, answer(500, internalError)), secret.ErrUnavailable, ""},
		"500 at every write":              {every(http.MethodPut, answer(500, internalError)), secret.ErrPartial, "unavailable"},
		"503 everywhere after a while":    {from(http.MethodPut, 5, answer(503, internalError)), errAny, ""},
		"unreachable after a while":       {from(http.MethodPut, 5, faults.ResetBefore()), errAny, ""},
		"an answer that is not its own":   {every("list", answer(200, `{"value":[{"id":7}]}`)), secret.ErrUnavailable, ""},
		"a body that is cut off":          {every("list", answer(200, `{"value":[`)), secret.ErrUnavailable, ""},
		"a link to another host":          {every("list", answer(200, `{"value":[],"nextLink":"https://elsewhere.example/secrets?x=1"}`)), errAny, ""},
		"a redirect":                      {every(http.MethodPut, answer(307, "")), errAny, ""},
		"a secret that is not what it is": {every(http.MethodPut, answer(200, `{"id":"https://kv1.vault.azure.net/secrets/other/0123","attributes":{"enabled":true,"created":1,"updated":1}}`)), errAny, ""},
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			t.Parallel()
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				names := m.estate(26) // more than a page
				r.sync(nil)
				for _, path := range []string{"team0/s1", "team1/s11", "team2/s21"} {
					m.put(path, `{"password":"changed"}`)
				}
				for i := range 10 {
					m.put(fmt.Sprintf("new/s%d", i), fmt.Sprintf(`{"password":"new %d"}`, i))
					names = append(names, fmt.Sprintf("new-s%d", i))
				}
				r.toKeyVault.meet(c.trouble)
				report, err := r.engine().Sync(t.Context(), vaultsync.Scope{})
				if !errors.Is(err, c.end) && !(c.end == errAny && err != nil) {
					t.Fatalf("ended with %v, want %v: %q", err, c.end, lines(report))
				}
				for _, item := range report.Items {
					if item.Verb == vaultsync.Failed && c.code != "" && string(item.Reason) != c.code {
						t.Errorf("%s failed by %s, want %s: %s", item.Name, item.Reason, c.code, item.Text)
					}
				}
				if c.code != "" && report.Counts[vaultsync.Failed] == 0 {
					t.Error("nothing failed")
				}
				r.whole(names)

				r.toKeyVault.meet(nil)
				r.pass(time.Minute)
				r.sync(nil)
				r.settled()
				r.whole(names)
				for _, name := range []string{"team0-s1", "team1-s11", "team2-s21"} {
					r.holds(name, "changed", 2)
				}
				for i := range 10 {
					r.holds(fmt.Sprintf("new-s%d", i), fmt.Sprintf("new %d", i), 1)
				}
			})
		})
	}
}

// errAny stands for some error.
var errAny = errors.New("some error")

// whole checks that every version in Key Vault is one of the names' and has its tags, content type and expiry.
func (r *rig) whole(names []string) {
	r.t.Helper()
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	for _, s := range r.store.Secrets() {
		if secret.Own(s.Name) {
			continue
		}
		if !known[s.Name] {
			r.t.Errorf("%s is in Key Vault and not in Vault", s.Name)
		}
		for _, v := range s.Versions {
			for _, tag := range []string{secret.TagMigratedFrom, secret.TagVaultPath, secret.TagVaultState, secret.TagVaultHash, secret.TagAuthority, secret.TagMigrationDate} {
				if v.Tags[tag] == "" {
					r.t.Errorf("a version of %s has no tag %s", s.Name, tag)
				}
			}
			if v.ContentType == "" || v.Expires.IsZero() || v.Disabled {
				r.t.Errorf("a version of %s is half-written", s.Name)
			}
		}
	}
}

// TestKeyVaultStumbles: a fault that passes costs time and nothing else, and no version too many, also where the answer
// to a write that was done is lost.
func TestKeyVaultStumbles(t *testing.T) {
	busy := func(kind string) faults.Fault {
		return answer(409, `{"error":{"code":"Conflict","message":"m","innererror":{"code":"`+kind+`"}}}`)
	}
	for what, trouble := range map[string]trouble{
		"429 once":                       once(http.MethodPut, 2, instead(kvemulator.Throttled(0))),
		"429 once, with Retry-After":     once(http.MethodPut, 2, instead(kvemulator.Throttled(7*time.Second))),
		"429 at the listing":             once("list", 1, instead(kvemulator.Throttled(0))),
		"429 at a patch":                 once(http.MethodPatch, 1, instead(kvemulator.Throttled(0))),
		"500 at a write":                 once(http.MethodPut, 2, answer(500, internalError)),
		"500 at the listing":             once("list", 2, answer(500, internalError)),
		"500 at a patch":                 once(http.MethodPatch, 1, answer(500, internalError)),
		"409 being deleted":              once(http.MethodPut, 2, busy("ObjectIsBeingDeleted")),
		"409 being recovered":            once(http.MethodPut, 2, busy("ObjectIsBeingRecovered")),
		"reset before a write":           once(http.MethodPut, 2, faults.ResetBefore()),
		"reset after a write":            once(http.MethodPut, 2, faults.ResetAfter()),
		"reset after every first create": resetFirst(http.MethodPut),
		"reset after a patch":            once(http.MethodPatch, 1, faults.ResetAfter()),
		"reset at the listing":           once("list", 2, faults.ResetAfter()),
		"reset at a read":                once(http.MethodGet, 2, faults.ResetAfter()),
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			t.Parallel()
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				m.estate(30)
				r.sync(nil)
				m.put("team0/s1", `{"password":"changed"}`)
				m.put("team0/s2", `{"password":"value of 2"}`)
				m.put("new/s1", `{"password":"new"}`)
				r.toKeyVault.meet(trouble)
				r.wants(r.sync(nil), "create new-s1 new", "retag team0-s2 equal-value", "update team0-s1 source-changed", "unchanged 28")
				r.toKeyVault.meet(nil)
				r.holds("team0-s1", "changed", 2)
				r.holds("team0-s2", "value of 2", 1)
				r.holds("new-s1", "new", 1)
				r.settled()
			})
		})
	}
}

// resetFirst loses the answer to the first call of the kind for each path.
func resetFirst(kind string) trouble {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(call string, r *http.Request) faults.Fault {
		mu.Lock()
		defer mu.Unlock()
		if call != kind || seen[r.URL.Path] {
			return nil
		}
		seen[r.URL.Path] = true
		return faults.ResetAfter()
	}
}

// TestWriteBudget: a first copy of 1,000 secrets stays under Key Vault's limit of 300 creates in ten seconds by itself,
// and takes no longer than that asks for.
func TestWriteBudget(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(1000)
		began := time.Now()
		report := r.sync(nil)
		if took := time.Since(began); took > 40*time.Second || took < 30*time.Second {
			t.Errorf("1,000 creates took %s, want 34 s and little more", took)
		}
		if puts := r.toKeyVault.counted()["PUT"]; report.Counts[vaultsync.Create] != 1000 || puts != 1000+1 {
			t.Errorf("created %d in %d calls, want one for each and one for the hash key", report.Counts[vaultsync.Create], puts)
		}
	})
}

// TestKeyVaultThrottles: another writer uses the budget up; the run waits for its turn and ends well.
func TestKeyVaultThrottles(t *testing.T) {
	for _, header := range []bool{false, true} {
		t.Run(fmt.Sprintf("Retry-After_%v", header), func(t *testing.T) {
			t.Parallel()
			onEmulator(t, func(t *testing.T, r *rig) {
				r.store = kvemulator.New(kvemulator.Options{Now: r.now, CreateLimit: 40, RetryAfter: header})
				m := r.mount(2)
				names := m.estate(120)
				report := r.sync(nil)
				if diff := cmp.Diff(map[vaultsync.Verb]int{vaultsync.Create: len(names)}, report.Counts); diff != "" {
					t.Errorf("counts (-want +got)\n%s", diff)
				}
				r.whole(names)
				for _, s := range r.store.Secrets() {
					if len(s.Versions) != 1 {
						t.Errorf("%s has %d versions", s.Name, len(s.Versions))
					}
				}
			})
		})
	}
}
