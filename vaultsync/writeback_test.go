package vaultsync_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/internal/contract"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// writeBack is the rule of mounts whose secrets may go back.
func writeBack(rule *vaultsync.Rule) { rule.WriteBack = true }

// rotate publishes a value as a rotation does: in one call, with every tag that was there and Key Vault as authority.
func (r *rig) rotate(name, value string) {
	r.t.Helper()
	now := r.copied(name)
	tags := maps.Clone(now.Tags)
	delete(tags, secret.TagVaultHash)
	tags[secret.TagAuthority] = secret.AuthorityKeyVault
	tags[secret.TagRotationState] = secret.RotationState{ID: "rotation1", From: now.ID, At: r.now()}.String()
	_, err := r.destination.Set(r.t.Context(), name, secret.Draft{
		Value: secret.New(value), ContentType: now.ContentType, Expires: r.now().Add(90 * 24 * time.Hour), Tags: tags,
	})
	r.must(err)
}

// inVault is the JSON of a secret's fields and the number of its current version; "" and 0 when it cannot be read.
func (m mount) inVault(path string) (fields string, version int) {
	m.r.t.Helper()
	status, raw := m.r.Do(m.r.t, http.MethodGet, m.path+"/data/"+escape(path), "")
	if status == http.StatusNotFound {
		return "", 0
	}
	var a struct {
		Data struct {
			Data     json.RawMessage
			Metadata struct{ Version int }
		}
	}
	m.r.must(json.Unmarshal(raw, &a))
	return string(a.Data.Data), a.Data.Metadata.Version
}

// keeps checks what Vault holds.
func (m mount) keeps(path, fields string, version int) {
	m.r.t.Helper()
	if got, n := m.inVault(path); got != fields || n != version {
		m.r.t.Errorf("vault has version %d of %s: %s, want version %d: %s", n, path, got, version, fields)
	}
}

// tagged checks tags of the current version in Key Vault.
func (r *rig) tagged(name string, want map[string]string) {
	r.t.Helper()
	tags := r.copied(name).Tags
	for k, v := range want {
		if tags[k] != v {
			r.t.Errorf("tag %s of %s is %q, want %q", k, name, tags[k], v)
		}
	}
}

// TestWriteBack: a rotated value goes to the field it came from, the rest stays, both sides then agree, and neither the
// next sync nor a second write-back finds anything to do.
func TestWriteBack(t *testing.T) {
	for _, c := range []struct {
		what       string
		rule       func(*vaultsync.Rule)
		path       string
		data, then string // in Vault
		name       string // in Key Vault
		value      string // rotated
	}{
		{what: "the only field", path: "app/db", data: `{"password":"one"}`, name: "app-db", value: "two", then: `{"password":"two"}`},
		{what: "quotes and unicode", path: "a b/dü", data: `{"pass word":"one"}`, name: "a-b-d", value: `"'\ ü$%{}` + "\n", then: `{"pass word":"\"'\\ ü$%{}\n"}`},
		{what: "a number that stays one", path: "p", data: `{"pin":1234}`, name: "p", value: "98765", then: `{"pin":98765}`},
		{what: "a number that becomes text", path: "p", data: `{"pin":1234}`, name: "p", value: "x", then: `{"pin":"x"}`},
		{what: "a number that Vault would round", path: "p", data: `{"pin":1234}`, name: "p", value: "12345678901234567890", then: `{"pin":"12345678901234567890"}`},
		{what: "digits in text", path: "p", data: `{"pin":"01234"}`, name: "p", value: "98765", then: `{"pin":"98765"}`},
		{what: "a nested object", path: "p", data: `{"conn":{"pass":"one","user":"u"}}`, name: "p", value: `{"pass":"two"}`, then: `{"conn":{"pass":"two"}}`},
		{what: "one key of several", rule: func(r *vaultsync.Rule) { r.As = vaultsync.ShapeKey }, path: "app", data: `{"n":1e+21,"password":"one","user":"u"}`,
			name: "app-password", value: "two", then: `{"n":1e+21,"password":"two","user":"u"}`},
		{what: "an object", path: "app", data: `{"n":1.5,"password":"one","user":"u"}`, name: "app", value: `{"n":1.5,"password":"two","user":"v"}`,
			then: `{"n":1.5,"password":"two","user":"v"}`},
		{what: "an object of one field", rule: func(r *vaultsync.Rule) { r.As = vaultsync.ShapeJSON }, path: "app", data: `{"password":"one"}`, name: "app",
			value: `{"password":"two","since":"now"}`, then: `{"password":"two","since":"now"}`},
		{what: "a name by template", rule: func(r *vaultsync.Rule) { r.NameAs = "team-{{.Base}}" }, path: "app/db", data: `{"a":"one"}`, name: "team-db", value: "two",
			then: `{"a":"two"}`},
		{what: "a mapped name", rule: func(r *vaultsync.Rule) { r.Map = map[string]string{"app/db": "mine"} }, path: "app/db", data: `{"a":"one"}`, name: "mine", value: "two",
			then: `{"a":"two"}`},
		{what: "a rotated rule with metadata", rule: func(r *vaultsync.Rule) {
			r.Rotation, r.Metadata = vaultsync.Rotation{Type: "generated", Days: 30}, []string{"owner"}
		}, path: "app", data: `{"a":"one"}`, name: "app", value: "two", then: `{"a":"two"}`},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2, writeBack)
				if c.rule != nil {
					c.rule(&r.rules[0])
				}
				m.describe(c.path, `{"custom_metadata":{"owner":"team-a"}}`)
				m.put(c.path, c.data)
				r.sync(nil)
				r.tag(c.name, "cost-centre", "7")
				r.pass(time.Hour)
				r.must(r.engine().PreflightWriteBack(t.Context(), c.name))
				r.rotate(c.name, c.value)
				r.pass(time.Minute)
				r.must(r.engine().PreflightWriteBack(t.Context(), c.name))
				r.toVault.counted()
				r.toKeyVault.counted()

				r.must(r.engine().WriteBack(t.Context(), c.name))
				if calls := r.toKeyVault.counted(); calls["GET"] != 2 || calls["PATCH"] != 1 || calls["PUT"] != 0 {
					t.Errorf("calls to Key Vault: %v", calls)
				}
				if calls := r.toVault.counted(); calls["mounts"] != 1 || calls["data"] > 3 {
					t.Errorf("calls to Vault: %v", calls)
				}
				m.keeps(c.path, c.then, 2)
				r.holds(c.name, c.value, 2)
				r.tagged(c.name, map[string]string{
					secret.TagAuthority: secret.AuthorityVault, secret.TagVaultVersion: "2", "cost-centre": "7",
					secret.TagMigrationDate: r.copied(c.name).Tags[secret.TagMigrationDate],
				})
				if tags := r.copied(c.name).Tags; tags[secret.TagRotationState] == "" || tags[secret.TagVaultHash] == "" {
					t.Errorf("tags are %v", tags)
				}

				tags := r.copied(c.name).Tags
				r.must(r.engine().WriteBack(t.Context(), c.name))
				m.keeps(c.path, c.then, 2)
				if diff := cmp.Diff(tags, r.copied(c.name).Tags); diff != "" {
					t.Errorf("tags after a second write-back (-want +got)\n%s", diff)
				}

				r.pass(time.Hour)
				for _, i := range r.sync(nil).Items {
					if i.Name == c.name && i.Verb != vaultsync.Unchanged {
						t.Errorf("sync: %s %s", i.Verb, i.Reason)
					}
				}
				report, err := r.engine().Sync(t.Context(), vaultsync.Scope{Full: true})
				r.ended(err, nil)
				for _, i := range report.Items {
					if i.Name == c.name && i.Verb != vaultsync.Unchanged {
						t.Errorf("full sync: %s %s", i.Verb, i.Reason)
					}
				}
				r.holds(c.name, c.value, 2)
				m.keeps(c.path, c.then, 2)
				r.settled()
			})
		})
	}
}

// TestWriteBackRefused: whatever moved since the copy, or is not allowed, leaves both sides as they are, the authority
// with Key Vault, and says why.
func TestWriteBackRefused(t *testing.T) {
	for _, c := range []struct {
		what    string
		version int
		data    string // "" for {"password":"one"}
		value   string // rotated; "" for "two"
		edit    func(r *rig, m mount)
		want    error
		says    []string
		before  bool // the preflight does not see it
	}{
		{what: "vault moved", edit: func(_ *rig, m mount) { m.put("app/db", `{"password":"by hand"}`) }, want: secret.ErrConflict, says: []string{"version 2", "version 1"}},
		{what: "vault moved twice, to our value", edit: func(_ *rig, m mount) {
			m.put("app/db", `{"password":"by hand"}`)
			m.put("app/db", `{"password":"two"}`)
		}, want: secret.ErrConflict, says: []string{"version 3", "version 1"}},
		{what: "deleted", edit: func(_ *rig, m mount) { m.remove("app/db") }, want: secret.ErrConflict, says: []string{"version 1", "deleted"}},
		{what: "destroyed", edit: func(_ *rig, m mount) { m.destroy("app/db", 1) }, want: secret.ErrConflict, says: []string{"version 1", "destroyed"}},
		{what: "wiped", edit: func(_ *rig, m mount) { m.wipe("app/db") }, want: secret.ErrConflict, says: []string{"version 1", "no longer"}},
		{what: "wiped, metadata only", edit: func(_ *rig, m mount) { m.wipe("app/db"); m.describe("app/db", `{"max_versions":3}`) }, want: secret.ErrConflict, says: []string{"no longer"}},
		{what: "made anew at the same version", edit: func(_ *rig, m mount) { m.wipe("app/db"); m.put("app/db", `{"password":"one"}`) }, want: secret.ErrConflict,
			says: []string{"version 1", "another secret"}},
		{what: "mount made anew", edit: func(_ *rig, m mount) {
			m.disable()
			m.enable()
			m.put("app/db", `{"password":"one"}`)
			m.put("app/db", `{"password":"two"}`)
		}, want: secret.ErrConflict, says: []string{"version 1"}},
		{what: "mount gone", edit: func(_ *rig, m mount) { m.disable() }, want: secret.ErrUnsupported, says: []string{"no mount"}},
		{what: "version 1", version: 1, want: secret.ErrUnsupported, says: []string{"version 1"}},
		{what: "rule without writeBack", edit: func(r *rig, _ mount) { r.rules[0].WriteBack = false }, want: secret.ErrUnsupported, says: []string{"rule-1"}},
		{what: "no rule any more", edit: func(r *rig, _ mount) { r.rules[0].Exclude = []string{"app/**"} }, want: secret.ErrUnsupported},
		{what: "rule with another shape", edit: func(r *rig, _ mount) { r.rules[0].As = vaultsync.ShapeJSON }, want: secret.ErrInvalid, before: true},
		{what: "rule with another name", edit: func(r *rig, _ mount) { r.rules[0].NameAs = "x-{{.Base}}" }, want: secret.ErrConflict},
		{what: "aimed at another secret", edit: func(r *rig, m mount) {
			m.put("app/victim", `{"password":"one"}`)
			r.tag("app-db", secret.TagVaultPath, m.path+"/app/victim")
		}, want: secret.ErrConflict, says: []string{"victim"}},
		{what: "aimed at another field", edit: func(r *rig, _ mount) { r.tag("app-db", secret.TagVaultField, "user") }, want: secret.ErrConflict, says: []string{"user"}, before: true},
		{what: "version tag edited", edit: func(r *rig, _ mount) { r.tag("app-db", secret.TagVaultVersion, "2") }, want: secret.ErrConflict, says: []string{"version 1", "version 2"}},
		{what: "version tag broken", edit: func(r *rig, _ mount) { r.tag("app-db", secret.TagVaultVersion, "x") }, want: secret.ErrConflict},
		{what: "state tag broken", edit: func(r *rig, _ mount) { r.tag("app-db", secret.TagVaultState, "x") }, want: secret.ErrConflict},
		{what: "authority tag broken", edit: func(r *rig, _ mount) { r.tag("app-db", secret.TagAuthority, "me") }, want: secret.ErrConflict},
		{what: "another source", edit: func(r *rig, _ mount) { r.tag("app-db", secret.TagMigratedFrom, "old-vault") }, want: secret.ErrUnsupported},
		{what: "drift, with vault as authority", edit: func(r *rig, _ mount) { r.tag("app-db", secret.TagAuthority, secret.AuthorityVault) }, want: secret.ErrConflict,
			says: []string{"authority"}, before: true},
		{what: "overwritten by hand", edit: func(r *rig, _ mount) { r.set("app-db", "by hand", nil) }, want: secret.ErrUnsupported},
		{what: "disabled", edit: func(r *rig, _ mount) {
			r.change("app-db", azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)}})
		}, want: secret.ErrDisabled},
		{what: "deleted in Key Vault", edit: func(r *rig, _ mount) { _, err := r.sdk.DeleteSecret(r.t.Context(), "app-db", nil); r.must(err) }, want: secret.ErrNotFound},
		{what: "an object that is none any more", data: `{"a":"1","b":"2"}`, value: "s3cr3t", want: secret.ErrInvalid, before: true},
		{what: "an object with a number Vault would round", data: `{"a":"1","b":2}`, value: `{"a":"s3cr3t","b":12345678901234567890}`, want: secret.ErrInvalid, before: true},
		{what: "an object with a number Vault cannot keep", data: `{"a":"1","b":2}`, value: `{"a":"s3cr3t","b":1e999}`, want: secret.ErrInvalid, before: true},
		{what: "a value sync would not copy back", value: "-----BEGIN CERTIFICATE-----", want: secret.ErrInvalid, before: true},
		{what: "vault sealed", edit: func(r *rig, _ mount) {
			r.toVault.meet(func(string, *http.Request) faults.Fault { return answer(503, `{"errors":["Vault is sealed"]}`) })
		}, want: secret.ErrUnavailable},
		{what: "token that may only read", edit: func(r *rig, m mount) {
			r.source = r.open(r.server.logIn(r, contract.Grants{m.path + "/data/*": {"read"}, m.path + "/metadata/*": {"read", "list"}}))
		}, want: secret.ErrForbidden},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			if c.version == 0 {
				c.version = 2
			}
			if c.data == "" {
				c.data = `{"password":"one"}`
			}
			if c.value == "" {
				c.value = "two"
			}
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(c.version, writeBack)
				m.put("app/db", c.data)
				r.sync(nil)
				r.pass(time.Hour)
				r.rotate("app-db", c.value)
				if c.edit != nil {
					c.edit(r, m)
				}
				before, fields, version := r.copied("app-db"), "", 0
				if m.version == 2 {
					fields, version = m.inVault("app/db")
				}
				for what, do := range map[string]error{
					"preflight":  r.engine().PreflightWriteBack(t.Context(), "app-db"),
					"write-back": r.engine().WriteBack(t.Context(), "app-db"),
				} {
					if what == "preflight" && c.before {
						r.ended(do, nil)
						continue
					}
					if !errors.Is(do, c.want) {
						t.Errorf("%s ended with %v, want %v", what, do, c.want)
						continue
					}
					for _, word := range append(c.says, "app-db") {
						if !strings.Contains(do.Error(), word) {
							t.Errorf("%s: %q does not say %q", what, do, word)
						}
					}
					if strings.Contains(do.Error(), "s3cr3t") || strings.Contains(do.Error(), "http") {
						t.Errorf("%s: %q says too much", what, do)
					}
				}
				r.toVault.meet(nil)
				if diff := cmp.Diff(before, r.copied("app-db")); diff != "" {
					t.Errorf("Key Vault changed (-want +got)\n%s", diff)
				}
				if m.version == 2 && c.what != "mount gone" {
					m.keeps("app/db", fields, version)
				}
			})
		})
	}
}

// TestPreflightChangesNothing: it asks and leaves both sides alone.
func TestPreflightChangesNothing(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, writeBack)
		m.put("app/db", `{"password":"one"}`)
		r.sync(nil)
		r.toVault.counted()
		r.toKeyVault.counted()
		r.must(r.engine().PreflightWriteBack(t.Context(), "app-db"))
		if diff := cmp.Diff(map[string]int{"mounts": 1, "metadata": 1, "other": 1}, r.toVault.counted()); diff != "" {
			t.Errorf("calls to Vault (-want +got)\n%s", diff)
		}
		if got := r.toKeyVault.counted(); got["GET"] != 1 || got["PATCH"]+got["PUT"] != 0 {
			t.Errorf("calls to Key Vault: %v", got)
		}
		m.keeps("app/db", `{"password":"one"}`, 1)
		r.settled()
	})
}

// TestWriteBackWithoutPatch: a token that may update and not patch keeps the other fields to the byte.
func TestWriteBackWithoutPatch(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, writeBack, func(rule *vaultsync.Rule) { rule.As = vaultsync.ShapeKey })
		const rest = `"n":1e+21,"nested":{"a":[1.5,{"b":null}],"c":"\u003c\u2028"}`
		m.put("app", `{`+rest+`,"password":"one"}`)
		r.sync(nil)
		r.rotate("app-password", "two")
		r.source = r.open(r.server.logIn(r, contract.Grants{m.path + "/data/*": {"read", "update"}, m.path + "/metadata/*": {"read", "list"}}))
		r.must(r.engine().PreflightWriteBack(t.Context(), "app-password"))
		r.must(r.engine().WriteBack(t.Context(), "app-password"))
		m.keeps("app", `{`+rest+`,"password":"two"}`, 2)
		r.wants(r.sync(nil), "retag app-n equal-value", "retag app-nested equal-value", "unchanged 1")
		r.settled()
	})
}

// TestWriteBackMeetsAnEdit: somebody sets another value in Key Vault while the write-back is under way. It is not
// marked as ours.
func TestWriteBackMeetsAnEdit(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, writeBack)
		m.put("app/db", `{"password":"one"}`)
		r.sync(nil)
		r.pass(time.Hour)
		r.rotate("app-db", "two")
		r.pass(time.Minute) // too short for the edit to be suspect by its time
		r.toVault.meet(once("data", 2, after(func() { r.set("app-db", "by hand", nil) })))
		r.must(r.engine().WriteBack(t.Context(), "app-db"))
		m.keeps("app/db", `{"password":"two"}`, 2)
		r.holds("app-db", "by hand", 3)
		r.wants(r.sync(nil), "conflict app-db destination-changed")
		r.holds("app-db", "by hand", 3)
	})
}

// TestWriteBackAndSyncTakeTurns: neither begins while the other holds the lease.
func TestWriteBackAndSyncTakeTurns(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, writeBack)
		m.put("app/db", `{"password":"one"}`)
		r.sync(nil)
		r.rotate("app-db", "two")
		r.toVault.meet(once("LIST", 1, after(func() { r.ended(r.engine().WriteBack(t.Context(), "app-db"), secret.ErrLeaseHeld) })))
		r.wants(r.sync(nil), "skip app-db authority-keyvault")
		m.keeps("app/db", `{"password":"one"}`, 1)
		r.must(r.engine().WriteBack(t.Context(), "app-db"))
		r.settled()
	})
}
