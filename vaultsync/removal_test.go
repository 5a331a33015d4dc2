package vaultsync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// onDelete bends a rule.
func onDelete(o vaultsync.OnDelete) func(*vaultsync.Rule) {
	return func(r *vaultsync.Rule) { r.OnDelete = o }
}

// stays is a mount with one secret that never goes, so that no mount is ever empty.
func (m mount) stays() mount {
	m.r.t.Helper()
	m.put("stays", `{"password":"stays"}`)
	return m
}

// enable switches the current version on or off as a person does.
func (r *rig) enable(name string, on bool) {
	r.t.Helper()
	r.change(name, azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(on)}})
}

// drops deletes a secret as a person does.
func (r *rig) drops(name string) {
	r.t.Helper()
	_, err := r.sdk.DeleteSecret(r.t.Context(), name, nil)
	r.must(err)
}

// recovers brings a deleted secret back as a person does.
func (r *rig) recovers(name string) {
	r.t.Helper()
	_, err := r.sdk.RecoverDeletedSecret(r.t.Context(), name, nil)
	r.must(err)
}

// stands checks how a secret stands in Key Vault: "active", "disabled" or "deleted", and whether it carries our mark.
func (r *rig) stands(name, want string, marked bool) {
	r.t.Helper()
	s, _ := r.store.Secret(name)
	got := string(s.State)
	if s.State == kvemulator.Active && s.CurrentVersion().Disabled {
		got = "disabled"
	}
	if mark := s.CurrentVersion().Tags[secret.TagRemoved]; got != want || (mark != "") != marked {
		r.t.Errorf("%s is %s with the mark %q, want %s, marked %v", name, got, mark, want, marked)
	}
}

// TestRemovals: what is proven gone from Vault is kept, disabled or deleted in Key Vault, as the rule says, is left
// alone after that, and comes back with its source, without a version too many.
func TestRemovals(t *testing.T) {
	type way struct {
		what    string
		version int
		goes    func(m mount)
		reason  string
		after   string                   // what the next run says of it; "" for nothing
		back    map[string]func(m mount) // the ways back: to the same value, or to another one
	}
	same, other := func(m mount) { m.put("a", `{"password":"one"}`) }, func(m mount) { m.put("a", `{"password":"two"}`) }
	for _, w := range []way{
		{"wiped", 2, func(m mount) { m.wipe("a") }, "source-deleted", "", map[string]func(mount){"same": same, "other": other}},
		{"soft-deleted", 2, func(m mount) { m.remove("a") }, "source-deleted", "source-deleted", map[string]func(mount){
			"same": func(m mount) { m.undelete("a", 1) }, "other": other,
		}},
		{"destroyed", 2, func(m mount) { m.destroy("a", 1) }, "source-destroyed", "source-destroyed", map[string]func(mount){"same": same, "other": other}},
		{"removed", 1, func(m mount) { m.remove("a") }, "source-deleted", "", map[string]func(mount){"same": same, "other": other}},
	} {
		for back, comes := range w.back {
			for _, o := range []vaultsync.OnDelete{vaultsync.DeleteDisable, vaultsync.DeleteDelete} {
				t.Run(fmt.Sprintf("%s/%s/%s_value_comes_back", w.what, o, back), func(t *testing.T) {
					scenario(t, func(t *testing.T, r *rig) {
						m := r.mount(w.version, onDelete(o)).stays()
						m.put("a", `{"password":"one"}`)
						r.sync(nil)
						r.tag("a", "owner", "me")
						r.pass(time.Hour)
						w.goes(m)
						want := []string{string(o) + " a " + w.reason, "unchanged 1"}
						r.wants(r.plan(nil), want...)
						r.stands("a", "active", false)
						r.wants(r.sync(nil), want...)
						stands := map[vaultsync.OnDelete]string{vaultsync.DeleteDisable: "disabled", vaultsync.DeleteDelete: "deleted"}[o]
						r.stands("a", stands, true)

						after := []string{"unchanged 1"}
						switch {
						case o == vaultsync.DeleteDisable:
							after = []string{"skip a removed", "unchanged 1"}
						case w.after != "":
							after = []string{"skip a " + w.after, "unchanged 1"}
						}
						for range 2 {
							r.wants(r.sync(nil), after...)
							r.stands("a", stands, true)
						}

						r.pass(72 * time.Hour)
						comes(m)
						verb, value, versions := "recover", "one", 2
						if o == vaultsync.DeleteDisable {
							verb, versions = "enable", 1
						}
						if back == "other" {
							value, versions = "two", 2
							if verb == "enable" {
								verb = "update"
							}
						}
						want = []string{verb + " a source-back", "unchanged 1"}
						r.wants(r.plan(nil), want...)
						r.wants(r.sync(nil), want...)
						r.stands("a", "active", false)
						r.holds("a", value, versions)
						if tags := r.copied("a").Tags; tags["owner"] != "me" {
							t.Errorf("the tags of others are gone: %v", tags)
						}
						r.settled()
					})
				})
			}
		}
	}
}

// TestRemovalsKept: by default a copy outlives its source.
func TestRemovalsKept(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2).stays()
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		m.wipe("a")
		for range 2 {
			r.wants(r.sync(nil), "skip a source-deleted", "unchanged 1")
		}
		r.holds("a", "one", 1)
	})
}

// TestFutureDeletion: a deletion that Vault has announced removes the copy when it comes, and not before.
func TestFutureDeletion(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDisable)).stays()
		m.describe("a", `{"delete_version_after":"24h"}`)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		r.pass(23 * time.Hour)
		r.wants(r.sync(nil), "unchanged 2")
		r.pass(2 * time.Hour)
		r.wants(r.sync(nil), "disable a source-deleted", "unchanged 1")
		r.stands("a", "disabled", true)
	})
}

// TestRemovalsLeaveOthersWork: a copy that somebody edited, disabled, cut over or overwrote stays as it is when its
// source goes, each with its own word.
func TestRemovalsLeaveOthersWork(t *testing.T) {
	for what, c := range map[string]struct {
		edit   func(r *rig)
		want   string // "" when the copy is none any more
		stands string
	}{
		"edited, tags and all": {func(r *rig) { r.set("a", "by hand", r.copied("a").Tags) }, "conflict a both-changed", "active"},
		"overwritten":          {func(r *rig) { r.set("a", "by hand", nil) }, "", "active"},
		"disabled":             {func(r *rig) { r.enable("a", false) }, "conflict a destination-disabled", "disabled"},
		"cut over":             {func(r *rig) { r.tag("a", secret.TagAuthority, secret.AuthorityKeyVault) }, "skip a authority-keyvault", "active"},
		"state tag edited":     {func(r *rig) { r.tag("a", secret.TagVaultState, "?") }, "conflict a bad-tag", "active"},
		"hash tag edited":      {func(r *rig) { r.tag("a", secret.TagVaultHash, "?") }, "conflict a destination-unproven", "active"},
		"path tag edited":      {func(r *rig) { r.tag("a", secret.TagVaultPath, "elsewhere/a") }, "skip a unselected", "active"},
	} {
		t.Run(what, func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				r.pass(time.Hour)
				c.edit(r)
				m.wipe("a")
				before := r.copied("a")
				want := []string{c.want, "unchanged 1"}
				if c.want == "" {
					want = want[1:]
				}
				r.wants(r.sync(nil), want...)
				r.stands("a", c.stands, false)
				if after := r.copied("a"); after.Updated != before.Updated || after.ID != before.ID {
					t.Error("the copy was touched")
				}
			})
		})
	}
}

// TestRemovalLooksAgain: a run is long, and its removals are at its end. What somebody writes to the copy meanwhile is
// theirs, and stays as it is.
func TestRemovalLooksAgain(t *testing.T) {
	for _, c := range []struct {
		on   vaultsync.OnDelete
		get  int // of the copy, after which somebody writes
		want string
	}{
		{vaultsync.DeleteDisable, 1, "conflict a both-changed"},
		{vaultsync.DeleteDisable, 2, "disable a source-deleted"}, // the version that is no longer the current one
		{vaultsync.DeleteDelete, 1, "conflict a both-changed"},
		{vaultsync.DeleteDelete, 2, "conflict a both-changed"},
	} {
		t.Run(fmt.Sprintf("%s/written_after_look_%d", c.on, c.get), func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(c.on)).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				r.pass(time.Hour)
				m.wipe("a")
				// The first read is that of the hash key.
				r.toKeyVault.meet(once("GET", 1+c.get, after(func() { r.set("a", "by hand", r.copied("a").Tags) })))
				r.wants(r.sync(nil), c.want, "unchanged 1")
				r.holds("a", "by hand", 2)
				r.toKeyVault.meet(nil)
				r.wants(r.sync(nil), "conflict a both-changed", "unchanged 1")
				r.holds("a", "by hand", 2)
			})
		})
	}
}

// TestRemovalCutOff: killed between the mark and the deletion; the next run ends what was begun, and a source that is
// back by then finds its copy.
func TestRemovalCutOff(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprintf("source_back_%v", back), func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				m.wipe("a")
				r.toKeyVault.meet(every("DELETE", answer(500, internalError)))
				r.sync(secret.ErrPartial)
				r.stands("a", "active", true)
				r.toKeyVault.meet(nil)
				if back {
					m.put("a", `{"password":"one"}`)
					r.wants(r.sync(nil), "retag a equal-value", "unchanged 1")
					r.stands("a", "active", false)
				} else {
					r.wants(r.sync(nil), "delete a source-deleted", "unchanged 1")
					r.stands("a", "deleted", true)
				}
				r.settled()
			})
		})
	}
}
