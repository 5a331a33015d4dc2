package vaultsync_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	vaultemulator "github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestMountUpgraded: a mount of version 1 becomes version 2. While it is out of service nothing happens to its copies;
// after it they are the same secrets, told by their values, without a new version.
func TestMountUpgraded(t *testing.T) {
	const upgrading = `{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}`
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(1, onDelete(vaultsync.DeleteDelete)).stays()
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		m.call(http.MethodPost, "sys/mounts/"+m.path+"/tune", `{"options":{"version":"2"}}`)
		m.version, r.v1[m.path] = 2, false
		for {
			if status, _ := r.Do(t, http.MethodGet, m.path+"/config", ""); status == http.StatusOK {
				break
			}
			time.Sleep(time.Second)
		}
		before := r.snapshot()
		r.toVault.meet(func(call string, _ *http.Request) faults.Fault {
			if call == "mounts" {
				return nil
			}
			return answer(http.StatusBadRequest, upgrading)
		})
		report := r.sync(secret.ErrPartial)
		if report.Complete || report.Counts[vaultsync.Delete] != 0 {
			t.Errorf("while it is upgraded: complete %v, %q", report.Complete, lines(report))
		}
		r.same("while it is upgraded", before, r.snapshot())
		r.toVault.meet(nil)
		r.wants(r.sync(nil), "retag a equal-value", "retag stays equal-value")
		r.holds("a", "one", 1)
		m.put("a", `{"password":"two"}`)
		r.wants(r.sync(nil), "update a source-changed", "unchanged 1")
	})
}

// TestEmptyFolders: a folder without secrets, and one that was never there, are no trouble.
func TestEmptyFolders(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				r.mount(version)
				m := r.mount(version, func(rule *vaultsync.Rule) { rule.Include = []string{"app/**", "never/there/**"} })
				m.put("app/a", `{"password":"one"}`)
				m.put("other/b", `{"password":"one"}`)
				report := r.sync(nil)
				r.wants(report, "create app-a new")
				if !report.Complete {
					t.Errorf("incomplete: %q", report.Missing)
				}
				m.gone("app/a")
				r.wants(r.sync(nil), "skip app-a source-deleted")
			})
		})
	}
}

// TestRemovalsGoOnElsewhere: what could not be read holds up the removals there, and only there.
func TestRemovalsGoOnElsewhere(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
		for _, path := range []string{"sick/a", "well/b", "well/c"} {
			m.put(path, `{"password":"one"}`)
		}
		r.sync(nil)
		m.wipe("sick/a")
		m.wipe("well/b")
		r.toVault.meet(sickFolder("/sick"))
		// With its last secret the folder itself is gone from the listing above it.
		r.wants(r.sync(nil), "delete sick-a source-deleted", "delete well-b source-deleted", "unchanged 2")
		m.put("sick/d", `{"password":"one"}`)
		r.wants(r.sync(secret.ErrPartial), "failed "+m.path+"/sick/ unavailable", "unchanged 2")
		m.wipe("well/c")
		r.wants(r.sync(secret.ErrPartial), "delete well-c source-deleted", "failed "+m.path+"/sick/ unavailable", "unchanged 1")
	})
}

// TestNamespaceMissing: a namespace that is gone, or misspelt, looks like one without mounts. Nothing is removed.
func TestNamespaceMissing(t *testing.T) {
	s := emulated()
	s.reach = func(now func() time.Time) http.Handler {
		return vaultemulator.New(vaultemulator.Options{Now: now, Namespaces: true})
	}
	inBubble(t, s, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete))
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		c, err := vault.New(vault.Options{
			Address: r.server.address, Namespace: "misspelt", Auth: vault.Token(secret.New(r.server.root)), Transport: faults.Transport(r.toVault), Now: r.now,
		})
		r.must(err)
		r.source = c
		report := r.sync(secret.ErrPartial)
		r.wants(report, "failed "+m.path+" not-found")
		if report.Complete {
			t.Error("the report says it is complete")
		}
		r.stands("a", "active", false)
	})
}

// TestPrunedHistory: old versions that Vault forgot are nobody's business.
func TestPrunedHistory(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.describe("a", `{"max_versions":2}`)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		for i := range 5 {
			m.put("a", fmt.Sprintf(`{"password":"%d"}`, i))
		}
		r.wants(r.sync(nil), "update a source-changed")
		r.holds("a", "4", 2)
		if got := r.copied("a").Tags[secret.TagVaultVersion]; got != "6" {
			t.Errorf("vault-version is %s, want 6", got)
		}
		r.settled()
	})
}

// TestWriteBetweenTwoReads: a write lands between the metadata and the data. The copy is of the version whose value was
// read, and says so.
func TestWriteBetweenTwoReads(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		m.put("a", `{"password":"two"}`)
		r.toVault.meet(once("metadata", 1, after(func() { m.put("a", `{"password":"three"}`) })))
		r.wants(r.sync(nil), "update a source-changed")
		r.holds("a", "three", 2)
		if got := r.copied("a").Tags[secret.TagVaultVersion]; got != "3" {
			t.Errorf("vault-version is %s, want 3", got)
		}
		r.toVault.meet(nil)
		r.settled()
	})
}

// TestKeyOrder: the order of keys, white space and escapes in Vault make no new version.
func TestKeyOrder(t *testing.T) {
	for version, want := range map[int]string{1: "unchanged 1", 2: "retag a equal-value"} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(version)
				m.put("a", `{"user":"<u>","password":"é","deep":{"x":1,"y":[1,2]}}`)
				r.sync(nil)
				m.put("a", `{ "deep": {"y": [1, 2], "x": 1}, "password": "\u00e9", "user": "\u003cu\u003e" }`)
				r.wants(r.sync(nil), want)
				r.holds("a", `{"deep":{"x":1,"y":[1,2]},"password":"é","user":"<u>"}`, 1)
			})
		})
	}
}

// TestBytesOfValues: what is in a field arrives byte for byte.
func TestBytesOfValues(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, func(rule *vaultsync.Rule) { rule.PEM = true })
		values := map[string]string{
			"base64":   base64.StdEncoding.EncodeToString([]byte{0, 1, 2, 0xff, '\n'}),
			"pem":      "-----BEGIN CERTIFICATE-----\r\nMIIB\r\n-----END CERTIFICATE-----\r\n",
			"newline":  "ends in one\n",
			"newlines": "\n\n",
			"spaces":   " \t ",
		}
		for path, v := range values {
			m.put(path, fmt.Sprintf(`{"value":%q}`, v))
		}
		r.sync(nil)
		for name, v := range values {
			r.holds(name, v, 1)
		}
		r.settled()
	})
}

// TestRoleComesLate: a role assignment takes minutes to arrive. Until then each run says so, and then all is copied.
func TestRoleComesLate(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.toKeyVault.meet(func(call string, _ *http.Request) faults.Fault {
			if call == "challenge" {
				return nil
			}
			return instead(kvemulator.ForbiddenByRBAC("any"))
		})
		for range 3 {
			r.sync(secret.ErrForbidden)
			r.pass(time.Minute)
		}
		r.toKeyVault.meet(nil)
		r.wants(r.sync(nil), "create a new")
	})
}

// TestRecordsLost: nothing that a run keeps for the next one is needed for that one to be right.
func TestRecordsLost(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(20)
		e := r.telling(&desk{})
		_, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		keys, err := r.leases.List(t.Context(), "sync/")
		r.must(err)
		for _, key := range keys {
			record, err := r.leases.Get(t.Context(), key)
			r.must(err)
			r.must(r.leases.Delete(t.Context(), key, record.ETag))
		}
		report, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wants(report, "unchanged 20")
	})
}

// TestClocksDiffer: our clock is minutes before or behind Vault's. A deletion is seen when both agree on it, and is never
// taken for an announcement; an announced one is seen in time.
func TestClocksDiffer(t *testing.T) {
	for _, skew := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(vaultsync.DeleteDisable)).stays()
				m.put("a", `{"password":"one"}`)
				m.put("b", `{"password":"one"}`)
				skewed := func(o *vaultsync.Options) { o.Now = func() time.Time { return r.now().Add(skew) } }
				r.syncWith(skewed)
				expires := r.copied("a").Expires
				m.remove("a")
				r.syncWith(skewed)
				if got := r.copied("a").Expires; !got.Equal(expires) {
					t.Errorf("the expiry went from %s to %s", expires, got)
				}
				r.pass(10 * time.Minute)
				r.syncWith(skewed)
				r.stands("a", "disabled", true)
				m.undelete("a", 1)
				r.wants(r.syncWith(skewed), "enable a source-back", "unchanged 2")

				m.put("b", `{"password":"two"}`)
				r.syncWith(skewed)
				r.holds("b", "two", 2)
				r.wants(r.syncWith(skewed), "unchanged 3")
			})
		})
	}
}
