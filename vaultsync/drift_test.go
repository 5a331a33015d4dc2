package vaultsync_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// set writes a version as a person does, without tags unless some are given.
func (r *rig) set(name, value string, tags map[string]string) {
	r.t.Helper()
	p := azsecrets.SetSecretParameters{Value: &value}
	for k, v := range tags {
		if p.Tags == nil {
			p.Tags = map[string]*string{}
		}
		p.Tags[k] = to.Ptr(v)
	}
	_, err := r.sdk.SetSecret(r.t.Context(), name, p, nil)
	r.must(err)
}

// change patches the current version as a person does.
func (r *rig) change(name string, p azsecrets.UpdateSecretPropertiesParameters) {
	r.t.Helper()
	_, err := r.sdk.UpdateSecretProperties(r.t.Context(), name, "", p, nil)
	r.must(err)
}

// tag sets one tag of the current version and keeps the rest.
func (r *rig) tag(name, key, value string) {
	r.t.Helper()
	tags := map[string]*string{}
	for k, v := range r.copied(name).Tags {
		tags[k] = &v
	}
	tags[key] = &value
	r.change(name, azsecrets.UpdateSecretPropertiesParameters{Tags: tags})
}

// TestDrift: what somebody did in Key Vault is told by the right word and is never overwritten, whether the source
// moved meanwhile or not.
func TestDrift(t *testing.T) {
	rewrite := func(r *rig) { r.set("app-db", "by hand", nil) }
	for _, c := range []struct {
		what  string
		edit  func(r *rig)
		want  []string // when the source stays
		moved []string // when the source gets the value "two"
		value string   // then in Key Vault, "" when it cannot be read
		made  int      // versions then in Key Vault
		twice int      // versions when the source moved; 0: as many as made
	}{
		{
			what: "a value by hand, without tags", edit: rewrite,
			want: []string{"conflict app-db destination-changed"}, moved: []string{"conflict app-db both-changed"},
			value: "by hand", made: 2,
		}, {
			what: "two values by hand, without tags", edit: func(r *rig) { rewrite(r); r.pass(time.Minute); rewrite(r) },
			want: []string{"conflict app-db destination-changed"}, moved: []string{"conflict app-db both-changed"},
			value: "by hand", made: 3,
		}, {
			what: "a value by hand, with other tags", edit: func(r *rig) { r.set("app-db", "by hand", map[string]string{"owner": "me"}) },
			want: []string{"conflict app-db destination-changed"}, moved: []string{"conflict app-db both-changed"},
			value: "by hand", made: 2,
		}, {
			what: "a value by hand, with the tags copied", edit: func(r *rig) { r.set("app-db", "by hand", r.copied("app-db").Tags) },
			want: []string{"conflict app-db destination-changed"}, moved: []string{"conflict app-db both-changed"},
			value: "by hand", made: 2,
		}, {
			what: "the same value by hand, with the tags copied", edit: func(r *rig) { r.set("app-db", "one", r.copied("app-db").Tags) },
			want: []string{"retag app-db tags"}, moved: []string{"update app-db source-changed"},
			value: "one", made: 2, twice: 3,
		}, {
			what: "disabled", edit: func(r *rig) {
				r.change("app-db", azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)}})
			},
			want: []string{"conflict app-db destination-disabled"}, moved: []string{"conflict app-db destination-disabled"},
			made: 1,
		}, {
			what: "overwritten and disabled", edit: func(r *rig) {
				rewrite(r)
				r.change("app-db", azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)}})
			},
			want: []string{"conflict app-db destination-changed"}, moved: []string{"conflict app-db both-changed"},
			made: 2,
		}, {
			what: "a tag of one's own added", edit: func(r *rig) { r.tag("app-db", "owner", "me") },
			want: []string{"unchanged 1"}, moved: []string{"update app-db source-changed"}, value: "one", made: 1, twice: 2,
		}, {
			what: "the hash tag edited", edit: func(r *rig) { r.tag("app-db", secret.TagVaultHash, "?") },
			want: []string{"retag app-db tags"}, moved: []string{"update app-db source-changed"}, value: "one", made: 1, twice: 2,
		}, {
			what: "the state tag edited", edit: func(r *rig) { r.tag("app-db", secret.TagVaultState, "?") },
			want: []string{"conflict app-db bad-tag"}, moved: []string{"conflict app-db bad-tag"}, value: "one", made: 1,
		}, {
			what: "the path tag edited", edit: func(r *rig) { r.tag("app-db", secret.TagVaultPath, "other/path") },
			want: []string{"conflict app-db other-path"}, moved: []string{"conflict app-db other-path"}, value: "one", made: 1,
		}, {
			what: "the source tag edited", edit: func(r *rig) { r.tag("app-db", secret.TagMigratedFrom, "old-vault") },
			want: []string{"conflict app-db other-source"}, moved: []string{"conflict app-db other-source"}, value: "one", made: 1,
		}, {
			what: "the version tag edited", edit: func(r *rig) { r.tag("app-db", secret.TagVaultVersion, "") },
			want: []string{"retag app-db tags"}, moved: []string{"update app-db source-changed"}, value: "one", made: 1, twice: 2,
		}, {
			what: "its home moved to Key Vault", edit: func(r *rig) { r.tag("app-db", secret.TagAuthority, secret.AuthorityKeyVault) },
			want: []string{"skip app-db authority-keyvault"}, moved: []string{"skip app-db late-write"}, value: "one", made: 1,
		}, {
			what: "the expiry taken to next week", edit: func(r *rig) {
				r.change("app-db", azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Expires: to.Ptr(r.now().Add(7 * 24 * time.Hour))}})
			},
			want: []string{"retag app-db expiry"}, moved: []string{"update app-db source-changed"}, value: "one", made: 1, twice: 2,
		}, {
			what: "the content type edited", edit: func(r *rig) {
				r.change("app-db", azsecrets.UpdateSecretPropertiesParameters{ContentType: to.Ptr("text/html")})
			},
			want: []string{"retag app-db tags"}, moved: []string{"update app-db source-changed"}, value: "one", made: 1, twice: 2,
		},
	} {
		for _, moves := range []bool{false, true} {
			name, want, value, made := "/source_stays", c.want, c.value, c.made
			if moves {
				name, want = "/source_moves", c.moved
				if c.twice != 0 {
					value, made = "two", c.twice
				}
			}
			t.Run(strings.ReplaceAll(c.what, " ", "_")+name, func(t *testing.T) {
				scenario(t, func(t *testing.T, r *rig) {
					m := r.mount(2)
					m.put("app/db", `{"password":"one"}`)
					r.sync(nil)
					r.pass(time.Hour)
					c.edit(r)
					if moves {
						m.put("app/db", `{"password":"two"}`)
					}
					r.wants(r.plan(nil), want...)
					r.wants(r.sync(nil), want...)
					r.holds("app-db", value, made)
					r.settled()
					r.holds("app-db", value, made)
				})
			})
		}
	}
}

// TestDriftOfVersion1: without metadata it is the keyed hash that tells whether the source moved.
func TestDriftOfVersion1(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(1)
		for _, path := range []string{"a", "b", "c", "d"} {
			m.put(path, `{"password":"one"}`)
		}
		r.sync(nil)
		r.pass(time.Hour)
		for _, name := range []string{"a", "b"} {
			r.set(name, "by hand", nil)
		}
		for _, name := range []string{"c", "d"} {
			r.set(name, "by hand", r.copied(name).Tags)
		}
		m.put("b", `{"password":"two"}`)
		m.put("d", `{"password":"two"}`)
		r.wants(r.sync(nil),
			"conflict a destination-changed", "conflict b both-changed",
			"conflict c destination-changed", "conflict d both-changed")
		for _, name := range []string{"a", "b", "c", "d"} {
			r.holds(name, "by hand", 2)
		}
	})
}

// TestDriftIsFoundSoonByAFullRun: an edit within minutes of our write, tags and all, looks like our own until
// something moves; a full run compares the values.
func TestDriftIsFoundSoonByAFullRun(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		r.pass(time.Minute)
		r.set("a", "by hand", r.copied("a").Tags)
		report, err := r.engine().Sync(t.Context(), vaultsync.Scope{Full: true})
		r.ended(err, nil)
		r.wants(report, "conflict a destination-changed")
		m.put("a", `{"password":"two"}`)
		r.wants(r.sync(nil), "conflict a both-changed")
		r.holds("a", "by hand", 2)
	})
}

// TestLookedAtOnce: a version that somebody made later and that holds our value is read once, and then noted as ours.
func TestLookedAtOnce(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		r.pass(time.Hour)
		r.set("a", "one", r.copied("a").Tags)
		r.toKeyVault.counted()
		r.wants(r.sync(nil), "retag a tags")
		if n := r.toKeyVault.counted()["GET"]; n != 2 {
			t.Errorf("%d reads, want one of the hash key and one of the version", n)
		}
		r.settled()
		if n := r.toKeyVault.counted()["GET"]; n != 1 {
			t.Errorf("then %d reads, want one of the hash key", n)
		}
	})
}

// TestTagsOfOthersStay: what people put on a copy is still there after an update and a retag.
func TestTagsOfOthersStay(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		r.tag("a", "owner", "me")
		before := maps.Clone(r.copied("a").Tags)
		r.pass(48 * time.Hour)
		m.put("a", `{"password":"two"}`)
		r.wants(r.sync(nil), "update a source-changed")
		m.put("a", `{"password":"two"}`)
		r.wants(r.sync(nil), "retag a equal-value")
		after := r.copied("a").Tags
		if after["owner"] != "me" || len(after) != len(before) || after[secret.TagMigrationDate] != before[secret.TagMigrationDate] {
			t.Errorf("tags were %v and are %v", before, after)
		}
		if after[secret.TagVaultVersion] != "3" {
			t.Errorf("vault-version is %s, want 3", after[secret.TagVaultVersion])
		}
	})
}

// TestTagsWithoutRoom: Key Vault takes 15 tags. What does not fit is told, each time, and is no change.
func TestTagsWithoutRoom(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, func(rule *vaultsync.Rule) { rule.Metadata = strings.Split("abcdefghij", "") })
		m.put("a", `{"password":"one"}`)
		m.describe("a", `{"custom_metadata":{"a":"1","b":"1","c":"1","d":"1","e":"1","f":"1","g":"1","h":"1","i":"1","j":"1"}}`)
		for range 2 {
			report := r.sync(nil)
			if len(report.Items) != 1 || strings.Join(report.Items[0].Dropped, "") != "hij" {
				t.Errorf("want h, i and j dropped: %+v", report.Items)
			}
		}
		r.settled()
		if n := len(r.copied("a").Tags); n != secret.MaxTags {
			t.Errorf("%d tags", n)
		}
	})
}

// TestDeletedByAnOperator: a name that somebody deleted is not revived, and is not an error.
func TestDeletedByAnOperator(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		m.put("b", `{"password":"one"}`)
		r.sync(nil)
		_, err := r.sdk.DeleteSecret(t.Context(), "a", nil)
		r.must(err)
		m.put("a", `{"password":"two"}`)
		r.wants(r.sync(nil), "conflict a destination-deleted", "unchanged 1")
		if s, _ := r.store.Secret("a"); s.State != kvemulator.Deleted || len(s.Versions) != 1 {
			t.Errorf("the deleted secret is %s with %d versions", s.State, len(s.Versions))
		}
		_, err = r.sdk.RecoverDeletedSecret(t.Context(), "a", nil)
		r.must(err)
		r.wants(r.sync(nil), "update a source-changed", "unchanged 1")
	})
}

// TestForeignSecrets: names that others hold in Key Vault are theirs, whatever the value.
func TestForeignSecrets(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		for _, path := range []string{"theirs", "equal", "Cased", "certificate", "mine"} {
			m.put(path, `{"password":"one"}`)
		}
		r.set("theirs", "two", map[string]string{"owner": "somebody"})
		r.set("equal", "one", nil)
		r.set("cASED", "three", nil)
		r.must(r.store.Seed(kvemulator.Secret{Name: "certificate", Managed: true, Versions: []kvemulator.Version{{Value: "pfx"}}}))
		want := []string{"conflict Cased foreign", "conflict equal foreign", "conflict theirs foreign", "skip certificate managed"}
		r.wants(r.plan(nil), append(want[:3:3], "create mine new", want[3])...)
		r.wants(r.sync(nil), append(want[:3:3], "create mine new", want[3])...)
		r.wants(r.sync(nil), append(want, "unchanged 1")...)
		r.holds("theirs", "two", 1)
		r.holds("equal", "one", 1)
		r.holds("cased", "three", 1)
		r.holds("certificate", "pfx", 1)
	})
}

// TestEditBetweenLookAndWrite: somebody writes after the listing and before our write; the value read last decides.
func TestEditBetweenLookAndWrite(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		r.pass(time.Hour)
		m.put("a", `{"password":"two"}`)
		r.toVault.meet(once("data", 1, after(func() { r.set("a", "by hand", nil) })))
		r.wants(r.sync(nil), "conflict a both-changed")
		r.holds("a", "by hand", 2)
	})
}

// TestEditUnderOurPatch: a person's version that gets our tags in a race is found out by the value.
func TestEditUnderOurPatch(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		r.pass(time.Hour)
		m.put("a", `{"password":"one"}`)
		r.toKeyVault.meet(once(http.MethodGet, 2, after(func() { r.set("a", "by hand", nil) }))) // the first gets the hash key
		r.wants(r.sync(nil), "retag a equal-value")
		r.toKeyVault.meet(nil)
		r.wants(r.sync(nil), "conflict a destination-changed")
		m.put("a", `{"password":"two"}`)
		r.wants(r.sync(nil), "conflict a both-changed")
		r.holds("a", "by hand", 2)
	})
}
