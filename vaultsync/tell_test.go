package vaultsync_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// desk takes alerts, or refuses them.
type desk struct {
	mu      sync.Mutex
	alerts  []alert.Alert
	refuses error
}

func (d *desk) Send(_ context.Context, a alert.Alert) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuses == nil {
		d.alerts = append(d.alerts, a)
	}
	return d.refuses
}

// taken returns what came since it was last asked, as "Type subject", sorted.
func (d *desk) taken() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := []string{}
	for _, a := range d.alerts {
		out = append(out, strings.TrimPrefix(string(a.Type), "Keyferry.Sync.")+" "+a.Subject)
	}
	d.alerts = nil
	slices.Sort(out)
	return out
}

func (d *desk) wants(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), d.taken()); diff != "" {
		t.Errorf("alerts (-want +got)\n%s", diff)
	}
}

// telling is an engine that keeps reports and sends alerts to the desk.
func (r *rig) telling(d alert.Sink, edits ...func(*vaultsync.Options)) *vaultsync.Engine {
	return r.engine(append([]func(*vaultsync.Options){func(o *vaultsync.Options) {
		o.Alerts, o.Records = d, r.leases
	}}, edits...)...)
}

// TestAlertsOfConflicts: a conflict is told when it is new, by one alert each, or by one for many; what is resolved
// and comes again is new again.
func TestAlertsOfConflicts(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(30)
		d := &desk{}
		run := func(want ...string) {
			t.Helper()
			_, err := r.telling(d).Sync(t.Context(), vaultsync.Scope{})
			r.ended(err, nil)
			d.wants(t, want...)
		}
		run()
		r.pass(time.Hour)
		r.set("team0-s1", "by hand", nil)
		r.enable("team0-s2", false)
		run("Conflict team0-s1", "Conflict team0-s2")
		run()
		m.put("team0/s1", `{"password":"two"}`)
		run("Conflict team0-s1") // both changed now
		r.enable("team0-s2", true)
		run()
		r.enable("team0-s2", false)
		run("Conflict team0-s2")
		for i := range 21 {
			r.enable(fmt.Sprintf("team%d-s%d", (i+3)/10, i+3), false)
		}
		run("Conflict keyvault")
		run()
	})
}

// TestAlertsOfThePlan: a plan tells nobody.
func TestAlertsOfThePlan(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.set("a", "theirs", nil)
		d := &desk{}
		_, _, err := r.telling(d).Plan(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		d.wants(t)
		if _, err := r.telling(d).Last(t.Context()); err == nil {
			t.Error("a plan was kept as the last report")
		}
	})
}

// TestAlertsOfTheFuse: held removals are told once a day.
func TestAlertsOfTheFuse(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete)).stays()
		m.estate(12)
		d := &desk{}
		e := r.telling(d)
		run := func(want ...string) {
			t.Helper()
			_, err := e.Sync(t.Context(), vaultsync.Scope{})
			r.ended(err, nil)
			d.wants(t, want...)
		}
		run()
		for i := range 12 {
			m.wipe(fmt.Sprintf("team%d/s%d", i/10, i))
		}
		run("FuseTripped keyvault")
		r.pass(time.Hour)
		run()
		r.pass(24 * time.Hour)
		run("FuseTripped keyvault")
	})
}

// TestAlertsOfFailures: a run that fails, or does not cover everything, is told at once and then once an hour; the
// first whole run after it says that all is well.
func TestAlertsOfFailures(t *testing.T) {
	for what, c := range map[string]struct {
		meets func(r *rig)
		want  string
	}{
		"failed":     {func(r *rig) { r.toVault.meet(every("mounts", answer(503, sealed))) }, "Failed keyvault"},
		"incomplete": {func(r *rig) { r.toKeyVault.meet(every("PUT", answer(500, internalError))) }, "Incomplete keyvault"},
		"sick root":  {func(r *rig) { r.toVault.meet(every("LIST", answer(503, sealed))) }, "Incomplete keyvault"},
	} {
		t.Run(what, func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				m.put("a", `{"password":"one"}`)
				d := &desk{}
				e := r.telling(d)
				run := func(s vaultsync.Scope, want ...string) {
					t.Helper()
					_, _ = e.Sync(t.Context(), s)
					d.wants(t, want...)
				}
				run(vaultsync.Scope{})
				m.put("b", `{"password":"one"}`)
				c.meets(r)
				r.passTo(30 * time.Minute)
				run(vaultsync.Scope{}, c.want)
				run(vaultsync.Scope{})
				r.pass(time.Hour)
				run(vaultsync.Scope{}, c.want)
				r.toVault.meet(nil)
				r.toKeyVault.meet(nil)
				run(vaultsync.Scope{Prefix: m.path + "/a"})
				run(vaultsync.Scope{}, "Recovered keyvault")
				run(vaultsync.Scope{})
			})
		})
	}
}

// passTo lets time pass until so much after a full hour.
func (r *rig) passTo(after time.Duration) {
	now := r.now()
	r.pass(now.Truncate(time.Hour).Add(time.Hour + after).Sub(now))
}

// TestAlertOfARunCutOff: a run that has no time left is no failure; what it did is kept as the last report.
func TestAlertOfARunCutOff(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(30)
		d := &desk{}
		e := r.telling(d)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // not even one write fits in
		defer cancel()
		_, err := e.Sync(ctx, vaultsync.Scope{})
		r.ended(err, context.DeadlineExceeded)
		d.wants(t, "Incomplete keyvault")
		last, err := e.Last(t.Context())
		r.must(err)
		if last.Complete || last.Ended != "deadline" || len(last.Missing) == 0 {
			t.Errorf("the last report: complete %v, ended %q, missing %q", last.Complete, last.Ended, last.Missing)
		}
		if at := e.Running(t.Context()); !at.Since.IsZero() {
			t.Errorf("still running since %s", at.Since)
		}
		_, err = e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		d.wants(t, "Recovered keyvault")
	})
}

// TestAlertsOutliveADeadTopic: what cannot be delivered is kept and sent later, and does not make the run fail.
func TestAlertsOutliveADeadTopic(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(5)
		for _, name := range m.estate(5) {
			r.set(name, "theirs", nil)
		}
		d := &desk{refuses: secret.ErrUnavailable}
		outbox := alert.Outbox{Sink: d, Records: r.leases, List: r.leases.List}
		for range 2 {
			_, err := r.telling(outbox).Sync(t.Context(), vaultsync.Scope{})
			r.ended(err, nil)
		}
		d.refuses = nil
		r.must(outbox.Drain(t.Context()))
		d.wants(t, "Conflict team0-s0", "Conflict team0-s1", "Conflict team0-s2", "Conflict team0-s3", "Conflict team0-s4")
	})
}

// TestLastReport: the last report about everything is kept beside that about a part, bounded, with whole counts.
func TestLastReport(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(30)
		e := r.telling(nil)
		if _, err := e.Last(t.Context()); secret.Code(err) != "not-found" {
			t.Errorf("before the first run: %v", err)
		}
		report, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		_, err = e.Sync(t.Context(), vaultsync.Scope{Prefix: m.path + "/team1/"})
		r.ended(err, nil)
		last, err := e.Last(t.Context())
		r.must(err)
		if diff := cmp.Diff(lines(report), lines(last)); diff != "" || last.Counts[vaultsync.Create] != 30 {
			t.Errorf("the last report (-want +got)\n%s", diff)
		}
	})
}
