package cli

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/internal/emulator/keyvault"
)

const day = 24 * time.Hour

// estate is what Vault holds: path, name in Key Vault, fields.
var estate = []struct {
	mount, path, name string
	fields            []string
}{
	{"secret", "app/db", "app-db", []string{"password"}},
	{"secret", "app/smtp", "app-smtp", []string{"password", "user"}},
	{"secret", "app/prod/eu/signing key", "app-prod-eu-signing-key", []string{"pem"}},
	{"secret", "app/prod/50%/naïve", "app-prod-50-na-ve", []string{"token"}},
	{"legacy", "mainframe/ftp", "mainframe-ftp", []string{"password"}},
}

// copies is what the estate holds now, by name in Key Vault.
type copies map[string]map[string]any

// readerPolicy lets the sync see the estate.
var readerPolicy = map[string][]string{
	"secret/data/*": {"read"}, "secret/metadata/*": {"read", "list"}, "legacy/*": {"read", "list"},
}

// seedVault fills Vault with new values.
func (r *rig) seedVault() {
	r.vault.Policy("reader", readerPolicy)
	r.want = copies{}
	r.vault.Mount("secret", 2)
	r.vault.Mount("legacy", 1)
	for _, e := range estate {
		r.change(e.mount, e.path, e.fields...)
	}
}

// change gives a secret in Vault new fields.
func (r *rig) change(mount, path string, fields ...string) {
	r.t.Helper()
	values := map[string]any{}
	for _, f := range fields {
		v := awkward()
		values[f] = v
		r.held.values = append(r.held.values, v)
	}
	if err := r.vault.Put(mount, path, values); err != nil {
		r.t.Fatal(err)
	}
	for _, e := range estate {
		if e.mount == mount && e.path == path {
			r.want[e.name] = values
		}
	}
}

// refill puts back what a mount held before it went.
func (r *rig) refill(mount string) {
	r.t.Helper()
	for _, e := range estate {
		if e.mount == mount {
			if err := r.vault.Put(mount, e.path, r.want[e.name]); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// rendered is the rule of values, worked out anew: one field as it is, several as JSON.
func rendered(values map[string]any) string {
	if len(values) == 1 {
		for _, v := range values {
			return v.(string)
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(values) // strings
	return strings.TrimSuffix(b.String(), "\n")
}

// seedKeyVault puts in what Key Vault had before Keyferry came.
func (r *rig) seedKeyVault(secrets ...keyvault.Secret) {
	r.t.Helper()
	if err := r.keyVault.Seed(secrets...); err != nil {
		r.t.Fatal(err)
	}
	r.before, r.seeded = r.keyVault.Secrets(), map[string]bool{}
	for _, s := range r.before {
		for _, v := range s.Versions {
			r.seeded[v.ID] = true
		}
	}
}

// aged is a secret made so long ago that it is due for rotation in its last third, with these tags.
func aged(name string, tags map[string]string) keyvault.Secret {
	return keyvault.Secret{Name: name, Versions: []keyvault.Version{{
		Value: awkward(), ContentType: "text/plain", Created: time.Now().Add(-70 * day), Expires: time.Now().Add(20 * day), Tags: tags,
	}}}
}

// generated are the tags of a secret that Keyferry rotates.
func generated() map[string]string {
	return map[string]string{"rotation-type": "generated", "team": "identity"}
}

// unharmed checks what holds after anything whatever: nothing that was there is gone or has another value, what is not
// ours is as it was, and every version of ours has all its tags, a content type and an expiry.
func (r *rig) unharmed() {
	r.t.Helper()
	now := r.keyVault.Secrets()
	for _, was := range r.before {
		at := slices.IndexFunc(now, func(s keyvault.Secret) bool { return s.Name == was.Name })
		if at < 0 || now[at].State != was.State {
			r.t.Errorf("%s is no longer %v", was.Name, was.State)
			continue
		}
		for _, v := range was.Versions {
			if !slices.ContainsFunc(now[at].Versions, func(o keyvault.Version) bool { return v.ID == o.ID && r.kept(v, o) }) {
				r.t.Errorf("version %s of %s is gone or changed", v.ID, was.Name)
			}
		}
	}
	for _, s := range now {
		for _, v := range s.Versions {
			if !r.seeded[v.ID] {
				r.complete(s.Name, v)
			}
		}
	}
	r.before = now
}

// kept reports whether a version is what it was. Tags and expiry of a copy are the sync's to patch.
func (r *rig) kept(was, is keyvault.Version) bool {
	if !r.seeded[was.ID] {
		was.Tags, was.Expires, was.Updated = is.Tags, is.Expires, is.Updated
	}
	return cmp.Equal(was, is)
}

// complete checks that a version of ours lacks nothing.
func (r *rig) complete(name string, v keyvault.Version) {
	r.t.Helper()
	need := []string{"authority", "rotation-state", "rotation-type", "team"}
	pending := strings.HasPrefix(name, "keyferry--pending--")
	switch {
	case pending:
		need = []string{"pending-for", "rotation-state"}
	case strings.HasPrefix(name, "keyferry--"):
		need = nil
	case v.Tags["vault-path"] != "":
		need = []string{"authority", "migrated-from", "migration-date", "vault-hash", "vault-path", "vault-state"}
		if !strings.HasPrefix(v.Tags["vault-path"], "legacy/") {
			need = append(need, "vault-version")
		}
		if v.ContentType == "text/plain" {
			need = append(need, "vault-field")
		}
	}
	slices.Sort(need)
	if got := slices.Sorted(maps.Keys(v.Tags)); !slices.Equal(got, need) {
		r.t.Errorf("version %s of %s has tags %v, not %v", v.ID, name, got, need)
	}
	if v.ContentType == "" || v.Expires.IsZero() || v.Disabled != pending {
		r.t.Errorf("version %s of %s has content type %q, expires %v, disabled %t", v.ID, name, v.ContentType, v.Expires, v.Disabled)
	}
}

// synced checks that Key Vault holds the estate as Vault does, each copy in so many versions; absent is 1.
func (r *rig) synced(versions map[string]int) {
	r.t.Helper()
	for name, values := range r.want {
		s, ok := r.keyVault.Secret(name)
		if !ok || s.CurrentVersion().Value != rendered(values) {
			r.t.Errorf("%s is not what Vault holds (there: %t)", name, ok)
		}
		if want := max(1, versions[name]); len(s.Versions) != want {
			r.t.Errorf("%s has %d versions, not %d", name, len(s.Versions), want)
		}
	}
}

// versions is how many versions a secret has.
func (r *rig) versions(name string) int {
	s, _ := r.keyVault.Secret(name)
	return len(s.Versions)
}

// heard is what people are told between two marks.
type heard struct {
	alerts []string   // types, as the topic got them
	level  slog.Level // of the loudest line in the log
}

// listen returns what was heard since the last time.
func (r *rig) listen() heard {
	r.t.Helper()
	h := heard{level: slog.LevelDebug}
	for _, e := range r.topic.Events()[r.told:] {
		h.alerts = append(h.alerts, e.Type)
	}
	r.told += len(h.alerts)
	lines := r.logged.lines()
	for _, line := range lines[r.read:] {
		var l struct{ Level slog.Level }
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &l) == nil {
			h.level = max(h.level, l.Level)
		}
	}
	r.read = len(lines)
	return h
}
