package vaultsync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
	"github.com/keyferry/keyferry/vaultsync"
)

// waiting is what the record of waiting scopes holds.
func (r *rig) waiting() []vaultsync.Scope {
	r.t.Helper()
	record, err := r.leases.Get(r.t.Context(), "sync/keyvault/waiting")
	if errors.Is(err, secret.ErrNotFound) {
		return nil
	}
	r.must(err)
	var scopes []vaultsync.Scope
	r.must(json.Unmarshal(record.Data, &scopes))
	return scopes
}

func (r *rig) wantsWaiting(want ...vaultsync.Scope) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.waiting()); diff != "" {
		r.t.Errorf("scopes that wait (-want +got)\n%s", diff)
	}
}

// meanwhile does something when the run at work makes its n-th call of a kind to Vault.
func (r *rig) meanwhile(kind string, n int, do func()) {
	r.toVault.meet(once(kind, n, after(do)))
}

// TestScopeWaitsAndRunsNext: what is asked for while a run is at work is kept, told who works, and run by that run
// when it is done, once however often it was asked for.
func TestScopeWaitsAndRunsNext(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		one, two := r.mount(2), r.mount(2)
		one.put("a", `{"password":"one"}`)
		two.put("b", `{"password":"one"}`)
		d := &desk{}
		e, other := r.telling(d), r.telling(d)
		asked := vaultsync.Scope{Rule: "rule-2", Full: true}
		r.meanwhile("data", 1, func() {
			two.put("late", `{"password":"one"}`)
			for range 3 {
				report, err := other.Sync(t.Context(), asked)
				var held *state.HeldError
				if !errors.As(err, &held) || report.Complete || report.Total() != 0 {
					t.Errorf("ended with %v, %q", err, lines(report))
				}
			}
			r.wantsWaiting(asked)
		})
		report, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wants(report, "create a new", "create b new")
		r.wantsWaiting()
		r.holds("late", "one", 1)
		d.wants(t)
	})
}

// TestWaitingNeverHolds: a plan that is to be applied does not wait, and an unknown rule is refused at once.
func TestWaitingNeverHolds(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		e, other := r.telling(nil), r.telling(nil)
		_, plan, err := other.Plan(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.meanwhile("data", 1, func() {
			_, err := other.Apply(t.Context(), plan)
			r.ended(err, secret.ErrLeaseHeld)
			_, err = other.Sync(t.Context(), vaultsync.Scope{Rule: "nobody's"})
			r.ended(err, secret.ErrNotFound)
			r.wantsWaiting()
		})
		_, err = e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
	})
}

// TestCoveredScopesNeedNoRun: what waits and is part of the run that begins is not run again, unless it asks for more.
func TestCoveredScopesNeedNoRun(t *testing.T) {
	part, rule := vaultsync.Scope{Prefix: "m/app/"}, vaultsync.Scope{Rule: "rule-1"}
	for _, c := range []struct {
		run, waits vaultsync.Scope
		covered    bool
	}{
		{vaultsync.Scope{}, vaultsync.Scope{}, true},
		{vaultsync.Scope{}, part, true},
		{vaultsync.Scope{}, rule, true},
		{vaultsync.Scope{}, vaultsync.Scope{Full: true}, false},
		{vaultsync.Scope{Full: true}, vaultsync.Scope{Full: true}, true},
		{vaultsync.Scope{Full: true}, vaultsync.Scope{}, true},
		{vaultsync.Scope{}, vaultsync.Scope{AllowRemovals: 3}, false},
		{vaultsync.Scope{AllowRemovals: 3}, vaultsync.Scope{AllowRemovals: 3}, true},
		{part, vaultsync.Scope{Prefix: "m/app/db"}, true},
		{part, vaultsync.Scope{Prefix: "m/"}, false},
		{rule, vaultsync.Scope{Rule: "rule-2"}, false},
		{rule, vaultsync.Scope{Rule: "rule-1", Prefix: "m/app/"}, true},
	} {
		t.Run(fmt.Sprintf("%+v/%+v", c.run, c.waits), func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m, other := r.mount(2), r.mount(2)
				m.put("a", `{"password":"one"}`)
				other.put("b", `{"password":"one"}`)
				data, err := json.Marshal([]vaultsync.Scope{c.waits})
				r.must(err)
				_, err = r.leases.Put(t.Context(), "sync/keyvault/waiting", data, "")
				r.must(err)
				r.toVault.counted()
				_, err = r.telling(nil).Sync(t.Context(), c.run)
				r.ended(err, nil)
				if runs := r.toVault.counted()["mounts"]; (runs == 1) != c.covered {
					t.Errorf("%d runs, covered %v", runs, c.covered)
				}
				r.wantsWaiting()
			})
		})
	}
}

// TestWaitingScopesWithoutTime: a run that has not the time for another one leaves it to the next.
func TestWaitingScopesWithoutTime(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		e := r.telling(nil)
		asked := vaultsync.Scope{Full: true}
		r.toVault.meet(once("data", 1, func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			time.Sleep(20 * time.Second)
			_, err := e.Sync(t.Context(), asked)
			r.ended(err, secret.ErrLeaseHeld)
			next.ServeHTTP(w, req)
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		_, err := e.Sync(ctx, vaultsync.Scope{})
		r.ended(err, nil)
		r.wantsWaiting(asked)
		_, err = e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wantsWaiting()
	})
}

// TestWaitingScopesOutliveACut: a waiting scope whose run is cut off, or which a run that is cut off was to cover,
// waits again.
func TestWaitingScopesOutliveACut(t *testing.T) {
	for what, c := range map[string]struct {
		asked vaultsync.Scope
		mount int // which listing of the mounts ends it
	}{
		"the run that covers it":   {vaultsync.Scope{Rule: "rule-1"}, 1},
		"the run before it":        {vaultsync.Scope{Full: true}, 1},
		"its own run, after a run": {vaultsync.Scope{Full: true}, 2},
	} {
		t.Run(what, func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				m.put("a", `{"password":"one"}`)
				data, err := json.Marshal([]vaultsync.Scope{c.asked})
				r.must(err)
				_, err = r.leases.Put(t.Context(), "sync/keyvault/waiting", data, "")
				r.must(err)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r.toVault.meet(once("mounts", c.mount, after(cancel)))
				_, _ = r.telling(nil).Sync(ctx, vaultsync.Scope{})
				r.wantsWaiting(c.asked)
				_, err = r.telling(nil).Sync(t.Context(), vaultsync.Scope{})
				r.ended(err, nil)
				r.wantsWaiting()
			})
		})
	}
}

// TestManyScopesWait: more than can be kept become one run of everything.
func TestManyScopesWait(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		e := r.telling(nil)
		r.meanwhile("data", 1, func() {
			for i := range 51 {
				_, err := e.Sync(t.Context(), vaultsync.Scope{Prefix: fmt.Sprintf("%s/%d", m.path, i)})
				r.ended(err, secret.ErrLeaseHeld)
			}
			r.wantsWaiting(vaultsync.Scope{})
		})
		_, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wantsWaiting()
	})
}

// TestRecordsSomebodyEdited: what cannot be read in the records does not stop a run.
func TestRecordsSomebodyEdited(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		for _, key := range []string{"waiting", "last", "running"} {
			_, err := r.leases.Put(t.Context(), "sync/keyvault/"+key, []byte("{"), "")
			r.must(err)
		}
		e := r.telling(&desk{})
		_, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		if _, err := e.Last(t.Context()); err != nil {
			t.Error(err)
		}
		e.Running(t.Context())
	})
}

// TestRecordsOut: without the store of the records a sync works all the same.
func TestRecordsOut(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		e := r.engine(func(o *vaultsync.Options) { o.Records = out{} })
		report, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wants(report, "create a new")
	})
}

// out is a store that is out of reach.
type out struct{}

func (out) Get(context.Context, string) (state.Record, error) {
	return state.Record{}, secret.ErrUnavailable
}
func (out) Put(context.Context, string, []byte, string) (string, error) {
	return "", secret.ErrUnavailable
}
func (out) Delete(context.Context, string, string) error { return secret.ErrUnavailable }

// TestProgress: a long run says how far it is, to its caller at each step and to others every few seconds, and no
// longer when it is over.
func TestProgress(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(700) // 23 s at 300 creates in ten
		began := r.now()
		var steps, last int
		var seen []vaultsync.Progress
		var e *vaultsync.Engine
		e = r.telling(nil, func(o *vaultsync.Options) {
			o.Workers = 1
			o.Progress = func(done, total int) {
				if steps++; total != 700 || done != last+1 {
					t.Errorf("%d of %d after %d", done, total, last)
				}
				last = done
				if at := e.Running(t.Context()); at.Total > 0 && (len(seen) == 0 || seen[len(seen)-1] != at) {
					seen = append(seen, at)
				}
			}
		})
		_, err := e.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		if steps != 700 || len(seen) < 3 {
			t.Errorf("%d steps, %d records", steps, len(seen))
		}
		for i, at := range seen {
			if at.Since.Sub(began).Abs() > time.Second || at.Total != 700 || i > 0 && at.Done <= seen[i-1].Done {
				t.Errorf("the record said %+v after %+v", at, seen[max(0, i-1)])
			}
		}
		if at := e.Running(t.Context()); at != (vaultsync.Progress{}) {
			t.Errorf("when it was over it said %+v", at)
		}
	})
}
