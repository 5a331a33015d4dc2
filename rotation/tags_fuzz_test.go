package rotation

import (
	"strings"
	"testing"
	"unicode"

	"github.com/keyferry/keyferry/secret"
)

// FuzzTags gives the decision what anybody with the right to tag may write: it never panics, never aims outside of what
// the settings list, and says nothing that would break a log line or grow without bound.
func FuzzTags(f *testing.F) {
	f.Add("generated", "random", "90", "keyvault", "id.v1.1", "text/plain", "app-key")
	f.Add("manual", "", "", "vault", "", "application/json", "two-faced")
	f.Add("gen\nerated", "../../x", "-1", "VAULT", "a.b.c.d", "a/b; c=\"", "elsewhere")
	f.Add(strings.Repeat("é", 1000), strings.Repeat("x", 1000), strings.Repeat("9", 1000), "\x00", "", strings.Repeat("a/", 500), "orders-password")
	f.Fuzz(func(t *testing.T, typ, target, days, authority, state, contentType, name string) {
		if !secret.ValidName(name) {
			t.Skip("Key Vault has no such secret")
		}
		when := due90(named(name))
		when.meta.ContentType = contentType
		when.meta.Tags = map[string]string{
			secret.TagRotationType: typ, secret.TagRotationTarget: target, secret.TagRotationDays: days,
			secret.TagAuthority: authority, secret.TagRotationState: state,
		}
		d := decide(when, Settings{Targets: testTargets}.withDefaults(), testKinds)
		if d.verdict == Rotated && (!d.target.Lists(name) || d.target.Type != strings.TrimSpace(typ) || d.validity < minValidity || d.validity > maxValidity) {
			t.Errorf("rotates %q at %q for %v", name, d.target.Name, d.validity)
		}
		if len(d.text) > 1000 || strings.ContainsFunc(d.text, unicode.IsControl) {
			t.Errorf("says %q", d.text)
		}
	})
}
