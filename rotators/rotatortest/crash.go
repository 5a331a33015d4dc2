package rotatortest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keyferry/keyferry/format"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

func (g *stage) request() rotation.Request {
	return rotation.Request{Name: name, Version: g.old, Cause: rotation.CauseNearExpiry}
}

// duplicates delivers copies of an event at once.
func duplicates(t *testing.T, s Subject) error {
	g, err := newStage(t, s)
	if err != nil {
		return err
	}
	p := &process{at: -1}
	if err := g.copies(t, p, 8); err != nil {
		return err
	}
	changes := 0
	for _, call := range p.calls {
		if call == "Set" || call == "Regenerate" || call == "Mint" {
			changes++
		}
	}
	if want := verifies(s); changes > 1 || want && changes == 0 || g.versions() != 2 {
		return fmt.Errorf("copies of an event made %d changes and %d versions", changes, g.versions()-1)
	}
	return g.converge(t)
}

// copies delivers n copies of the event by two processes until each was answered.
func (g *stage) copies(t *testing.T, p *process, n int) error {
	var work sync.WaitGroup
	faults := make([]error, n)
	for i := range n {
		e, err := g.engine(p)
		if err != nil {
			return err
		}
		work.Go(func() {
			for {
				_, err := e.Rotate(t.Context(), g.request())
				if errors.Is(err, secret.ErrLeaseHeld) {
					time.Sleep(time.Millisecond) // Event Grid comes again
					continue
				}
				faults[i] = err
				return
			}
		})
	}
	work.Wait()
	return errors.Join(faults...)
}

// crashes stops a rotation at every call of its rotator in every way, with the record kept and lost, and goes on by
// redelivery, by sweep and by two executors at once.
func crashes(t *testing.T, open func(*testing.T) Subject) (cells int, err error) {
	s := open(t)
	calls, err := rehearse(t, s)
	if err != nil {
		return 0, fmt.Errorf("a rotation in which nothing goes wrong: %w", err)
	}
	accidents := []accident{before, unheard, answered, surviving}
	if s.Slow {
		accidents = []accident{unheard, surviving}
	}
	var faults []error
	for at, call := range calls {
		for _, how := range accidents {
			for _, next := range []string{"redelivery", "sweep", "two executors"} {
				for _, lose := range []bool{false, true} {
					cells++
					if err := cell(t, open(t), at, how, next, lose); err != nil {
						faults = append(faults, fmt.Errorf("call %d, %s, %s; then %s, record lost %v: %w", at, call, how, next, lose, err))
					}
				}
			}
		}
	}
	return cells, errors.Join(faults...)
}

// rehearse lists the calls of a whole rotation.
func rehearse(t *testing.T, s Subject) ([]string, error) {
	g, err := newStage(t, s)
	if err != nil {
		return nil, err
	}
	p := &process{at: -1}
	e, err := g.engine(p)
	if err != nil {
		return nil, err
	}
	got, err := e.Rotate(t.Context(), g.request())
	if err != nil || got.Verdict != rotation.Rotated {
		return nil, fmt.Errorf("it ended %s (%s: %s), %w", got.Verdict, got.Reason, got.Text, err)
	}
	g.advance(grace)
	if _, err := e.Sweep(t.Context()); err != nil {
		return nil, err
	}
	calls := p.calls
	return calls, g.converge(t)
}

func cell(t *testing.T, s Subject, at int, how accident, next string, lose bool) error {
	g, err := newStage(t, s)
	if err != nil {
		return err
	}
	e, err := g.engine(&process{at: at, accident: how})
	if err != nil {
		return err
	}
	_, _ = e.Rotate(t.Context(), g.request())
	g.advance(grace)
	_, _ = e.Sweep(t.Context()) // the accident may happen here
	g.advance(state.LeaseTime)
	if lose {
		key := rotation.RecordKey("", name)
		if got, err := g.store.Get(t.Context(), key); err == nil {
			if err := g.store.Delete(t.Context(), key, got.ETag); err != nil {
				return err
			}
		}
	}
	switch next {
	case "redelivery":
		err = g.copies(t, &process{at: -1}, 1)
	case "two executors":
		err = g.copies(t, &process{at: -1}, 2)
	}
	if err != nil {
		return err
	}
	return g.converge(t)
}

// converge lets the sweep finish and checks what holds then.
func (g *stage) converge(t *testing.T) error {
	e, err := g.engine(&process{at: -1})
	if err != nil {
		return err
	}
	for range 4 {
		g.advance(grace)
		_, err = e.Sweep(t.Context())
	}
	faults := []error{err}
	r, err := g.s.open()
	if err != nil {
		return err
	}
	current, w := g.current(), watch(r, g.s)
	now, err := g.s.read(current.Value)
	if err != nil {
		return err
	}
	if made, err := secret.ParseRotationState(current.Tags[secret.TagRotationState]); err != nil {
		faults = append(faults, errors.New("the current version was not made by a rotation"))
	} else {
		now.ID = made.Credential
	}
	if now.Secret.Equal(g.s.Current.Secret) {
		faults = append(faults, errors.New("the secret still has its old value"))
	}
	if verifies(g.s) {
		faults = append(faults, w.accepts(t, now))
		if !slots(g.s) && (now.User == g.s.Current.User || retires(g.s)) {
			faults = append(faults, w.denies(t, g.s.Current))
		}
	}
	if open, err := e.Pending(t.Context()); err != nil || len(open) > 0 {
		faults = append(faults, fmt.Errorf("the rotation is not finished: %+v, %w", open, err))
	}
	for _, a := range g.alerts {
		w.said = append(w.said, a.Text)
	}
	w.knows(now)
	return errors.Join(append(faults, w.leaks())...)
}

// read takes the credential out of a value.
func (s Subject) read(value string) (rotation.Credential, error) {
	f, err := format.Parse(s.Format)
	if err != nil {
		return rotation.Credential{}, err
	}
	found, err := f.Find(secret.New(value))
	if err != nil {
		return rotation.Credential{}, err
	}
	c := rotation.Credential{User: found.User, Secret: found.Password}
	if c.User == "" {
		c.User = s.Current.User
	}
	return c, nil
}
