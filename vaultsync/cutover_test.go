package vaultsync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// cutover runs a cutover that must end with the error.
func (r *rig) cutover(want error, q vaultsync.CutoverRequest) *vaultsync.Report {
	r.t.Helper()
	report, err := r.engine().Cutover(r.t.Context(), q)
	r.ended(err, want)
	return report
}

// TestCutover: a copy whose value is proven equal gets its home in Key Vault, without a new version. From then on sync
// leaves it alone, says when somebody still writes to Vault, and an undo is refused until the values are equal again.
func TestCutover(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(version, onDelete(vaultsync.DeleteDelete)).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				r.tag("a", "owner", "me")
				ask, undo := vaultsync.CutoverRequest{Names: []string{"A"}}, vaultsync.CutoverRequest{Names: []string{"a"}, Undo: true}
				r.wants(r.cutover(nil, ask), "cutover a equal-value")
				r.holds("a", "one", 1)
				copied := r.copied("a")
				if copied.Tags[secret.TagAuthority] != secret.AuthorityKeyVault || copied.Tags["owner"] != "me" || copied.Expires.IsZero() {
					t.Errorf("tags %v, expires %s", copied.Tags, copied.Expires)
				}
				r.wants(r.cutover(nil, ask), "unchanged 1")
				r.wants(r.sync(nil), "skip a authority-keyvault", "unchanged 1")

				late := map[int]string{1: "authority-keyvault", 2: "late-write"}[version]
				m.put("a", `{"password":"late"}`)
				r.wants(r.plan(nil), "skip a "+late, "unchanged 1")
				r.wants(r.sync(nil), "skip a "+late, "unchanged 1")
				r.wants(r.cutover(secret.ErrPartial, undo), "conflict a values-differ")
				r.holds("a", "one", 1)
				m.put("a", `{"password":"one"}`)
				r.wants(r.cutover(nil, undo), "cutover a equal-value")
				r.holds("a", "one", 1)
				m.put("a", `{"password":"two"}`)
				r.wants(r.sync(nil), "update a source-changed", "unchanged 1")

				// and for good: Vault is tidied up
				r.cutover(nil, ask)
				r.set("a", "rotated", r.copied("a").Tags)
				if version == 2 {
					m.remove("a")
					r.wants(r.sync(nil), "skip a authority-keyvault", "unchanged 1")
					m.wipe("a")
				} else {
					m.remove("a")
				}
				r.wants(r.sync(nil), "skip a authority-keyvault", "unchanged 1")
				r.holds("a", "rotated", 3)
			})
		})
	}
}

// TestCutoverRefused: what cannot be proven equal keeps its home, and each refusal has its word.
func TestCutoverRefused(t *testing.T) {
	for what, c := range map[string]struct {
		edit func(r *rig, m mount)
		want string
	}{
		"Vault moved":            {func(_ *rig, m mount) { m.put("a", `{"password":"two"}`) }, "conflict a values-differ"},
		"edited in Key Vault":    {func(r *rig, _ mount) { r.set("a", "by hand", r.copied("a").Tags) }, "conflict a values-differ"},
		"overwritten":            {func(r *rig, _ mount) { r.set("a", "one", nil) }, "conflict a foreign"},
		"disabled":               {func(r *rig, _ mount) { r.enable("a", false) }, "conflict a destination-disabled"},
		"deleted":                {func(r *rig, _ mount) { r.drops("a") }, "conflict a not-copied"},
		"deleted in Vault":       {func(_ *rig, m mount) { m.remove("a") }, "conflict a source-deleted"},
		"destroyed in Vault":     {func(_ *rig, m mount) { m.destroy("a", 1) }, "conflict a source-deleted"},
		"empty in Vault":         {func(_ *rig, m mount) { m.put("a", `{"password":""}`) }, "conflict a empty"},
		"gone from Vault":        {func(_ *rig, m mount) { m.wipe("a") }, "failed a not-found"},
		"another path's":         {func(r *rig, _ mount) { r.tag("a", secret.TagVaultPath, "elsewhere/a") }, "conflict a other-path"},
		"of another source":      {func(r *rig, _ mount) { r.tag("a", secret.TagMigratedFrom, "another") }, "conflict a other-path"},
		"its authority edited":   {func(r *rig, _ mount) { r.tag("a", secret.TagAuthority, "me") }, "conflict a bad-tag"},
		"no longer selected":     {func(r *rig, _ mount) { r.rules[0].Exclude = []string{"a"} }, "failed a not-found"},
		"its name is contested":  {func(_ *rig, m mount) { m.put("a-", `{"password":"two"}`) }, "cutover a equal-value"},
		"written since the copy": {func(_ *rig, m mount) { m.put("a", `{"password":"one"}`) }, "cutover a equal-value"},
	} {
		t.Run(what, func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2).stays()
				m.put("a", `{"password":"one"}`)
				r.sync(nil)
				r.pass(time.Minute)
				c.edit(r, m)
				before := r.copied("a")
				report, err := r.engine().Cutover(t.Context(), vaultsync.CutoverRequest{Names: []string{"a"}})
				cut := report.Counts[vaultsync.Cutover] == 1
				if (err == nil) != cut {
					t.Errorf("ended with %v", err)
				}
				if got := line(report, "a", m.path+"/a"); got != c.want {
					if got = line(report, "a", ""); got != c.want {
						t.Errorf("got %q, want %q", lines(report), c.want)
					}
				}
				if after := r.copied("a"); !cut && (after.Tags[secret.TagAuthority] != before.Tags[secret.TagAuthority] || !after.Updated.Equal(before.Updated)) {
					t.Error("the copy was touched")
				}
			})
		})
	}
}

// TestCutoverOfARule: all of a rule at once; one that is refused does not keep the others.
func TestCutoverOfARule(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one, two := r.mount(1), r.mount(2)
		one.put("a", `{"password":"one"}`)
		two.put("b", `{"password":"one"}`)
		two.put("c", `{"password":"one"}`)
		r.sync(nil)
		two.put("c", `{"password":"two"}`)
		two.put("new", `{"password":"two"}`)
		r.wants(r.cutover(secret.ErrPartial, vaultsync.CutoverRequest{Rule: "rule-2"}),
			"conflict c values-differ", "conflict new not-copied", "cutover b equal-value")
		r.wants(r.cutover(nil, vaultsync.CutoverRequest{Rule: "rule-2", Names: []string{"b"}, Undo: true}), "cutover b equal-value")
		r.wants(r.sync(nil), "create new new", "update c source-changed", "unchanged 2")
	})
}

// TestCutoverOfWhat: without names and rule nothing is asked; a rule nobody has is unknown.
func TestCutoverOfWhat(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.cutover(secret.ErrUsage, vaultsync.CutoverRequest{})
		r.cutover(secret.ErrNotFound, vaultsync.CutoverRequest{Rule: "nobody's"})
		r.cutover(secret.ErrNotFound, vaultsync.CutoverRequest{Names: []string{"a"}}) // no hash key: nothing was ever copied
		if n := r.toVault.counted()["LIST"] + r.toKeyVault.counted()["PATCH"]; n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestCutoverOfOneField: with as: key each field has its own home, and the others go on.
func TestCutoverOfOneField(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey)
		m.put("a", `{"user":"u","password":"one"}`)
		r.sync(nil)
		r.wants(r.cutover(nil, vaultsync.CutoverRequest{Names: []string{"a-password"}}), "cutover a-password equal-value")
		r.wants(r.sync(nil), "skip a-password authority-keyvault", "unchanged 1")
		m.put("a", `{"user":"v","password":"two"}`)
		r.wants(r.sync(nil), "skip a-password late-write", "update a-user source-changed")
		r.holds("a-password", "one", 1)
	})
}

// TestCutoverUnderAnEdit: somebody writes between the comparison and the patch; their version is not given a home.
func TestCutoverUnderAnEdit(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		r.pass(time.Hour)
		r.toKeyVault.meet(once("GET", 2, after(func() { r.set("a", "by hand", r.copied("a").Tags) })))
		r.cutover(nil, vaultsync.CutoverRequest{Names: []string{"a"}})
		r.holds("a", "by hand", 2)
		if got := r.copied("a").Tags[secret.TagAuthority]; got != secret.AuthorityVault {
			t.Errorf("the edit has the authority %q", got)
		}
		r.toKeyVault.meet(nil)
		r.wants(r.sync(nil), "conflict a destination-changed")
	})
}

// TestCutoverWhileARunIsAtWork: it waits for nobody, and says who works.
func TestCutoverWhileARunIsAtWork(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		m.put("b", `{"password":"one"}`)
		r.meanwhile("data", 1, func() { r.cutover(secret.ErrLeaseHeld, vaultsync.CutoverRequest{Names: []string{"a"}}) })
		r.sync(nil)
	})
}
