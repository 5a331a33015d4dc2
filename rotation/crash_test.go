package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

var errStopped = errors.New("the process was killed")

// doomed is a process that is killed at its n-th external call. Every call after that fails too, so that deferred
// clean-up cannot help.
type doomed struct {
	at     int  // the call, from 0
	served bool // the call takes effect before the end: its answer is lost
	mu     sync.Mutex
	calls  int
	names  []string
}

// call runs do unless the process is dead, and says whether its answer arrives.
func (d *doomed) call(name string, do func()) error {
	d.mu.Lock()
	n := d.calls
	d.calls++
	d.names = append(d.names, name)
	d.mu.Unlock()
	if n < d.at || n == d.at && d.served {
		do()
	}
	if n >= d.at {
		return errStopped
	}
	return nil
}

// options puts the doomed process between the engine and the world.
func (d *doomed) options(r *rig) func(*rotation.Options) {
	return func(o *rotation.Options) {
		o.Secrets = doomedSecrets{d, o.Secrets}
		o.Alerts = doomedSink{d, o.Alerts}
		o.Lock = func(ctx context.Context, lease string, fn func(context.Context) error) error {
			return state.Hold(ctx, doomedLeaser{d, r.leases}, lease, "doomed", fn)
		}
	}
}

type doomedSecrets struct {
	d *doomed
	rotation.Secrets
}

func (s doomedSecrets) GetVersion(ctx context.Context, name, version string) (v secret.Value, m secret.Meta, err error) {
	if dead := s.d.call("get", func() { v, m, err = s.Secrets.GetVersion(ctx, name, version) }); dead != nil {
		return secret.Value{}, secret.Meta{}, dead
	}
	return v, m, err
}

func (s doomedSecrets) Set(ctx context.Context, name string, draft secret.Draft) (m secret.Meta, err error) {
	if dead := s.d.call("set", func() { m, err = s.Secrets.Set(ctx, name, draft) }); dead != nil {
		return secret.Meta{}, dead
	}
	return m, err
}

type doomedSink struct {
	d *doomed
	alert.Sink
}

func (s doomedSink) Send(ctx context.Context, a alert.Alert) (err error) {
	if dead := s.d.call("alert", func() { err = s.Sink.Send(ctx, a) }); dead != nil {
		return dead
	}
	return err
}

type doomedLeaser struct {
	d *doomed
	state.Leaser
}

func (l doomedLeaser) Acquire(ctx context.Context, name, holder string) (lease state.Lease, err error) {
	if dead := l.d.call("acquire", func() { lease, err = l.Leaser.Acquire(ctx, name, holder) }); dead != nil {
		return state.Lease{}, dead
	}
	return lease, err
}

func (l doomedLeaser) Release(ctx context.Context, lease state.Lease) (err error) {
	if dead := l.d.call("release", func() { err = l.Leaser.Release(ctx, lease) }); dead != nil {
		return dead
	}
	return err
}

// TestKilledAtEveryCall kills the process at each of its external calls, before the call and after it took effect, and
// lets Event Grid deliver the event again to another process: there is exactly one new value, with all of its tags.
func TestKilledAtEveryCall(t *testing.T) {
	var names []string
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		whole := &doomed{at: 1000}
		if _, err := r.engine(whole.options(r)).Rotate(t.Context(), rotation.Request{Name: name, Version: r.seed()}); err != nil {
			t.Fatal(err)
		}
		names = whole.names
	})
	cells := 0
	for at, call := range names {
		for _, served := range []bool{false, true} {
			cells++
			t.Run(fmt.Sprintf("%d %s, served %v", at, call, served), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					request := rotation.Request{Name: name, Version: r.seed(), Cause: rotation.CauseNearExpiry}
					killed := &doomed{at: at, served: served}
					_, err := r.engine(killed.options(r)).Rotate(t.Context(), request)
					if err != nil && !secret.IsTransient(err) {
						t.Errorf("Event Grid would be told not to come back: %v", err)
					}
					time.Sleep(state.LeaseTime) // the lease of the dead runs out
					for range 2 {
						if _, err := r.engine().Rotate(t.Context(), request); err != nil {
							t.Fatal(err)
						}
					}
					made := r.current(name)
					if len(r.versions(name)) != 2 || made.Value == oldValue {
						t.Errorf("%d versions, current value changed: %v", len(r.versions(name)), made.Value != oldValue)
					}
					for _, tag := range []string{"owner", secret.TagRotationType, secret.TagRotationState, secret.TagAuthority} {
						if made.Tags[tag] == "" {
							t.Errorf("the new version has no tag %s", tag)
						}
					}
				})
			})
		}
	}
	t.Logf("%d cells: %v", cells, names)
	if len(names) < 6 {
		t.Errorf("only %d calls were seen", len(names))
	}
}

// TestALostLeaseEndsTheRotation refuses to renew the lease while the target is slow: nothing is published.
func TestALostLeaseEndsTheRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		version := r.seed(withTag(secret.TagRotationType, "fake"))
		slow := newTarget()
		slow.set = func(ctx context.Context, _, _ rotation.Credential) error {
			time.Sleep(30 * time.Second) // does not look at its context
			return nil
		}
		e := r.engine(slow.options, func(o *rotation.Options) {
			o.Lock = func(ctx context.Context, lease string, fn func(context.Context) error) error {
				return state.Hold(ctx, stingy{r.leases}, lease, "test", fn)
			}
		})
		_, err := e.Rotate(t.Context(), rotation.Request{Name: name, Version: version})
		if !errors.Is(err, secret.ErrLeaseLost) || !secret.IsTransient(err) || len(r.versions(name)) != 1 {
			t.Errorf("%v; %d versions", err, len(r.versions(name)))
		}
	})
}

// stingy gives a lease but never renews it.
type stingy struct{ state.Leaser }

func (stingy) Renew(context.Context, state.Lease) error { return secret.ErrLeaseLost }
