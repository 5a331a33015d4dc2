package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// TestAPersonWritesAtEveryCall lets a person set the secret by hand before each external call of a rotation. Their value
// stays, whatever the rotation did, and somebody is told; only between the last look and the publish itself can Key
// Vault not be asked.
func TestAPersonWritesAtEveryCall(t *testing.T) {
	cells := 0
	for _, c := range sceneries {
		calls := rehearse(t, c)
		for at, call := range calls {
			if call == "set secret" {
				t.Logf("%s: not before call %d, %q: Key Vault has no compare-and-swap, the version stays in the history", c.name, at, call)
				continue
			}
			cells++
			synctest.Test(t, func(t *testing.T) {
				s := c.set(t)
				p := healthy()
				const theirs = "typed-by-hand-0x2c"
				p.watch = func(n int, _ string) {
					if n != at {
						return
					}
					if _, err := s.secrets.Set(t.Context(), name, secret.Draft{Value: secret.New(theirs), Expires: time.Now().Add(80 * day)}); err != nil {
						t.Error(err)
					}
				}
				e := s.start(p, s.leases)
				_, err := e.Rotate(t.Context(), s.request())
				if err != nil && !secret.IsTransient(err) {
					t.Error(err)
				}
				if err := sweepFor(t.Context(), e, 3*time.Hour, 20*time.Minute); err != nil {
					t.Error(err)
				}
				if s.current(name).Value != theirs {
					t.Errorf("%s: written before call %d, %q, their value is gone", c.name, at, call)
				}
				open, err := e.Pending(t.Context())
				if err != nil {
					t.Error(err)
				}
				if c.retires && at > slices.Index(calls, "set secret") && at <= lastLook(calls) && c.name != "set" && !s.world.accepts(oldValue) {
					t.Errorf("%s: written before call %d, %q, and the old credential was retired", c.name, at, call)
				}
				told := s.told()
				for _, left := range open {
					if left.Phase != "" && (!left.Parked || told[alert.RotationConflict]+told[alert.RotationParked] == 0) {
						t.Errorf("%s: written before call %d, %q: %+v is open and nobody was told: %v", c.name, at, call, left, told)
					}
				}
				s.mustNotLeak(open)
			})
		}
	}
	t.Logf("%d cells", cells)
}

// lastLook is the call by which the run that retires begins.
func lastLook(calls []string) int {
	at := slices.Index(calls, "retire")
	for ; at >= 0 && calls[at] != "lease acquire"; at-- {
	}
	return at
}

func (s *scene) told() map[alert.Type]int {
	told := map[alert.Type]int{}
	for _, a := range s.inbox.all() {
		told[a.Type]++
	}
	return told
}

// TestLeasesThatDoNotExclude lets executors work at once that do not know of each other, as after a lease that was lost
// unnoticed: the compare-and-swap of the record and the common candidate make them converge.
func TestLeasesThatDoNotExclude(t *testing.T) {
	for _, c := range sceneries {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(40) {
				synctest.Test(t, func(t *testing.T) {
					s := c.set(t)
					s.rnd.Uint64()
					for range seed {
						s.rnd.Uint64()
					}
					var wg sync.WaitGroup
					for range 3 {
						p := healthy()
						p.pause = s.jitter
						e := s.start(p, state.NewMemory(time.Now)) // a lease of its own
						wg.Go(func() {
							for range 4 {
								if _, err := e.Rotate(t.Context(), s.request()); err != nil && !secret.IsTransient(err) {
									t.Error(err)
								}
								s.jitter()
							}
						})
					}
					wg.Wait()
					if err := sweepFor(t.Context(), s.start(healthy(), s.leases), 4*time.Hour, 20*time.Minute); err != nil {
						t.Error(err)
					}
					if current := s.current(name).Value; !s.world.accepts(current) || current == oldValue {
						t.Errorf("seed %d: the current value works: %v", seed, s.world.accepts(current))
					}
					if live := s.world.live(); c.retires && len(live) != 1 || len(live) > 2 {
						t.Errorf("seed %d: %d credentials are live", seed, len(live))
					}
					if open, err := s.start(healthy(), s.leases).Pending(t.Context()); err != nil || len(open) > 0 {
						t.Errorf("seed %d: still open: %+v, %v", seed, open, err)
					}
					s.mustNotLeak()
				})
			}
		})
	}
}

// TestManyCopiesOverFourProcesses delivers a hundred copies of an event, near expiry and expired mixed.
func TestManyCopiesOverFourProcesses(t *testing.T) {
	for _, c := range sceneries {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.set(t)
				var engines []*rotation.Engine
				for range 4 {
					p := healthy()
					p.pause = s.jitter
					engines = append(engines, s.start(p, s.leases))
				}
				var wg sync.WaitGroup
				for i := range 100 {
					wg.Go(func() {
						r := s.request()
						r.Cause = []rotation.Cause{rotation.CauseNearExpiry, rotation.CauseExpired}[i/4%2]
						for {
							_, err := engines[i%4].Rotate(t.Context(), r)
							if err == nil {
								return
							}
							if !errors.Is(err, secret.ErrLeaseHeld) {
								t.Error(err)
								return
							}
							s.jitter() // Event Grid comes again
						}
					})
				}
				wg.Wait()
				if n := len(s.versions(name)); n != 2 {
					t.Errorf("%d versions", n)
				}
				if told := s.told(); told[alert.RotationSucceeded] != 1 || len(told) != 1 {
					t.Errorf("told: %v", told)
				}
				if err := sweepFor(t.Context(), engines[0], 2*time.Hour, 20*time.Minute); err != nil {
					t.Error(err)
				}
				s.converged(t, c, false, false)
			})
		})
	}
}

// TestKeyVaultCannotBeWrittenForHours is the outage before anything was touched, and the one after the target was.
func TestKeyVaultCannotBeWrittenForHours(t *testing.T) {
	for _, c := range sceneries {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after apply %v", c.name, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := c.set(t)
					begun, ends := false, time.Now().Add(7*time.Hour)
					p := healthy()
					p.watch = func(_ int, call string) { begun = begun || call == "record put" && after }
					e := s.start(p, s.leases, func(o *rotation.Options) {
						o.Secrets = shut{o.Secrets, func() bool { return (begun || !after) && time.Now().Before(ends) }}
					})
					if _, err := e.Rotate(t.Context(), s.request()); err != nil {
						t.Fatal(err)
					}
					untouched := fmt.Sprint(s.world.live())
					if current := s.current(name).Value; !after && !s.world.accepts(current) {
						t.Error("the target was touched though Key Vault could not be written")
					} else if !s.world.accepts(current) && s.told()[alert.RotationAppliedNotPublished] != 1 {
						t.Errorf("readers fail and nobody was told: %v", s.told())
					}
					if err := sweepFor(t.Context(), e, 6*time.Hour, 2*time.Minute); err != nil {
						t.Error(err)
					}
					if _, mints := s.world.(*mint); !after && !mints && c.name != "slot" && fmt.Sprint(s.world.live()) != untouched {
						t.Error("the target was touched though Key Vault could not be written")
					}
					if err := sweepFor(t.Context(), e, 15*time.Hour, 2*time.Minute); err != nil {
						t.Error(err)
					}
					s.converged(t, c, true, false)
				})
			})
		}
	}
}

// shut is a Key Vault that can be read only.
type shut struct {
	rotation.Secrets
	now func() bool
}

func (s shut) Set(ctx context.Context, name string, d secret.Draft) (secret.Meta, error) {
	if s.now() {
		return secret.Meta{}, fmt.Errorf("set secret: %w", secret.ErrUnavailable)
	}
	return s.Secrets.Set(ctx, name, d)
}

func (s shut) UpdateVersion(ctx context.Context, name, version string, p secret.Patch) (secret.Meta, error) {
	if s.now() {
		return secret.Meta{}, fmt.Errorf("update secret: %w", secret.ErrUnavailable)
	}
	return s.Secrets.UpdateVersion(ctx, name, version, p)
}
