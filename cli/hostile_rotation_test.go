package cli

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/state"
)

// refused are the answers of Key Vault by which it does nothing, whatever was asked.
var refused = []struct {
	name  string
	fault keyvault.Fault
}{
	{"401", keyvault.TokenExpired()},
	{"401 wrong audience", keyvault.InvalidAudience("https://management.azure.com")},
	{"403 by role", keyvault.ForbiddenByRBAC("setSecret")},
	{"403 by access policy", keyvault.AccessDenied("set")},
	{"403 by firewall", keyvault.ForbiddenByFirewall()},
	{"403 by connection", keyvault.ForbiddenByConnection()},
	{"429", keyvault.Throttled(0)},
	{"429 with Retry-After", keyvault.Throttled(time.Minute)},
	{"500", keyvault.Fault{Status: 500, Code: "InternalServerError", Message: "Internal server error."}},
	{"503", keyvault.Fault{Status: 503, Code: "ServiceUnavailable", Message: "busy"}},
}

var (
	deletedFault    = keyvault.Fault{Status: 409, Code: "Conflict", Inner: "ObjectIsDeletedButRecoverable", Message: "Secret x is currently in a deleted but recoverable state."}
	deletingFault   = keyvault.Fault{Status: 409, Code: "Conflict", Inner: "ObjectIsBeingDeleted", Message: "Secret is currently being deleted."}
	recoveringFault = keyvault.Fault{Status: 409, Code: "Conflict", Inner: "ObjectIsBeingRecovered", Message: "Secret x is currently being recovered."}
	otherConflict   = keyvault.Fault{Status: 409, Code: "Conflict", Message: "Something else."}
	disabledFault   = keyvault.Fault{Status: 403, Code: "Forbidden", Inner: "SecretDisabled", Message: "Operation get is not allowed on a disabled secret."}
	managedFault    = keyvault.Fault{Status: 403, Code: "Forbidden", Inner: "SecretManagedByKeyVault", Message: "not allowed"}
	badParameter    = keyvault.Fault{Status: 400, Code: "BadParameter", Message: "no"}
	serverError     = keyvault.Fault{Status: 500, Code: "InternalServerError", Message: "Internal server error."}
)

// rotationFailure is a row: trouble while an event is worked on, and what the host and people are told. After the
// trouble the same event comes again, as Event Grid brings what was answered 500, and the sweep what was recorded.
type rotationFailure struct {
	name    string
	trouble trouble // on the road to Key Vault and to those who get alerts

	status int
	alert  string
	level  slog.Level
	final  string // alert of the redelivery
}

// rotationFailures is every trouble Key Vault can make for a rotation.
func rotationFailures() []rotationFailure {
	var rows []rotationFailure
	for _, f := range refused {
		for method, status := range map[string]int{http.MethodGet: 500, http.MethodPut: 200} {
			rows = append(rows, rotationFailure{f.name + " to " + method, on(method, "/secrets/", instead(f.fault)), status, "", slog.LevelWarn, succeeded})
		}
	}
	get, put := http.MethodGet, http.MethodPut
	return append(rows,
		rotationFailure{"429 that passes", times(3, on("", "/secrets/", instead(keyvault.Throttled(0)))), 200, succeeded, slog.LevelInfo, ""},
		rotationFailure{"429 with Retry-After that passes", times(1, on("", "/secrets/", instead(keyvault.Throttled(9*time.Second)))), 200, succeeded, slog.LevelInfo, ""},
		rotationFailure{"500 that passes", times(2, on("", "/secrets/", instead(serverError))), 200, succeeded, slog.LevelInfo, ""},
		rotationFailure{"disabled meanwhile", on(get, "/secrets/", instead(disabledFault)), 200, "", slog.LevelInfo, succeeded},
		rotationFailure{"404 of a proxy", on(get, "/secrets/", instead(status(404))), 500, "", slog.LevelWarn, succeeded},
		rotationFailure{"200 of a proxy", on(get, "/secrets/", instead(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))), 500, "", slog.LevelWarn, succeeded},
		rotationFailure{"409 deleted", on(put, "/secrets/", instead(deletedFault)), 200, failed, slog.LevelError, succeeded},
		rotationFailure{"409 being deleted", on(put, "/secrets/", instead(deletingFault)), 200, "", slog.LevelWarn, succeeded},
		rotationFailure{"409 being deleted, and over", times(2, on(put, "/secrets/", instead(deletingFault))), 200, succeeded, slog.LevelInfo, ""},
		rotationFailure{"409 being recovered", on(put, "/secrets/", instead(recoveringFault)), 200, "", slog.LevelWarn, succeeded},
		rotationFailure{"409 being recovered, and over", times(2, on(put, "/secrets/", instead(recoveringFault))), 200, succeeded, slog.LevelInfo, ""},
		rotationFailure{"409 of another kind", on(put, "/secrets/", instead(otherConflict)), 200, failed, slog.LevelError, succeeded},
		rotationFailure{"403 managed", on(put, "/secrets/", instead(managedFault)), 200, failed, slog.LevelError, succeeded},
		rotationFailure{"400", on(put, "/secrets/", instead(badParameter)), 200, failed, slog.LevelError, succeeded},
		rotationFailure{"reset", on("", "/secrets/", resetBefore), 500, "", slog.LevelWarn, succeeded},
		rotationFailure{"reset before the commit", on(put, "/secrets/", resetBefore), 200, "", slog.LevelWarn, succeeded},
		rotationFailure{"hangs", on("", "/secrets/", hang), 500, "", slog.LevelWarn, succeeded},
		rotationFailure{"hangs at the write", on(put, "/secrets/", hang), 200, "", slog.LevelWarn, succeeded},
		rotationFailure{"reset after the commit", times(1, on(put, "/secrets/", resetAfter)), 200, succeeded, slog.LevelInfo, ""},
		rotationFailure{"500 after the commit", times(1, on(put, "/secrets/", after(serverError))), 200, succeeded, slog.LevelInfo, ""},
		// The write is done and nobody can see it: the record says where to go on, and then the tags tell.
		rotationFailure{"reset after the commit, and unreadable since", each(on(put, "/secrets/", resetAfter), from(3, on(get, "/secrets/", resetBefore))), 200, "", slog.LevelWarn, succeeded},
		// A success stands although nobody was told: its alert is kept.
		rotationFailure{"topic 500", on("", "/api/events", instead(status(500))), 200, "", slog.LevelWarn, succeeded},
		rotationFailure{"topic 401", on("", "/api/events", instead(status(401))), 200, "", slog.LevelWarn, succeeded},
		rotationFailure{"webhook reset", on("", "/alerts/", resetBefore), 200, succeeded, slog.LevelWarn, succeeded},
	)
}

// play runs the row and reports whether it ended well: one new version with all tags, however often the event came.
func (f rotationFailure) play(r *rig) {
	r.seedKeyVault(aged("session-key", generated()), aged("session-other", generated()))
	event := r.near("session-key")
	r.azure.meet(f.trouble)
	r.answersWith("under trouble", r.deliver("SecretNearExpiry", event), f.status)
	r.expect("under trouble", f.alert, f.level)
	r.unharmed()

	r.azure.meet(nil)
	time.Sleep(10 * time.Minute)
	r.answers200("redelivery", r.deliver("SecretNearExpiry", event))
	r.expect("redelivery", f.final, slog.LevelInfo)
	r.answers200("once more", r.deliver("SecretExpired", event))
	r.expect("once more", "", slog.LevelInfo)
	r.unharmed()
	if n := r.versions("session-key"); n != 2 {
		r.t.Errorf("%d versions in the end, not 2", n)
	}
}

func TestRotationUnderTrouble(t *testing.T) { playAll(t, rotationsUnderTrouble()) }

func rotationsUnderTrouble() (scenes []scene) {
	for _, f := range rotationFailures() {
		scenes = append(scenes, scene{f.name, f.play})
	}
	return scenes
}

func TestAlertsAreOwed(t *testing.T) { playAll(t, owedAlerts()) }

// owedAlerts: what a person has to do is told, or kept until it can be.
func owedAlerts() (scenes []scene) {
	for _, f := range []struct {
		name    string
		trouble trouble
	}{
		{"topic 500", on("", "/api/events", instead(status(500)))},
		{"topic 429", on("", "/api/events", instead(status(429)))},
		{"topic reset", on("", "/api/events", resetBefore)},
		{"topic hangs", on("", "/api/events", hang)},
		{"webhook 500", on("", "/alerts/", instead(status(500)))},
		{"webhook redirects", on("", "/alerts/", instead(http.RedirectHandler("https://elsewhere.example.com/", http.StatusFound)))},
	} {
		scenes = append(scenes, scene{f.name, func(r *rig) {
			tags := generated()
			tags["rotation-type"] = "manual"
			r.seedKeyVault(aged("session-key", tags))
			r.azure.meet(f.trouble)
			r.answers200("under trouble", r.deliver("SecretNearExpiry", r.near("session-key")))
			r.listen()
			r.azure.meet(nil)
			r.answers200("redelivery", r.deliver("SecretNearExpiry", r.near("session-key")))
			r.expect("redelivery", manual, slog.LevelWarn)
			r.unharmed()
		}})
	}
	return scenes
}

func TestHeldLeases(t *testing.T) { playAll(t, heldLeases()) }

// heldLeases: work that another process does is neither done twice nor forgotten.
func heldLeases() []scene {
	return []scene{{"rotation", func(r *rig) {
		r.seedKeyVault(aged("session-key", generated()))
		lease := r.hold("rotation/session-key")
		r.answersWith("while held", r.deliver("SecretNearExpiry", r.near("session-key")), 500)
		r.expect("while held", "", slog.LevelWarn)
		r.unharmed()
		r.release(lease)
		r.answers200("redelivery", r.deliver("SecretNearExpiry", r.near("session-key")))
		if n := r.versions("session-key"); n != 2 {
			r.t.Errorf("%d versions, not 2", n)
		}
	}}, {"sync", func(r *rig) {
		r.seedKeyVault(aged("session-key", generated()))
		lease := r.hold("sync")
		r.answers200("timer while held", r.tick())
		r.expect("timer while held", "", slog.LevelInfo)
		a := r.force(`{}`)
		r.answersWith("call while held", a, 202)
		if !strings.Contains(a.body, "somebody else") {
			r.t.Errorf("the answer does not tell who holds the lease: %s", a.body)
		}
		if n := len(r.keyVault.Secrets()); n != 1 {
			r.t.Errorf("%d secrets in Key Vault, not 1", n)
		}
		r.release(lease)
		r.answers200("next occurrence", r.tick())
		r.synced(nil)
		r.unharmed()
	}}}
}

func (r *rig) hold(name string) state.Lease {
	l, err := r.store.Acquire(r.t.Context(), keyVaultHost+"/"+name, "somebody else")
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

func (r *rig) release(l state.Lease) {
	if err := r.store.Release(r.t.Context(), l); err != nil {
		r.t.Fatal(err)
	}
}

func TestUnreadableConfiguration(t *testing.T) { playAll(t, unreadableConfiguration()) }

// unreadableConfiguration: nothing is done, nothing is counted as done, and a mended one is used by the next call.
func unreadableConfiguration() []scene {
	return []scene{{"app setting", func(r *rig) {
		r.seedKeyVault(aged("session-key", generated()))
		r.settings["KEYFERRY_SYNC_PAUSED"] = "perhaps"
		r.answersWith("event", r.deliver("SecretNearExpiry", r.near("session-key")), 500)
		r.expect("event", "", slog.LevelError)
		r.answersWith("timer", r.tick(), 500)
		r.answersWith("call", r.force(`{}`), 503)
		r.unharmed()
		delete(r.settings, "KEYFERRY_SYNC_PAUSED")
		r.answers200("redelivery", r.deliver("SecretNearExpiry", r.near("session-key")))
		r.answers200("next occurrence", r.tick())
		r.synced(nil)
		r.unharmed()
	}}}
}
