package vaultsync_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// limited bends the fuse.
func limited(l vaultsync.Limits) func(*vaultsync.Options) {
	return func(o *vaultsync.Options) { o.Settings.Limits = l }
}

// TestFuse: how many removals a run makes, at the edge of each limit. What is over is held as a whole and told, a plan
// says the same, and a release lets one run through.
func TestFuse(t *testing.T) {
	for _, c := range []struct {
		what     string
		limits   vaultsync.Limits
		copies   int // beside those that go
		gone     int
		released int
		held     bool
	}{
		{"ten by default", vaultsync.Limits{}, 20, 10, 0, false},
		{"eleven by default", vaultsync.Limits{}, 20, 11, 0, true},
		{"a number of one's own", vaultsync.Limits{Removals: 2}, 5, 2, 0, false},
		{"over a number of one's own", vaultsync.Limits{Removals: 2}, 5, 3, 0, true},
		{"a share of one's own", vaultsync.Limits{Removals: 1, RemovalShare: 0.5}, 5, 5, 0, false},
		{"over a share of one's own", vaultsync.Limits{Removals: 1, RemovalShare: 0.5}, 4, 5, 0, true},
		{"released by just as many", vaultsync.Limits{Removals: 2}, 5, 4, 4, false},
		{"released by one too few", vaultsync.Limits{Removals: 2}, 5, 4, 3, true},
		{"a release narrows nothing", vaultsync.Limits{Removals: 2}, 5, 2, 1, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(vaultsync.DeleteDisable))
				for i := range c.copies {
					m.put(fmt.Sprintf("stays%d", i), `{"password":"one"}`)
				}
				for i := range c.gone {
					m.put(fmt.Sprintf("goes%d", i), `{"password":"one"}`)
				}
				r.sync(nil)
				for i := range c.gone {
					m.wipe(fmt.Sprintf("goes%d", i))
				}
				e := r.engine(limited(c.limits))
				scope := vaultsync.Scope{AllowRemovals: c.released}
				planned, _, err := e.Plan(t.Context(), scope)
				r.ended(err, nil)
				done, err := e.Sync(t.Context(), scope)
				r.ended(err, nil)
				for what, report := range map[string]*vaultsync.Report{"plan": planned, "sync": done} {
					held, disabled := c.gone, 0
					if !c.held {
						held, disabled = 0, c.gone
					}
					if report.Held != held || report.Counts[vaultsync.Conflict] != held || report.Counts[vaultsync.Disable] != disabled {
						t.Errorf("%s: %d held, %v", what, report.Held, report.Counts)
					}
				}
				for i := range c.gone {
					r.stands(fmt.Sprintf("goes%d", i), map[bool]string{true: "active", false: "disabled"}[c.held], !c.held)
				}
			})
		})
	}
}

// TestDeletionStorm: while removals are held everything else goes on, and when the secrets are back it was as if
// nothing had been.
func TestDeletionStorm(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete))
		names := m.estate(40)
		r.sync(nil)
		before := r.snapshot()
		for i := range 30 {
			m.remove(fmt.Sprintf("team%d/s%d", i/10, i))
		}
		m.put("team3/s35", `{"password":"changed"}`)
		m.put("new", `{"password":"new"}`)
		for range 2 {
			report := r.sync(nil)
			if report.Held != 30 {
				t.Errorf("%d removals are held, want 30", report.Held)
			}
		}
		r.holds("team3-s35", "changed", 2)
		r.holds("new", "new", 1)
		for _, name := range names[:30] {
			if r.snapshot()[name] != before[name] {
				t.Errorf("%s was touched", name)
			}
		}
		for i := range 30 {
			m.undelete(fmt.Sprintf("team%d/s%d", i/10, i), 1)
		}
		r.wants(r.sync(nil), "unchanged 41")
	})
}

// TestFuseReleasedOnce: the release is for one run, and the next finds nothing more to remove.
func TestFuseReleasedOnce(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
		m.estate(12)
		r.sync(nil)
		for i := range 12 {
			m.wipe(fmt.Sprintf("team%d/s%d", i/10, i))
		}
		if held := r.sync(nil).Held; held != 12 {
			t.Errorf("%d are held, want 12", held)
		}
		report, err := r.engine().Sync(t.Context(), vaultsync.Scope{AllowRemovals: 12})
		r.ended(err, nil)
		if report.Counts[vaultsync.Delete] != 12 || report.Held != 0 {
			t.Errorf("got %v, %d held", report.Counts, report.Held)
		}
		r.wants(r.sync(nil), "unchanged 1")
	})
}

// TestFuseAndScopes: a run of a part removes in that part only.
func TestFuseAndScopes(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one := r.mount(1, onDelete(vaultsync.DeleteDelete)).stays()
		two := r.mount(2, onDelete(vaultsync.DeleteDelete))
		one.put("app/a", `{"password":"one"}`)
		two.put("stays2", `{"password":"one"}`)
		two.put("app/b", `{"password":"one"}`)
		two.put("other/c", `{"password":"one"}`)
		r.sync(nil)
		one.remove("app/a")
		two.wipe("app/b")
		two.wipe("other/c")
		for _, c := range []struct {
			scope vaultsync.Scope
			want  []string
		}{
			{vaultsync.Scope{Prefix: two.path + "/app/"}, []string{"delete app-b source-deleted"}},
			{vaultsync.Scope{Rule: "rule-1"}, []string{"delete app-a source-deleted", "unchanged 1"}},
			{vaultsync.Scope{Rule: "rule-2", Prefix: two.path + "/stays"}, []string{"unchanged 1"}},
			{vaultsync.Scope{}, []string{"delete other-c source-deleted", "unchanged 2"}},
		} {
			report, err := r.engine().Sync(t.Context(), c.scope)
			r.ended(err, nil)
			r.wants(report, c.want...)
		}
	})
}

// TestRotatingIsLeftAlone: what a rotation has in hand is neither written, nor tagged, nor removed, nor cut over; the
// next run does it.
func TestRotatingIsLeftAlone(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDisable), func(rule *vaultsync.Rule) { rule.Rotation.Type = "generated" }).stays()
		for _, path := range []string{"moves", "goes", "equal"} {
			m.put(path, `{"password":"one"}`)
		}
		r.sync(nil)
		m.put("moves", `{"password":"two"}`)
		m.put("equal", `{"password":"one"}`)
		m.wipe("goes")
		before := r.snapshot()
		asked := map[string]bool{}
		rotating := r.engine(func(o *vaultsync.Options) {
			o.Workers = 1
			o.Apart = func(_ context.Context, name string, _ func(context.Context) error) error {
				asked[name] = true
				return secret.ErrLeaseHeld
			}
		})
		report, err := rotating.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wants(report, "skip equal rotating", "skip goes rotating", "skip moves rotating", "unchanged 1")
		r.same("while rotations are under way", before, r.snapshot())
		if asked["stays"] {
			t.Error("asked for a secret that is not written")
		}
		report, err = rotating.Cutover(t.Context(), vaultsync.CutoverRequest{Names: []string{"stays"}})
		r.ended(err, nil)
		r.wants(report, "skip stays rotating")
		r.wants(r.sync(nil), "disable goes source-deleted", "retag equal equal-value", "update moves source-changed", "unchanged 1")
	})
}
