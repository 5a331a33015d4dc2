package vaultsync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestOnConflict: what becomes of an edit in Key Vault under each word of a rule, whether the source moved or not. Never
// is anything but the value decided: a copy that is disabled, deleted, cut over or somebody else's is none of it.
func TestOnConflict(t *testing.T) {
	for _, c := range []struct {
		what  string
		edit  func(r *rig)
		say   string // onConflict: vault, source stays
		moved string // and when it moved
		kept  string // onConflict: keyvault
		value string // under vault; "" when it cannot be read
		made  int    // versions before the sync
	}{
		{"without tags", func(r *rig) { r.set("a", "by hand", nil) },
			"update a destination-changed", "update a both-changed", "skip a destination-kept", "", 2},
		{"with tags", func(r *rig) { r.set("a", "by hand", r.copied("a").Tags) },
			"update a destination-changed", "update a both-changed", "skip a destination-kept", "", 2},
		{"overwritten and disabled", func(r *rig) { r.set("a", "by hand", nil); r.enable("a", false) },
			"conflict a destination-disabled", "conflict a destination-disabled", "skip a destination-kept", "by hand", 2},
		{"overwritten after the cutover", func(r *rig) {
			r.tag("a", secret.TagAuthority, secret.AuthorityKeyVault)
			r.set("a", "by hand", nil)
		}, "skip a authority-keyvault", "skip a late-write", "", "by hand", 2},
		{"overwritten where another source was", func(r *rig) {
			r.tag("a", secret.TagMigratedFrom, "another")
			r.set("a", "by hand", nil)
		}, "conflict a foreign", "conflict a foreign", "conflict a foreign", "by hand", 2},
	} {
		for _, word := range []vaultsync.OnConflict{vaultsync.DriftVault, vaultsync.DriftKeyVault} {
			for _, moves := range []bool{false, true} {
				t.Run(strings.Join([]string{c.what, string(word), map[bool]string{true: "moves", false: "stays"}[moves]}, "/"), func(t *testing.T) {
					scenario(t, func(t *testing.T, r *rig) {
						m := r.mount(2, func(rule *vaultsync.Rule) { rule.OnConflict = word })
						m.put("a", `{"password":"one"}`)
						r.sync(nil)
						r.pass(time.Hour)
						c.edit(r)
						source, want, value := "one", c.say, c.value
						if moves {
							source, want = "two", c.moved
							m.put("a", `{"password":"two"}`)
						}
						if word == vaultsync.DriftKeyVault {
							value = "by hand"
							if c.kept != "" {
								want = c.kept
							}
						}
						made := c.made
						if value == "" {
							value, made = source, c.made+1
						}
						r.wants(r.plan(nil), want)
						r.wants(r.sync(nil), want)
						if v := r.copied("a").Value; v != value || r.versions("a") != made {
							t.Errorf("%q in %d versions, want %q in %d", v, r.versions("a"), value, made)
						}
						r.settled()
					})
				})
			}
		}
	}
}

// TestAdopt: a secret of somebody else with the same value becomes the copy, without a new version and with all that
// was on it; any other stays theirs.
func TestAdopt(t *testing.T) {
	never := time.Duration(0)
	for what, c := range map[string]struct {
		theirs func(r *rig)
		rule   func(*vaultsync.Rule)
		want   string
		after  string
	}{
		"equal":                  {func(r *rig) { r.set("a", "one", map[string]string{"owner": "me"}) }, nil, "adopt a equal-value", "unchanged 1"},
		"equal, expiry 0":        {func(r *rig) { r.set("a", "one", map[string]string{"owner": "me"}) }, func(rule *vaultsync.Rule) { rule.Expiry = &never }, "adopt a equal-value", "unchanged 1"},
		"equal, to be rotated":   {func(r *rig) { r.set("a", "one", map[string]string{"owner": "me"}) }, func(rule *vaultsync.Rule) { rule.Rotation.Type = "generated" }, "adopt a equal-value", "unchanged 1"},
		"equal, not asked":       {func(r *rig) { r.set("a", "one", nil) }, func(rule *vaultsync.Rule) { rule.Adopt = false }, "conflict a foreign", "conflict a foreign"},
		"other":                  {func(r *rig) { r.set("a", "two", nil) }, nil, "conflict a foreign", "conflict a foreign"},
		"equal but disabled":     {func(r *rig) { r.set("a", "one", nil); r.enable("a", false) }, nil, "conflict a foreign", "conflict a foreign"},
		"equal but deleted":      {func(r *rig) { r.set("a", "one", nil); r.drops("a") }, nil, "conflict a destination-deleted", "conflict a destination-deleted"},
		"equal in earlier times": {func(r *rig) { r.set("a", "one", nil); r.set("a", "two", nil) }, nil, "conflict a foreign", "conflict a foreign"},
		"another path's copy": {func(r *rig) {
			r.set("a", "one", map[string]string{secret.TagVaultPath: "elsewhere/a", secret.TagMigratedFrom: "vault"})
		}, nil, "conflict a other-path", "conflict a other-path"},
	} {
		t.Run(what, func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2, func(rule *vaultsync.Rule) {
					rule.Adopt = true
					if c.rule != nil {
						c.rule(rule)
					}
				})
				m.put("a", `{"password":"one"}`)
				c.theirs(r)
				before, versions := r.copied("a"), r.versions("a")
				r.wants(r.plan(nil), c.want)
				r.wants(r.sync(nil), c.want)
				r.wants(r.sync(nil), c.after)
				after := r.copied("a")
				if after.ID != before.ID || r.versions("a") != versions || after.Value != before.Value {
					t.Error("there is another version")
				}
				if adopted := strings.HasPrefix(c.want, "adopt"); adopted {
					if after.Tags["owner"] != "me" || after.ContentType != "text/plain" {
						t.Errorf("tags %v, content type %q", after.Tags, after.ContentType)
					}
					if expires := !after.Expires.IsZero(); expires == (what == "equal, expiry 0") {
						t.Errorf("expires at %s", after.Expires)
					}
					m.put("a", `{"password":"three"}`)
					r.wants(r.sync(nil), "update a source-changed")
				}
			})
		})
	}
}

// TestBackWithoutExpiry: a rule without expiry brings back what it removed, and what others disabled, without one.
func TestBackWithoutExpiry(t *testing.T) {
	never := time.Duration(0)
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDisable), func(rule *vaultsync.Rule) {
			rule.Expiry, rule.OnDestinationRemoved = &never, vaultsync.RemovedRecover
		}).stays()
		m.put("a", `{"password":"one"}`)
		m.put("b", `{"password":"one"}`)
		r.sync(nil)
		m.remove("a")
		r.enable("b", false)
		r.wants(r.sync(nil), "disable a source-deleted", "enable b source-back", "unchanged 1")
		m.undelete("a", 1)
		r.wants(r.sync(nil), "enable a source-back", "unchanged 2")
		if at := r.copied("a").Expires; !at.IsZero() {
			t.Errorf("expires at %s", at)
		}
	})
}

// TestRotationStateStays: what says which rotation made a version stays as long as the version does.
func TestRotationStateStays(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, func(rule *vaultsync.Rule) { rule.OnDestinationRemoved = vaultsync.RemovedRecover })
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		state := secret.RotationState{ID: "r1", From: "v1", At: r.now()}.String()
		r.tag("a", secret.TagRotationState, state)
		r.enable("a", false)
		r.wants(r.sync(nil), "enable a source-back")
		_, err := r.engine().Cutover(t.Context(), vaultsync.CutoverRequest{Names: []string{"a"}})
		r.ended(err, nil)
		if got := r.copied("a").Tags[secret.TagRotationState]; got != state {
			t.Errorf("rotation-state is %q, want %q", got, state)
		}
		_, err = r.engine().Cutover(t.Context(), vaultsync.CutoverRequest{Names: []string{"a"}, Undo: true})
		r.ended(err, nil)
		m.put("a", `{"password":"two"}`)
		r.wants(r.sync(nil), "update a source-changed")
		if got := r.copied("a").Tags[secret.TagRotationState]; got != "" {
			t.Errorf("the version we wrote says rotation-state %q", got)
		}
	})
}

// TestNoRoomForTags: fifteen tags of others leave room for ours first; what was dropped is told, and the next run has
// nothing to do.
func TestNoRoomForTags(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, func(rule *vaultsync.Rule) { rule.Adopt = true }, onDelete(vaultsync.DeleteDisable)).stays()
		theirs := map[string]string{}
		for _, k := range strings.Split("abcdefghijklmno", "") {
			theirs[k] = "theirs"
		}
		m.put("a", `{"password":"one"}`)
		r.set("a", "one", theirs)
		report := r.sync(nil)
		r.wants(report, "adopt a equal-value", "create stays new")
		own := 0
		for k := range r.copied("a").Tags {
			if secret.IsOwnTag(k) {
				own++
			}
		}
		if n := len(r.copied("a").Tags); n != secret.MaxTags || len(report.Items[0].Dropped) != own {
			t.Errorf("%d tags, %d of them ours, and %q dropped", n, own, report.Items[0].Dropped)
		}
		r.settled()
		m.wipe("a")
		r.wants(r.sync(nil), "disable a source-deleted", "unchanged 1")
		if tags := r.copied("a").Tags; len(tags) != secret.MaxTags || tags[secret.TagRemoved] == "" {
			t.Errorf("tags %v", tags)
		}
	})
}

// TestCertificateNames: a name that backs a certificate is left alone, also when the certificate comes later.
func TestCertificateNames(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete), func(rule *vaultsync.Rule) {
			rule.Adopt, rule.OnConflict = true, vaultsync.DriftVault
		}).stays()
		m.put("a", `{"password":"one"}`)
		theirs := foreign("a")
		theirs.Managed = true
		r.must(r.store.Seed(theirs))
		r.wants(r.sync(nil), "create stays new", "skip a managed")
		m.wipe("a")
		r.wants(r.sync(nil), "unchanged 1")
	})
}
