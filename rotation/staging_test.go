package rotation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// TestWhatAnEventCosts counts the calls of a rotation of a password that its user changes.
func TestWhatAnEventCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[0].set(t)
		got, err := s.start(healthy(), s.leases).Rotate(t.Context(), s.request())
		if calls := s.vault.Calls(); err != nil || got.Verdict != rotation.Rotated || sum(calls) > 6 {
			t.Errorf("%+v, %v: %d calls, %v", got, err, sum(calls), calls)
		}
	})
}

// TestTheRecordIsAheadOfThePublish: whoever finds readers with a credential that does not work finds out why.
func TestTheRecordIsAheadOfThePublish(t *testing.T) {
	for _, c := range sceneries {
		synctest.Test(t, func(t *testing.T) {
			s := c.set(t)
			p := healthy()
			p.watch = func(_ int, call string) {
				if call != "set secret" {
					return
				}
				open, err := s.start(healthy(), s.leases).Pending(t.Context())
				if err != nil || len(open) != 1 || open[0].Phase != "applied" && c.name != "key vault only" {
					t.Errorf("%s: %+v, %v", c.name, open, err)
				}
			}
			if _, err := s.start(p, s.leases).Rotate(t.Context(), s.request()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTooLittleTimeStartsNothing gives a rotation less time than one step may take, and then less than all take.
func TestTooLittleTimeStartsNothing(t *testing.T) {
	for _, c := range sceneries {
		for _, left := range []time.Duration{9 * time.Second, 13 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				s := c.set(t)
				before := s.world.live()
				p := healthy()
				p.pause = func() { time.Sleep(500 * time.Millisecond) }
				ctx, cancel := context.WithTimeout(t.Context(), left)
				defer cancel()
				got, err := s.start(p, s.leases).Rotate(ctx, s.request())
				if err == nil && got.Verdict != rotation.Continuing && left < 10*time.Second || err != nil && !secret.IsTransient(err) {
					t.Errorf("%s, %s: %+v, %v", c.name, left, got, err)
				}
				if left < 10*time.Second && (len(s.versions(name)) != 1 || len(s.versions(secret.PendingName(name))) > 0 || !slices.Equal(before, s.world.live())) {
					t.Errorf("%s: something was changed", c.name)
				}
				time.Sleep(state.LeaseTime)
				if err := sweepFor(t.Context(), s.start(healthy(), s.leases), 3*time.Hour, 20*time.Minute); err != nil {
					t.Error(err)
				}
				s.converged(t, c, false, false)
			})
		}
	}
}

// TestAStagingSecretThatIsNotOurs is neither used nor overwritten.
func TestAStagingSecretThatIsNotOurs(t *testing.T) {
	for title, tags := range map[string]map[string]string{
		"no tags":        nil,
		"another secret": {"pending-for": "other", secret.TagRotationState: "id.v1.1"},
		"made up":        {"pending-for": name, secret.TagRotationState: "x"},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sceneries[0].set(t)
				if err := s.vault.Seed(emulator.Secret{Name: secret.PendingName(name), Versions: []emulator.Version{{Value: "theirs-0x2a", Tags: tags}}}); err != nil {
					t.Fatal(err)
				}
				got, err := s.start(healthy(), s.leases).Rotate(t.Context(), s.request())
				if err != nil || got.Verdict != rotation.Failed || got.Reason != rotation.ReasonStaging ||
					len(s.versions(secret.PendingName(name))) != 1 || !s.world.accepts(oldValue) {
					t.Errorf("got %+v, %v", got, err)
				}
				s.mustNotLeak(got)
			})
		})
	}
}

// TestTheCandidateIsTampered has somebody disable, delete or replace the candidate while the target may have it.
func TestTheCandidateIsTampered(t *testing.T) {
	off := false
	for title, tamper := range map[string]func(*scene, context.Context) error{
		"disabled": func(s *scene, ctx context.Context) error {
			_, err := s.secrets.Update(ctx, secret.PendingName(name), secret.Patch{Enabled: &off})
			return err
		},
		"deleted": func(s *scene, ctx context.Context) error { return s.secrets.Delete(ctx, secret.PendingName(name)) },
		"tags edited": func(s *scene, ctx context.Context) error {
			_, err := s.secrets.Update(ctx, secret.PendingName(name), secret.Patch{Tags: map[string]string{"note": "mine"}})
			return err
		},
		"replaced": func(s *scene, ctx context.Context) error {
			_, err := s.secrets.Set(ctx, secret.PendingName(name), secret.Draft{Value: secret.New("theirs-0x2a")})
			return err
		},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, e := stuck(t, sceneries[0])
				if err := tamper(s, t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := sweepFor(t.Context(), e, time.Hour, 2*time.Minute); err != nil {
					t.Fatal(err)
				}
				open, err := e.Pending(t.Context())
				if title == "replaced" { // the version is still there
					if err != nil || len(open) > 0 || !s.world.accepts(s.current(name).Value) {
						t.Errorf("%+v, %v", open, err)
					}
					return
				}
				if err != nil || len(open) != 1 || !open[0].Parked || len(s.versions(name)) != 1 {
					t.Errorf("%+v, %v", open, err)
				}
			})
		})
	}
}

// TestTheLongestName is one of 127 characters, whose staging secret needs another.
func TestTheLongestName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := "app-" + strings.Repeat("x", 123)
		s := sceneries[0].set(t)
		s.seed(named(long), withTag(secret.TagRotationType, "fake"))
		if got, err := s.start(healthy(), s.leases).Rotate(t.Context(), rotation.Request{Name: long}); err != nil || got.Verdict != rotation.Rotated {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestAStagingVaultOfItsOwn keeps candidates where readers of the secrets cannot see them.
func TestAStagingVaultOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := sceneries[0].set(t), newRig(t)
		s.world.(*onePassword).watch(func(value string) {
			if other.current(secret.PendingName(name)).Value != value {
				t.Error("the target takes a value that the staging vault does not hold")
			}
		})
		elsewhere := func(o *rotation.Options) { o.Staging, o.StagingList = other.secrets, other.secrets.List }
		e := s.start(healthy(), s.leases, elsewhere, func(o *rotation.Options) { o.Secrets = onlyStaging{o.Secrets, func() bool { return true }} })
		if got, err := e.Rotate(t.Context(), s.request()); err != nil || got.Verdict != rotation.Continuing {
			t.Fatalf("got %+v, %v", got, err)
		}
		if len(s.versions(secret.PendingName(name))) > 0 || len(other.versions(secret.PendingName(name))) != 1 {
			t.Error("the candidate is not where it should be")
		}
		s.dropRecord(t)
		if err := sweepFor(t.Context(), s.start(healthy(), s.leases, elsewhere), 2*time.Hour, 20*time.Minute); err != nil {
			t.Fatal(err)
		}
		if !s.world.accepts(s.current(name).Value) || !other.current(secret.PendingName(name)).Disabled {
			t.Error("the rotation was not finished")
		}
	})
}
