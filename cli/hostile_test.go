package cli

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/internal/emulator/keyvault"
)

// Types of alerts, as subscriptions on the topic see them.
const (
	undecodable = "Keyferry.Event.Undecodable"
	manual      = "Keyferry.Rotation.ManualRequired"
	failed      = "Keyferry.Rotation.Failed"
	succeeded   = "Keyferry.Rotation.Succeeded"
	syncFailed  = "Keyferry.Sync.Failed"
	incomplete  = "Keyferry.Sync.Incomplete"
	conflict    = "Keyferry.Sync.Conflict"
)

// scene is a case: something is done to a rig, and what came of it is checked.
type scene struct {
	name string
	play func(*rig)
}

// playAll plays each scene on a rig of its own, in time of its own, and then what else is to be looked at.
func playAll(t *testing.T, scenes []scene, then ...func(*rig)) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t)
				s.play(r)
				for _, look := range then {
					look(r)
				}
			})
		})
	}
}

// expect compares what people were told with what the table says; no alert is "".
func (r *rig) expect(what string, alert string, level slog.Level) {
	r.t.Helper()
	var want []string
	if alert != "" {
		want = []string{alert}
	}
	got := r.listen()
	if !slices.Equal(got.alerts, want) {
		r.t.Errorf("%s: alerts %v, not %v", what, got.alerts, want)
	}
	if got.level != level {
		r.t.Errorf("%s: the loudest line is %v, not %v", what, got.level, level)
	}
}

func (r *rig) answers200(what string, a answer) { r.t.Helper(); r.answersWith(what, a, http.StatusOK) }

func (r *rig) answersWith(what string, a answer, status int) {
	r.t.Helper()
	if a.status != status {
		r.t.Errorf("%s: answered %d, not %d: %.300s", what, a.status, status, a.body)
	}
}

func TestHostileBytes(t *testing.T) { playAll(t, hostileBytes()) }

// hostileBytes are what no host sends. Nothing of it reaches an engine.
func hostileBytes() (scenes []scene) {
	const jsonType = "application/json; charset=utf-8"
	event := `{"Data":{"event":{"id":"1","eventType":"Microsoft.KeyVault.SecretNearExpiry","data":{"ObjectName":"session-key"}}}}`
	big := strings.Repeat("x", 2<<20)
	for _, c := range []struct {
		name, method, path, contentType, body string

		status int
		alert  string
		level  slog.Level
	}{
		{"not JSON", "POST", "/SecretNearExpiry", jsonType, "\x00{", 200, undecodable, slog.LevelError},
		{"empty body", "POST", "/SecretNearExpiry", jsonType, "", 200, undecodable, slog.LevelError},
		{"an array", "POST", "/SecretNearExpiry", jsonType, "[]", 200, undecodable, slog.LevelError},
		{"no binding", "POST", "/SecretExpired", jsonType, `{"Data":{}}`, 200, undecodable, slog.LevelError},
		{"two bindings", "POST", "/SecretExpired", jsonType, `{"Data":{"a":{},"b":{}}}`, 200, undecodable, slog.LevelError},
		{"event is a number", "POST", "/SecretNearExpiry", jsonType, `{"Data":{"event":7}}`, 200, undecodable, slog.LevelError},
		{"event without type", "POST", "/SecretNearExpiry", jsonType, `{"Data":{"event":{"id":"1"}}}`, 200, undecodable, slog.LevelError},
		{"event without data", "POST", "/SecretNearExpiry", jsonType, `{"Data":{"event":{"eventType":"Microsoft.KeyVault.SecretExpired"}}}`, 200, undecodable, slog.LevelError},
		{"impossible name", "POST", "/SecretNearExpiry", jsonType, strings.Replace(event, "session-key", "../../admin", 1), 200, undecodable, slog.LevelError},
		{"wrong content type", "POST", "/SecretNearExpiry", "text/plain", event, 200, undecodable, slog.LevelError},
		{"no content type", "POST", "/SecretNearExpiry", "", event, 200, undecodable, slog.LevelError},
		{"2 MB", "POST", "/SecretNearExpiry", jsonType, event[:len(event)-1] + `,"Metadata":{"x":"` + big + `"}}`, 200, undecodable, slog.LevelError},
		{"event by GET", "GET", "/SecretNearExpiry", "", "", 405, "", slog.LevelInfo},
		{"unknown function", "POST", "/RotateEverything", jsonType, event, 404, "", slog.LevelWarn},
		{"function in another case", "POST", "/secretnearexpiry", jsonType, event, 404, "", slog.LevelWarn},
		{"unknown HTTP function", "POST", "/api/RotateEverything", jsonType, "{}", 404, "", slog.LevelWarn},
		{"HTTP function in an envelope", "POST", "/ForceSync", jsonType, `{"Data":{"request":{}}}`, 500, "", slog.LevelWarn},
		{"call: not JSON", "POST", "/api/ForceSync", jsonType, "{", 400, "", slog.LevelWarn},
		{"call: unknown field", "POST", "/api/ForceSync", jsonType, `{"everything":true}`, 400, "", slog.LevelWarn},
		{"call: wrong type", "POST", "/api/ForceSync", jsonType, `{"full":"yes"}`, 400, "", slog.LevelWarn},
		{"call: unknown rule", "POST", "/api/ForceSync", jsonType, `{"rule":"none"}`, 404, "", slog.LevelWarn},
		{"call: 2 MB", "POST", "/api/ForceSync", jsonType, `{"prefix":"` + big + `"}`, 413, "", slog.LevelWarn},
		{"call: wrong content type", "POST", "/api/ForceSync", "application/xml", `{}`, 415, "", slog.LevelWarn},
		{"call by GET", "GET", "/api/ForceSync", "", "", 405, "", slog.LevelInfo},
	} {
		scenes = append(scenes, scene{c.name, func(r *rig) {
			r.seedKeyVault(aged("session-key", generated()))
			a := r.post(c.method, c.path, c.contentType, c.body)
			r.answersWith(c.name, a, c.status)
			r.expect(c.name, c.alert, c.level)
			if n := len(r.keyVault.Calls()); n != 0 {
				r.t.Errorf("Key Vault was called: %v", r.keyVault.Calls())
			}
			r.unharmed()

			r.answers200("the next good event", r.deliver("SecretNearExpiry", r.near("session-key")))
			if n := r.versions("session-key"); n != 2 {
				r.t.Errorf("%d versions after the next good event, not 2", n)
			}
			r.unharmed()
		}})
	}
	return scenes
}

// near is the near-expiry event of the current version.
func (r *rig) near(name string) []byte { return r.event(name, nil) }

// event is the near-expiry event of the current version, with other data where it is given.
func (r *rig) event(name string, other map[string]any) []byte {
	r.t.Helper()
	s, _ := r.keyVault.Secret(name)
	data := map[string]any{
		"Id":        "https://" + keyVaultHost + "/secrets/" + name + "/" + s.Current,
		"VaultName": "kv1", "ObjectType": "Secret", "ObjectName": name, "Version": s.Current, "NBF": nil, "EXP": s.CurrentVersion().Expires.Unix(),
	}
	maps.Copy(data, other)
	kind := "Microsoft.KeyVault.SecretNearExpiry"
	if t, ok := other["type"].(string); ok {
		kind = t
		delete(data, "type")
	}
	event, err := json.Marshal(map[string]any{
		"id": "a0b1c2", "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/" + fmt.Sprint(data["VaultName"]),
		"subject": name, "eventType": kind, "eventTime": time.Now().UTC(), "data": data, "dataVersion": "1", "metadataVersion": "1",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return event
}

func TestEventsThatChangeNothing(t *testing.T) { playAll(t, idleEvents()) }

// idleEvents are well formed and no reason to rotate, or none to rotate by machine.
func idleEvents() (scenes []scene) {
	tags := func(pairs ...string) map[string]string {
		m := generated()
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	seed := func(name string, m map[string]string) func() keyvault.Secret {
		return func() keyvault.Secret { return aged(name, m) }
	}
	with := func(change func(*keyvault.Secret), m map[string]string) func() keyvault.Secret {
		return func() keyvault.Secret {
			s := aged("session-key", m)
			change(&s)
			return s
		}
	}
	as := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	plain := seed("session-key", generated())
	for _, c := range []struct {
		name  string
		seed  func() keyvault.Secret
		event map[string]any

		says  string
		alert string
		level slog.Level
	}{
		{"another vault", plain, as("VaultName", "kv2"), "not-ours", "", slog.LevelInfo},
		{"a key", plain, as("ObjectType", "Key", "type", "Microsoft.KeyVault.KeyNearExpiry"), "not-ours", "", slog.LevelInfo},
		{"a certificate", plain, as("ObjectType", "Certificate", "type", "Microsoft.KeyVault.CertificateNearExpiry"), "not-ours", "", slog.LevelInfo},
		{"a certificate's secret type", plain, as("ObjectType", "Certificate"), "not-ours", "", slog.LevelInfo},
		{"a new version", plain, as("type", "Microsoft.KeyVault.SecretNewVersionCreated"), "not-ours", "", slog.LevelInfo},
		{"missing", plain, as("ObjectName", "session-gone"), "not-found", "", slog.LevelInfo},
		{"one of ours", plain, as("ObjectName", "keyferry--hash-key"), "own-secret", "", slog.LevelInfo},
		{"superseded", plain, as("Version", strings.Repeat("0", 32)), "superseded", "", slog.LevelInfo},
		{"disabled", with(func(s *keyvault.Secret) { s.Versions[0].Disabled = true }, generated()), nil, "disabled", "", slog.LevelInfo},
		{"backs a certificate", with(func(s *keyvault.Secret) { s.Managed = true }, generated()), nil, "managed", "", slog.LevelInfo},
		{"not due", with(func(s *keyvault.Secret) { s.Versions[0].Expires = time.Now().Add(80 * day) }, generated()), nil, "not-due", "", slog.LevelInfo},
		{"copied from Vault", seed("session-key", map[string]string{"authority": "vault", "vault-path": "secret/a"}), nil, "synced", "", slog.LevelInfo},
		{"by hand", seed("session-key", tags("rotation-type", "manual")), nil, "manual", manual, slog.LevelWarn},
		{"no type", seed("session-key", nil), nil, "no-rotation-type", manual, slog.LevelWarn},
		{"unknown type", seed("session-key", tags("rotation-type", "telepathy")), nil, "unknown-rotation-type", manual, slog.LevelWarn},
		{"Vault is the authority", seed("session-key", tags("authority", "vault", "vault-path", "secret/a")), nil, "not-cut-over", manual, slog.LevelWarn},
		{"expired, by hand", with(func(s *keyvault.Secret) { s.Versions[0].Expires = time.Now().Add(-day) }, tags("rotation-type", "manual")),
			as("type", "Microsoft.KeyVault.SecretExpired"), "manual", manual, slog.LevelError},
		{"bad tag", seed("session-key", tags("rotation-validity-days", "soon")), nil, "invalid-tag", failed, slog.LevelError},
		{"another target", seed("session-key", tags("rotation-target", "production-db")), nil, "target-refused", failed, slog.LevelError},
		{"no target", seed("cookie", generated()), as("ObjectName", "cookie"), "no-target", failed, slog.LevelError},
		{"JSON value", with(func(s *keyvault.Secret) { s.Versions[0].ContentType = "application/json" }, generated()), nil, "value-format", failed, slog.LevelError},
		{"target refuses", seed("talkative-db", tags("rotation-type", "talkative")), nil, "target-failed", failed, slog.LevelError},
	} {
		scenes = append(scenes, scene{c.name, func(r *rig) {
			s := c.seed()
			r.seedKeyVault(s)
			function := "SecretNearExpiry"
			if c.event["type"] == "Microsoft.KeyVault.SecretExpired" {
				function = "SecretExpired"
			}
			a := r.deliver(function, r.event(s.Name, c.event))
			r.answers200(c.name, a)
			if !strings.Contains(a.body, c.says) {
				r.t.Errorf("the answer %s does not say %q", a.body, c.says)
			}
			r.expect(c.name, c.alert, c.level)
			r.answers200("the same event again", r.deliver(function, r.event(s.Name, c.event)))
			r.unharmed()
			if n := r.versions(s.Name); n != 1 {
				r.t.Errorf("%d versions, not 1", n)
			}
		}})
	}
	return scenes
}
