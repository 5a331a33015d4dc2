package cli

import (
	"log/slog"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
)

// syncFailure is a row: trouble while the sync runs, what the timer's host, people and the caller of ForceSync are told.
type syncFailure struct {
	name  string
	begin func(*rig)
	end   func(*rig) // besides ending the trouble on the roads; nil: nothing

	first, later bool // makes sense for the first sync only, for later ones only

	status int // of the timer's invocation
	alert  string
	level  slog.Level
	force  int  // of ForceSync, under the same trouble
	healed bool // that ForceSync finds nothing left to do
}

// atKeyVault is trouble on the road to Key Vault, atVault on that to Vault.
func atKeyVault(t trouble) func(*rig) { return func(r *rig) { r.azure.meet(t) } }
func atVault(t trouble) func(*rig)    { return func(r *rig) { r.hashi.meet(t) } }

// doing runs something when the n-th request of a kind comes, and lets the request pass.
func doing(n int, method, path string, what func(*http.Request)) trouble {
	return times(1, from(n, on(method, path, func(req *http.Request, pass func() *http.Response) (*http.Response, error) {
		what(req)
		return pass(), nil
	})))
}

// syncFailures is every trouble that Vault and Key Vault can make for a sync.
func syncFailures() []syncFailure {
	get, put := http.MethodGet, http.MethodPut
	const walk, data = "/v1/secret/metadata/", "/v1/secret/data/"
	const copied = "/secrets/app-db"
	garbage := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>maintenance")) })
	seal := func(r *rig) func(*http.Request) { return func(*http.Request) { r.vault.Seal(true) } }
	unseal := func(r *rig) { r.vault.Seal(false) }
	rows := []syncFailure{
		{name: "Vault sealed", begin: func(r *rig) { r.vault.Seal(true) }, end: unseal, status: 500, alert: syncFailed, level: slog.LevelError, force: 503},
		{name: "Vault sealed mid-walk", begin: func(r *rig) { r.hashi.meet(doing(2, get, walk, seal(r))) }, end: unseal, status: 500, alert: syncFailed, level: slog.LevelError, force: 503},
		{name: "Vault sealed between reads", begin: func(r *rig) { r.hashi.meet(doing(1, get, data, seal(r))) }, end: unseal, status: 500, alert: syncFailed, level: slog.LevelError, force: 503},
		{name: "Vault token expired mid-walk", begin: func(r *rig) { r.hashi.meet(doing(2, get, walk, r.revoke)) }, status: 200, level: slog.LevelInfo, force: 200},
		{name: "Vault token expired between reads", begin: func(r *rig) { r.hashi.meet(doing(1, get, data, r.revoke)) }, status: 200, level: slog.LevelInfo, force: 200},
		{name: "Vault token expired mid-walk, log-in refused", begin: func(r *rig) {
			r.hashi.meet(doing(2, get, walk, func(req *http.Request) { r.revoke(req); r.shut.Store(true) }))
		}, end: func(r *rig) { r.shut.Store(false) }, status: 500, alert: syncFailed, level: slog.LevelError, force: 502},
		{name: "mount missing", begin: func(r *rig) { r.vault.Unmount("legacy") }, end: func(r *rig) {
			r.vault.Mount("legacy", 1)
			r.refill("legacy")
		}, status: 200, alert: incomplete, level: slog.LevelError, force: 200},
		{name: "policy narrowed: reads", begin: func(r *rig) {
			r.vault.Policy("reader", map[string][]string{"secret/data/app/prod/*": {"read"}, "secret/metadata/*": {"list"}, "legacy/*": {"read", "list"}})
		}, end: func(r *rig) { r.vault.Policy("reader", readerPolicy) }, status: 200, alert: incomplete, level: slog.LevelError, force: 200},
		{name: "policy narrowed: a folder", begin: func(r *rig) {
			p := maps.Clone(readerPolicy)
			p["secret/metadata/app/prod/*"] = []string{"deny"}
			r.vault.Policy("reader", p)
		}, end: func(r *rig) { r.vault.Policy("reader", readerPolicy) }, status: 200, alert: incomplete, level: slog.LevelError, force: 200},
		{name: "policy narrowed: everything", begin: func(r *rig) { r.vault.Policy("reader", nil) },
			end: func(r *rig) { r.vault.Policy("reader", readerPolicy) }, status: 200, alert: incomplete, level: slog.LevelError, force: 200},

		{name: "Key Vault 404 of a proxy", begin: atKeyVault(on(get, "/secrets", instead(status(404)))), status: 500, alert: syncFailed, level: slog.LevelError, force: 503},
		{name: "Key Vault 409 deleted, for the hash key", first: true, begin: atKeyVault(on(put, "/secrets/keyferry--", instead(deletedFault))), status: 200, alert: syncFailed, level: slog.LevelError, force: 409},
		{name: "Key Vault 409 deleted", begin: atKeyVault(on(put, copied, instead(deletedFault))), status: 200, alert: conflict, level: slog.LevelWarn, force: 200},
		{name: "Key Vault 409 being deleted", begin: atKeyVault(on(put, copied, instead(deletingFault))), status: 200, alert: incomplete, level: slog.LevelError, force: 200},
		{name: "Key Vault 409 being deleted, and over", begin: atKeyVault(times(3, on(put, copied, instead(deletingFault)))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault 409 being recovered", begin: atKeyVault(on(put, copied, instead(recoveringFault))), status: 200, alert: incomplete, level: slog.LevelError, force: 200},
		{name: "Key Vault 409 of another kind", begin: atKeyVault(on(put, copied, instead(otherConflict))), status: 200, alert: incomplete, level: slog.LevelError, force: 200},
		{name: "Key Vault 403 managed", begin: atKeyVault(on(put, copied, instead(managedFault))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault 429 that passes", begin: atKeyVault(times(4, on("", "/secrets", instead(keyvault.Throttled(0))))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault 429 with Retry-After that passes", begin: atKeyVault(times(3, on("", "/secrets", instead(keyvault.Throttled(20*time.Second))))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault 500 that passes", begin: atKeyVault(times(2, on("", "/secrets", instead(serverError)))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault reset after the commit", begin: atKeyVault(times(1, on(put, copied, resetAfter))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault 500 after the commit", begin: atKeyVault(times(1, on(put, copied, after(serverError)))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault reset after the commit of the hash key", first: true, begin: atKeyVault(times(1, on(put, "/secrets/keyferry--", resetAfter))), status: 200, level: slog.LevelInfo, force: 200},
		{name: "Key Vault reset after the commit, and unreadable since", first: true,
			begin: atKeyVault(each(on(put, copied, resetAfter), on(get, copied, resetBefore))), status: 200, alert: incomplete, level: slog.LevelError, force: 200, healed: true},
	}
	for _, f := range refused {
		force := 503
		if f.fault.Status == 401 || f.fault.Status == 403 {
			force = 502
		}
		rows = append(rows, syncFailure{name: "Key Vault " + f.name + " to GET", begin: atKeyVault(on(get, "/secrets", instead(f.fault))),
			status: 500, alert: syncFailed, level: slog.LevelError, force: force})
		rows = append(rows, syncFailure{name: "Key Vault " + f.name + " to PUT", first: true, begin: atKeyVault(on(put, "/secrets", instead(f.fault))),
			status: 500, alert: syncFailed, level: slog.LevelError, force: force})
		// In later syncs each write stands for itself: unless nobody is let in any more, the rest goes on.
		later := syncFailure{name: "Key Vault " + f.name + " to one PUT", later: true, begin: atKeyVault(on(put, copied, instead(f.fault))),
			status: 200, alert: incomplete, level: slog.LevelError, force: 200}
		if f.fault.Status == 401 {
			later.status, later.alert, later.force = 500, syncFailed, 202
		}
		rows = append(rows, later)
	}
	for _, v := range []struct {
		name  string
		fate  fate
		times int // after which it passes
	}{
		{"429", instead(status(429)), 2}, {"500", instead(status(500)), 2}, {"502 of a proxy", instead(status(502)), 2},
		{"200 of a proxy", instead(garbage), 0}, {"redirect", instead(http.RedirectHandler("https://other.example.com/", http.StatusTemporaryRedirect)), 0},
		{"reset", resetBefore, 2}, {"hangs", hang, 0},
	} {
		rows = append(rows, syncFailure{name: "Vault " + v.name, begin: atVault(on("", "/v1/", v.fate)), status: 500, alert: syncFailed, level: slog.LevelError, force: 503})
		if v.times > 0 {
			rows = append(rows, syncFailure{name: "Vault " + v.name + " that passes", begin: atVault(times(v.times, on("", "/v1/", v.fate))), status: 200, level: slog.LevelInfo, force: 200})
		}
	}
	return rows
}

// revoke ends the token a request came with.
func (r *rig) revoke(req *http.Request) { r.vault.Revoke(req.Header.Get("X-Vault-Token")) }

// play runs the row from both states a sync may meet: an empty Key Vault, and one that is in step but for one secret.
func (f syncFailure) play(r *rig, steady bool) {
	r.seedKeyVault(aged("session-key", generated()), keyvault.Secret{Name: "foreign", Versions: []keyvault.Version{{Value: awkward()}}})
	versions := map[string]int{}
	if steady {
		r.answers200("first sync", r.tick())
		r.change("secret", "app/db", "password")
		versions["app-db"] = 2
		r.unharmed()
		r.listen()
	}
	f.begin(r)
	r.answersWith("under trouble", r.tick(), f.status)
	r.expect("under trouble", f.alert, f.level)
	r.unharmed()
	r.answersWith("forced under trouble", r.force(`{}`), f.force)
	r.unharmed()

	r.azure.meet(nil)
	r.hashi.meet(nil)
	if f.end != nil {
		f.end(r)
	}
	time.Sleep(15 * time.Minute)
	r.listen()
	r.answers200("next occurrence", r.tick())
	after := ""
	if (f.alert == syncFailed || f.alert == incomplete) && !f.healed {
		after = string(alert.SyncRecovered)
	}
	r.expect("next occurrence", after, slog.LevelInfo)
	r.synced(versions)
	r.listen()
	r.answers200("one more", r.tick())
	r.expect("one more", "", slog.LevelInfo)
	r.synced(versions)
	r.unharmed()
}

func TestSyncUnderTrouble(t *testing.T) { playAll(t, syncsUnderTrouble()) }

func syncsUnderTrouble() (scenes []scene) {
	for _, f := range syncFailures() {
		if !f.later {
			scenes = append(scenes, scene{f.name + ", first sync", func(r *rig) { f.play(r, false) }})
		}
		if !f.first {
			scenes = append(scenes, scene{f.name + ", later sync", func(r *rig) { f.play(r, true) }})
		}
	}
	return scenes
}
