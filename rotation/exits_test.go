package rotation_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// stuck leaves a rotation whose new version Key Vault could not take, and reports the engine of a healthy process.
func stuck(t *testing.T, c scenery) (*scene, *rotation.Engine) {
	s := c.set(t)
	shutFor := true
	e := s.start(healthy(), s.leases, func(o *rotation.Options) {
		o.Secrets = onlyStaging{o.Secrets, func() bool { return shutFor }}
	})
	got, err := e.Rotate(t.Context(), s.request())
	if err != nil || got.Verdict != rotation.Continuing {
		t.Fatalf("got %+v, %v", got, err)
	}
	shutFor = false
	return s, s.start(healthy(), s.leases)
}

func TestExits(t *testing.T) {
	for _, c := range sceneries {
		for _, exit := range []rotation.Exit{rotation.Resume, rotation.Abandon, rotation.Rollback} {
			t.Run(c.name+"/"+string(exit), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, e := stuck(t, c)
					got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: exit})
					if err != nil {
						t.Fatal(err)
					}
					open, err := e.Pending(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if exit == rotation.Resume {
						if got.Verdict != rotation.Rotated {
							t.Errorf("got %+v", got)
						}
						return
					}
					if got.Verdict != rotation.Closed || len(open) > 0 || len(s.versions(name)) != 1 {
						t.Errorf("got %+v, open %+v, %d versions", got, open, len(s.versions(name)))
					}
					if p := s.current(secret.PendingName(name)); p.ID != "" && !p.Disabled {
						t.Error("the staging secret is still open")
					}
					works := s.world.accepts(oldValue)
					if _, single := s.world.(*onePassword); works == (single && exit == rotation.Abandon) {
						t.Errorf("the old value works: %v", works)
					}
					if _, mints := s.world.(*mint); mints && !slices.Equal(s.world.live(), []string{oldValue}) {
						t.Error("what was minted is left")
					}
					if again, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: exit}); err != nil || again.Reason != rotation.ReasonNoRotation {
						t.Errorf("again: %+v, %v", again, err)
					}
					s.mustNotLeak(got, open)
				})
			})
		}
	}
}

func TestResumeEndsTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[3].set(t)
		e := s.start(healthy(), s.leases)
		if _, err := e.Rotate(t.Context(), s.request()); err != nil {
			t.Fatal(err)
		}
		for _, force := range []bool{false, true} {
			got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Force: force})
			if err != nil || got.Reason != rotation.ReasonGrace || len(s.world.live()) != 2 {
				t.Errorf("in grace, force %v: %+v, %v", force, got, err)
			}
		}
		if _, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Resume}); err != nil {
			t.Fatal(err)
		}
		s.converged(t, sceneries[3], false, false)
	})
}

// TestARotationIsParkedAndResumed fails for days: operators hear of it when it is applied, and when it is given up, and
// again as the secret comes closer to its expiry.
func TestARotationIsParkedAndResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[0].set(t)
		shut := true
		e := s.start(healthy(), s.leases, func(o *rotation.Options) { o.Secrets = onlyStaging{o.Secrets, func() bool { return shut }} })
		if _, err := e.Rotate(t.Context(), s.request()); err != nil {
			t.Fatal(err)
		}
		if told := s.told(); told[alert.RotationAppliedNotPublished] != 1 || len(told) != 1 {
			t.Errorf("at once: %v", told)
		}
		if err := sweepFor(t.Context(), e, 7*day, 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		told := s.told()
		open, err := e.Pending(t.Context())
		if err != nil || len(open) != 1 || !open[0].Parked || told[alert.RotationParked] != 1 || told[alert.RotationAppliedNotPublished] != 1 {
			t.Fatalf("%+v, %v, told %v", open, err, told)
		}
		if err := sweepFor(t.Context(), e, 22*day, time.Hour); err != nil {
			t.Fatal(err)
		}
		if told := s.told(); told[alert.RotationFailed] < 4 || told[alert.RotationFailed] > 6 {
			t.Errorf("on the ladder: %v", told)
		}
		shut = false
		got, err := e.Rotate(t.Context(), s.request())
		if err != nil || got.Reason != rotation.ReasonParked {
			t.Errorf("an event of a parked one: %+v, %v", got, err)
		}
		if got, err = e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Resume}); err != nil || got.Verdict != rotation.Rotated {
			t.Errorf("resumed: %+v, %v", got, err)
		}
		if open, err := e.Pending(t.Context()); err != nil || len(open) > 0 || s.current(name).Value == oldValue {
			t.Errorf("then %+v, %v", open, err)
		}
	})
}

func TestRollbackOfWhatIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[1].set(t)
		e := s.start(healthy(), s.leases)
		if _, err := e.Rotate(t.Context(), s.request()); err != nil {
			t.Fatal(err)
		}
		got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Rollback})
		if err != nil || got.Verdict != rotation.Nothing {
			t.Errorf("got %+v, %v", got, err)
		}
		got, err = e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Abandon})
		if err != nil || got.Verdict != rotation.Closed || len(s.world.live()) != 2 {
			t.Errorf("abandoned in its grace: %+v, %v; %d live", got, err, len(s.world.live()))
		}
	})
}

// TestAConflictIsResumed once the person put the value back that was there.
func TestAConflictIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := stuck(t, sceneries[0])
		set := func(value string) {
			t.Helper()
			if _, err := s.secrets.Set(t.Context(), name, secret.Draft{Value: secret.New(value), Tags: map[string]string{secret.TagRotationType: "fake", "owner": "shop"}}); err != nil {
				t.Fatal(err)
			}
		}
		set("typed-by-hand-0x2c")
		for range 2 {
			got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Resume})
			if err != nil || got.Verdict != rotation.Conflict {
				t.Fatalf("got %+v, %v", got, err)
			}
		}
		set(oldValue)
		got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Resume})
		if err != nil || got.Verdict != rotation.Rotated || !s.world.accepts(s.current(name).Value) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// onlyStaging is a Key Vault that takes no version of the secret itself.
type onlyStaging struct {
	rotation.Secrets
	now func() bool
}

func (o onlyStaging) Set(ctx context.Context, name string, d secret.Draft) (secret.Meta, error) {
	if o.now() && !secret.IsPending(name) {
		return secret.Meta{}, errors.New("policy says no")
	}
	return o.Secrets.Set(ctx, name, d)
}
