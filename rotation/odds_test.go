package rotation_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// TestASlotThatChangesUnderThePublish: another executor makes the key anew after it was read.
func TestASlotThatChangesUnderThePublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[2].set(t)
		p, done := healthy(), false
		p.watch = func(_ int, call string) {
			if call == "set secret" && !done {
				done = true
				if err := s.world.rotator(healthy()).(rotation.Slotter).Regenerate(t.Context(), "key2"); err != nil {
					t.Error(err)
				}
			}
		}
		got, err := s.start(p, s.leases).Rotate(t.Context(), s.request())
		if err != nil || got.Verdict != rotation.Rotated || !s.world.accepts(s.current(name).Value) || got.NewVersion != s.current(name).ID {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestAPersonSwitchesSlots to the key that was about to be made anew, while the process is dead.
func TestAPersonSwitchesSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[2].set(t)
		calls := []string{"lease acquire", "record get", "get secret", "slots", "record put", "regenerate"}
		if _, err := s.start(&process{at: slices.Index(calls, "regenerate"), accident: before}, s.leases).Rotate(t.Context(), s.request()); err == nil {
			t.Fatal("nothing went wrong")
		}
		spare := s.world.(*twoSlots).values["key2"]
		if _, err := s.secrets.Set(t.Context(), name, secret.Draft{Value: secret.New(spare), Expires: time.Now().Add(80 * day),
			Tags: map[string]string{secret.TagRotationType: "fake"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := sweepFor(t.Context(), s.start(healthy(), s.leases), 3*time.Hour, 20*time.Minute); err != nil {
			t.Fatal(err)
		}
		if current := s.current(name).Value; current != spare || !s.world.accepts(current) {
			t.Errorf("their value stays: %v, works: %v", current == spare, s.world.accepts(current))
		}
	})
}

// TestAnotherExecutorMints for the same version, and keeps nothing of it.
func TestAnotherExecutorMints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[3].set(t)
		p := healthy()
		p.watch = func(_ int, call string) {
			if call == "set secret" {
				w := s.world.(*mint)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.values["id-stray"], w.labels["id-stray"] = "stray-0x2a", w.labels["id-1"]
			}
		}
		e := s.start(p, s.leases)
		if _, err := e.Rotate(t.Context(), s.request()); err != nil {
			t.Fatal(err)
		}
		if live := s.world.live(); len(live) != 2 {
			t.Errorf("%d credentials are live in the grace", len(live))
		}
		if err := sweepFor(t.Context(), e, 3*time.Hour, 20*time.Minute); err != nil {
			t.Fatal(err)
		}
		s.converged(t, sceneries[3], false, false)
	})
}

// TestATargetThatMoved: what was begun for one server never goes on at another, unless a person says so.
func TestATargetThatMoved(t *testing.T) {
	for title, change := range map[string]func(*rotation.Target){
		"aims elsewhere":            func(t *rotation.Target) { t.User = "somebody" },
		"lists the secret no more":  func(t *rotation.Target) { t.Secrets = []string{"other-*"} },
		"is gone from the settings": func(t *rotation.Target) { t.Name = "renamed" },
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := stuck(t, sceneries[0])
				p := healthy()
				e := s.start(p, s.leases, func(o *rotation.Options) { change(&o.Settings.Targets[0]) })
				if err := sweepFor(t.Context(), e, 10*time.Minute, 2*time.Minute); err != nil {
					t.Fatal(err)
				}
				open, err := e.Pending(t.Context())
				if err != nil || len(open) != 1 || !open[0].Parked || slices.Contains(p.calls, "verify") || slices.Contains(p.calls, "set secret") {
					t.Errorf("%+v, %v", open, err)
				}
				got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Resume})
				if want := map[bool]rotation.Verdict{true: rotation.Rotated, false: rotation.Failed}[title == "aims elsewhere"]; err != nil || got.Verdict != want {
					t.Errorf("resumed: %+v, %v", got, err)
				}
			})
		})
	}
}

// vaultThatSays answers what it is told to.
type vaultThatSays struct{ preflight, write error }

func (v vaultThatSays) PreflightWriteBack(context.Context, string) error { return v.preflight }
func (v vaultThatSays) WriteBack(context.Context, string) error          { return v.write }

// TestWriteBackThatCannotBe: known before, nothing is touched; found out after, Key Vault keeps the authority.
func TestWriteBackThatCannotBe(t *testing.T) {
	moved := fmt.Errorf("vault: %w: version 8, not 7", secret.ErrConflict)
	for _, c := range []struct {
		title   string
		vault   vaultThatSays
		verdict rotation.Verdict
		alerts  int
	}{
		{"it moved before", vaultThatSays{preflight: moved}, rotation.Manual, 1},
		{"it is sealed before", vaultThatSays{preflight: secret.ErrUnavailable}, rotation.Continuing, 0},
		{"it moved meanwhile", vaultThatSays{write: moved}, rotation.Rotated, 2},
		{"it is sealed meanwhile", vaultThatSays{write: secret.ErrUnavailable}, rotation.Rotated, 1},
	} {
		t.Run(c.title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sceneries[1].set(t)
				e := s.start(healthy(), s.leases, func(o *rotation.Options) { o.WriteBack = c.vault })
				got, err := e.Rotate(t.Context(), s.request())
				if err != nil || got.Verdict != c.verdict || len(s.inbox.all()) != c.alerts {
					t.Errorf("got %+v, %v, alerts %v", got, err, s.inbox.all())
				}
				if published := len(s.versions(name)) > 1; published != (c.verdict == rotation.Rotated) {
					t.Errorf("published: %v", published)
				} else if published && s.current(name).Tags[secret.TagAuthority] != secret.AuthorityKeyVault {
					t.Error("Key Vault is not the authority")
				} else if !published && len(s.world.live()) != 1 {
					t.Error("the target was touched")
				}
				if inFlight := c.vault.write != nil && c.alerts == 1; inFlight {
					got, err := s.leases.Get(t.Context(), rotation.RecordKey("", name))
					if err != nil || !rotation.InFlight(got.Data) {
						t.Errorf("the sync would write: %v", err)
					}
				}
			})
		})
	}
}

// TestACopyOfEveryTag: a secret with all fifteen tags, ours among them, keeps each foreign one.
func TestACopyOfEveryTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sceneries[0].set(t)
		s.seed(named("app-tags"), withTag(secret.TagRotationType, "fake"), func(e *emulator.Secret) {
			tags := e.Versions[0].Tags
			tags[secret.TagAuthority], tags[secret.TagRotationState] = "keyvault", "id.v0.1"
			for i := len(tags); i < secret.MaxTags; i++ {
				tags[fmt.Sprint("foreign-", i)] = "x"
			}
		})
		got, err := s.start(healthy(), s.leases).Rotate(t.Context(), rotation.Request{Name: "app-tags"})
		if err != nil || got.Verdict != rotation.Rotated || len(s.current("app-tags").Tags) != secret.MaxTags {
			t.Errorf("got %+v, %v, %d tags", got, err, len(s.current("app-tags").Tags))
		}
	})
}
