package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/alert"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// anyValue is a rotator for values that live in Key Vault only.
type anyValue struct{}

func (anyValue) Verify(context.Context, rotation.Credential) error { return nil }

func (anyValue) Choose(_ rotation.Credential, random io.Reader) (rotation.Credential, error) {
	value, err := rotation.Policy{}.Choose(random)
	return rotation.Credential{Secret: value}, err
}

// scene is a rig with a world beside it.
type scene struct {
	*rig
	world world
	hashi *inVault // nil: the secret never was in Vault
	old   string   // version that is due
	rnd   *mathrand.Rand
	rndMu sync.Mutex
}

// scenery is how a scene is set.
type scenery struct {
	name      string
	open      func() world
	writeBack bool
	retires   bool // the old credential is dead at the end
}

var sceneries = []scenery{
	{name: "set", open: func() world { return newOnePassword() }, retires: true},
	{name: "set with overlap and write-back", open: func() world { return newManyPasswords() }, writeBack: true, retires: true},
	{name: "slot", open: func() world { return newTwoSlots() }},
	{name: "mint", open: func() world { return newMint() }, retires: true},
	{name: "key vault only", open: func() world { return &keyVaultOnly{} }},
}

func (c scenery) set(t *testing.T) *scene {
	s := &scene{rig: newRig(t), world: c.open(), rnd: mathrand.New(mathrand.NewPCG(1, 2))}
	s.old = s.seed(withTag(secret.TagRotationType, "fake"), func(e *emulator.Secret) {
		if c.writeBack {
			e.Versions[0].Tags[secret.TagVaultPath], e.Versions[0].Tags[secret.TagAuthority] = "secret/app/key", "vault"
		}
		if c.name == "mint" {
			e.Versions[0].Tags[secret.TagCredentialID] = "id-0"
		}
	})
	if c.writeBack {
		s.hashi = &inVault{value: oldValue, keys: s.secrets}
	}
	if w, ok := s.world.(interface{ watch(func(string)) }); ok {
		w.watch(func(value string) {
			if !s.holds(value) {
				t.Error("the target takes a value that no durable place holds")
			}
		})
	}
	return s
}

func (s *shared) watch(onSet func(string)) { s.onSet = onSet }

// holds reports whether some version in Key Vault has the value.
func (s *scene) holds(value string) bool {
	for _, secret := range s.vault.Secrets() {
		for _, v := range secret.Versions {
			if v.Value == value {
				return true
			}
		}
	}
	return false
}

// start makes an engine that reaches everything through p. leases keep it apart from others that have the same.
func (s *scene) start(p *process, leases state.Leaser, change ...func(*rotation.Options)) *rotation.Engine {
	s.t.Helper()
	return s.engine(append([]func(*rotation.Options){func(o *rotation.Options) {
		o.Kinds = append(o.Kinds, rotation.Define("fake", "a world of tests", func(rotation.Deps, struct{}) (rotation.Rotator, error) {
			return s.world.rotator(p), nil
		}))
		o.Settings.Targets = []rotation.Target{{
			Name: "fake", Type: "fake", Secrets: []string{"app-*"}, Outage: true, Grace: grace, WriteBack: s.hashi != nil,
		}}
		if s.hashi != nil {
			o.WriteBack = s.hashi
		}
	}, p.options(leases)}, change...)...)
}

func (s *scene) request() rotation.Request {
	return rotation.Request{Name: name, Version: s.old, Cause: rotation.CauseNearExpiry}
}

// jitter pauses for some milliseconds, so that what runs at once interleaves.
func (s *scene) jitter() {
	s.rndMu.Lock()
	d := time.Duration(s.rnd.IntN(20)) * time.Millisecond
	s.rndMu.Unlock()
	time.Sleep(d)
}

// dropRecord loses what is remembered of the secret.
func (s *scene) dropRecord(t *testing.T) {
	key := rotation.RecordKey("", name)
	got, err := s.leases.Get(t.Context(), key)
	if errors.Is(err, secret.ErrNotFound) {
		return
	}
	if err == nil {
		err = s.leases.Delete(t.Context(), key, got.ETag)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// continuations are the ways in which the work goes on after an accident.
var continuations = []struct {
	name string
	go_  func(t *testing.T, s *scene)
}{
	{"redelivery", func(t *testing.T, s *scene) {
		for range 2 {
			if _, err := s.start(healthy(), s.leases).Rotate(t.Context(), s.request()); err != nil {
				t.Error("redelivery:", err)
			}
		}
	}},
	{"sweep", func(t *testing.T, s *scene) {
		if _, err := s.start(healthy(), s.leases).Sweep(t.Context()); err != nil {
			t.Error("sweep:", err)
		}
	}},
	{"two executors", func(t *testing.T, s *scene) {
		var wg sync.WaitGroup
		for range 2 {
			p := healthy()
			p.pause = s.jitter
			e := s.start(p, s.leases)
			wg.Go(func() {
				for range 3 {
					_, err := e.Rotate(t.Context(), s.request())
					if err != nil && !errors.Is(err, secret.ErrLeaseHeld) {
						t.Error("executor:", err)
					}
					s.jitter()
				}
			})
		}
		wg.Wait()
	}},
}

// TestCrashMatrix stops the process at every external call in every way, with the record kept and lost, and goes on in
// every way. Afterwards the invariants of a rotation hold.
func TestCrashMatrix(t *testing.T) {
	total := 0
	for _, c := range sceneries {
		calls := rehearse(t, c)
		t.Logf("%s: %d external calls: %s", c.name, len(calls), strings.Join(calls, ", "))
		cells := 0
		for _, how := range []accident{before, unheard, answered, surviving} {
			for _, next := range continuations {
				for _, lose := range []bool{false, true} {
					cells += len(calls)
					title := fmt.Sprintf("%s/%s/%s/record lost %v", c.name, how, next.name, lose)
					t.Run(title, func(t *testing.T) {
						for at, call := range calls {
							cell(t, c, at, call, how, next.go_, lose)
						}
					})
				}
			}
		}
		total += cells
	}
	t.Logf("%d cells", total)
}

// rehearse lists the external calls of a rotation, its grace included, in which nothing goes wrong.
func rehearse(t *testing.T, c scenery) (calls []string) {
	synctest.Test(t, func(t *testing.T) {
		s := c.set(t)
		p := healthy()
		e := s.start(p, s.leases)
		if got, err := e.Rotate(t.Context(), s.request()); err != nil || got.Verdict != rotation.Rotated {
			t.Fatalf("%s: %+v, %v", c.name, got, err)
		}
		time.Sleep(grace)
		if _, err := e.Sweep(t.Context()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		calls = p.calls
	})
	if len(calls) < 10 {
		t.Fatalf("%s: only %d calls were seen: %v", c.name, len(calls), calls)
	}
	return calls
}

// cell is one accident and what comes after it.
func cell(t *testing.T, c scenery, at int, call string, how accident, goOn func(*testing.T, *scene), lose bool) {
	synctest.Test(t, func(t *testing.T) {
		s := c.set(t)
		defer func() {
			if t.Failed() {
				t.Logf("in cell %d, %q: %s", at, call, how)
			}
		}()
		e := s.start(&process{at: at, accident: how}, s.leases)
		_, err := e.Rotate(t.Context(), s.request())
		if err != nil && !secret.IsTransient(err) {
			t.Errorf("Event Grid would be told not to come back: %v", err)
		}
		s.remembered(t)
		time.Sleep(grace)
		_, _ = e.Sweep(t.Context()) // the accident may happen here
		s.remembered(t)
		time.Sleep(state.LeaseTime) // the lease of the dead runs out
		if lose {
			s.dropRecord(t)
		}
		goOn(t, s)
		if err := sweepFor(t.Context(), s.start(healthy(), s.leases), 3*time.Hour, 20*time.Minute); err != nil {
			t.Error("sweep:", err)
		}
		s.converged(t, c, how != before, lose)
	})
}

// remembered checks that readers have a credential that works, or that something durable knows why not.
func (s *scene) remembered(t *testing.T) {
	t.Helper()
	if s.world.accepts(s.current(name).Value) {
		return
	}
	if _, err := s.leases.Get(t.Context(), rotation.RecordKey("", name)); err != nil {
		t.Errorf("the current value does not work and no record says so: %v", err)
	}
}

// converged checks the invariants.
func (s *scene) converged(t *testing.T, c scenery, mayRepeat, lost bool) {
	t.Helper()
	current, versions := s.current(name), s.versions(name)
	if !s.world.accepts(current.Value) || current.Value == oldValue {
		t.Errorf("the current value works: %v, is new: %v", s.world.accepts(current.Value), current.Value != oldValue)
	}
	values := map[string]bool{}
	for _, v := range versions {
		values[v.Value] = true
		for _, tag := range []string{"owner", secret.TagRotationType} {
			if v.Tags[tag] == "" {
				t.Errorf("a version has no tag %s", tag)
			}
		}
		if v.Value != oldValue && (v.Tags[secret.TagRotationState] == "" || v.Tags[secret.TagAuthority] == "" || v.Expires.IsZero()) {
			t.Error("a version has not its full set of tags and expiry")
		}
	}
	if len(values) != 2 || len(versions) > 3 || len(versions) > 2 && !mayRepeat {
		t.Errorf("%d versions of %d values", len(versions), len(values))
	}
	if live := s.world.live(); c.retires && !slices.Equal(live, []string{current.Value}) || len(live) > 2 {
		t.Errorf("%d credentials are live", len(live))
	}
	if s.hashi != nil && (s.hashi.holds() != current.Value || current.Tags[secret.TagAuthority] != "vault") {
		t.Errorf("Vault has the new value: %v, authority is %s", s.hashi.holds() == current.Value, current.Tags[secret.TagAuthority])
	}
	if w, ok := s.world.(*twoSlots); ok && w.serial > 1 && !lost {
		t.Errorf("the spare key was made anew %d times", w.serial)
	}
	if w, ok := s.world.(*manyPasswords); ok && !maps.Equal(w.saved, w.values) {
		t.Error("the target would forget the change")
	}
	if open, err := s.start(healthy(), s.leases).Pending(t.Context()); err != nil || len(open) > 0 {
		t.Errorf("still open: %+v, %v", open, err)
	}
	if p := s.current(secret.PendingName(name)); p.ID != "" && !p.Disabled {
		t.Error("the staging secret is still open")
	}
	told := map[alert.Type]int{}
	for _, a := range s.inbox.all() {
		told[a.Type]++
	}
	if told[alert.RotationSucceeded] == 0 && !lost {
		t.Errorf("nobody was told: %v", told)
	}
	if told[alert.RotationConflict]+told[alert.RotationParked]+told[alert.RotationManualRequired] > 0 {
		t.Errorf("a person was called for nothing: %v", told)
	}
	s.mustNotLeak()
}
