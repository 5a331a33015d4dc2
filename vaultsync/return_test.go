package vaultsync_test

import (
	"fmt"
	"testing"
	"time"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestBroughtBack: what we removed and somebody brought back in Key Vault stays.
func TestBroughtBack(t *testing.T) {
	for o, back := range map[vaultsync.OnDelete]func(r *rig){
		vaultsync.DeleteDisable: func(r *rig) { r.enable("a", true) },
		vaultsync.DeleteDelete:  func(r *rig) { r.recovers("a") },
	} {
		t.Run(string(o), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(o)).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				m.wipe("a")
				r.sync(nil)
				r.pass(72 * time.Hour)
				back(r)
				for range 2 {
					r.wants(r.sync(nil), "conflict a brought-back", "unchanged 1")
					r.stands("a", "active", true)
				}
				m.put("a", `{"password":"one"}`)
				r.wants(r.sync(nil), "retag a equal-value", "unchanged 1")
				r.stands("a", "active", false)
				r.holds("a", "one", 1)
				r.settled()
			})
		})
	}
}

// TestOnDestinationRemoved: what somebody else disabled or deleted is told, or brought back where the rule says so;
// a copy whose home is Key Vault is never.
func TestOnDestinationRemoved(t *testing.T) {
	for _, c := range []struct {
		what    string
		removes func(r *rig)
		recover bool
		want    string
		stands  string
		made    int
	}{
		{"disabled", func(r *rig) { r.enable("a", false) }, false, "conflict a destination-disabled", "disabled", 1},
		{"disabled", func(r *rig) { r.enable("a", false) }, true, "enable a source-back", "active", 1},
		{"deleted", func(r *rig) { r.drops("a") }, false, "conflict a destination-deleted", "deleted", 1},
		{"deleted", func(r *rig) { r.drops("a") }, true, "recover a source-back", "active", 2},
		{"deleted after the cutover", func(r *rig) { r.tag("a", secret.TagAuthority, secret.AuthorityKeyVault); r.drops("a") },
			true, "skip a authority-keyvault", "deleted", 1},
		{"disabled after the cutover", func(r *rig) {
			r.tag("a", secret.TagAuthority, secret.AuthorityKeyVault)
			r.enable("a", false)
		}, true, "skip a authority-keyvault", "disabled", 1},
		{"a foreign one deleted", func(r *rig) { r.set("a", "by hand", nil); r.drops("a") }, true, "conflict a destination-deleted", "deleted", 2},
	} {
		t.Run(fmt.Sprintf("%s/recover_%v", c.what, c.recover), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2, func(rule *vaultsync.Rule) {
					if c.recover {
						rule.OnDestinationRemoved = vaultsync.RemovedRecover
					}
				})
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				c.removes(r)
				r.wants(r.plan(nil), c.want)
				r.wants(r.sync(nil), c.want)
				r.stands("a", c.stands, false)
				if n := r.versions("a"); n != c.made {
					t.Errorf("%d versions, want %d", n, c.made)
				}
				r.settled()
			})
		})
	}
}

// TestDisabledByUsDeletedByOthers: the mark of our disabling is no licence to undo what somebody did after it.
func TestDisabledByUsDeletedByOthers(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDisable)).stays()
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		m.wipe("a")
		r.sync(nil)
		r.drops("a")
		m.put("a", `{"password":"one"}`)
		r.wants(r.sync(nil), "conflict a destination-deleted", "unchanged 1")
		r.stands("a", "deleted", true)
	})
}

// TestRemovalTakesItsTime: Key Vault takes seconds to delete and to recover, and refuses the name meanwhile.
func TestRemovalTakesItsTime(t *testing.T) {
	for _, wait := range []time.Duration{0, 3 * time.Second, time.Minute} {
		t.Run("back_after_"+wait.String(), func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				r.store = kvemulator.New(kvemulator.Options{Now: r.now, DeleteDelay: 10 * time.Second, RecoverDelay: 10 * time.Second})
				m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				m.wipe("a")
				r.wants(r.sync(nil), "delete a source-deleted", "unchanged 1")
				r.pass(wait)
				m.put("a", `{"password":"two"}`)
				r.wants(r.sync(nil), "recover a source-back", "unchanged 1")
				r.pass(time.Minute)
				r.stands("a", "active", false)
				r.holds("a", "two", 2)
				r.settled()
			})
		})
	}
}

// TestPurgedAndAged: a name that Key Vault gave up is free again.
func TestPurgedAndAged(t *testing.T) {
	for what, goes := range map[string]func(r *rig){
		"purged": func(r *rig) {
			_, err := r.sdk.PurgeDeletedSecret(r.t.Context(), "a", nil)
			r.must(err)
		},
		"retention over": func(r *rig) { r.pass(91 * 24 * time.Hour) },
	} {
		t.Run(what, func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				m.wipe("a")
				r.sync(nil)
				goes(r)
				m.put("a", `{"password":"one"}`)
				r.wants(r.sync(nil), "create a new", "unchanged 1")
				r.holds("a", "one", 1)
			})
		})
	}
}

// TestDeletedMayNotBeListed: without the right to list deleted secrets each is told when its name is asked for.
func TestDeletedMayNotBeListed(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		m.wipe("a")
		r.sync(nil)
		m.put("a", `{"password":"one"}`)
		m.put("b", `{"password":"one"}`)
		r.toKeyVault.meet(every("deleted", instead(kvemulator.ForbiddenByRBAC("getSecret"))))
		r.wants(r.sync(nil), "conflict a destination-deleted", "create b new", "unchanged 1")
		r.toKeyVault.meet(nil)
		r.wants(r.sync(nil), "recover a source-back", "unchanged 2")
	})
}
