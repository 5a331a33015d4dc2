package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// carryOn goes on with a rotation that was begun before.
func (r *run) carryOn(ctx context.Context) (Outcome, error) {
	f, now := r.entry.Flight, r.Now()
	switch {
	case f.Parked:
		return r.reminded(ctx)
	case now.Before(r.entry.Next):
		return r.waiting(), nil
	case f.waits(now):
		return r.inGrace(f), nil
	}
	if err := r.look(ctx); err != nil {
		return r.halted(ctx, err)
	}
	if err := r.reopen(ctx, f); err != nil {
		return r.halted(ctx, err)
	}
	return r.fly(ctx)
}

// reopen finds the target of a rotation under way. It must still be what it was, and still list the secret.
func (r *run) reopen(ctx context.Context, f *flight) error {
	for _, t := range r.Settings.Targets {
		if t.Name != f.Target {
			continue
		}
		if t.aim() != f.Aim || !t.Lists(r.ask.Name) {
			return park(Failed, ReasonAim, "the settings of its target %s changed while it was under way", quoted(f.Target))
		}
		if err := r.open(ctx, t); err != nil {
			return keep(err)
		}
		if !r.facts.missing && !r.facts.disabled {
			_ = r.learn() // a value that somebody else wrote may be of any form; it is judged later
		}
		return nil
	}
	return park(Failed, ReasonAim, "its target %s is not in the settings any more", quoted(f.Target))
}

// keep turns a stop into a parking: the rotation was begun, and what cannot be opened cannot be asked.
func keep(err error) error {
	var h halt
	if !errors.As(err, &h) {
		return err
	}
	h.park = true
	return h
}

// inGrace answers while nothing is to be done but to wait.
func (r *run) inGrace(f *flight) Outcome {
	d := decision{verdict: Nothing, reason: ReasonGrace,
		text: "it was rotated at " + f.At.UTC().Format(time.RFC3339) + ", and the old credential lives until " + f.Retire.UTC().Format(time.RFC3339)}
	if r.ask.Version == f.Source {
		d.reason = ReasonAlreadyRotated
	}
	done := r.outcome(d)
	done.OldVersion = f.Source
	return done
}

// fly takes the rotation through its phases, as far as it gets.
func (r *run) fly(ctx context.Context) (Outcome, error) {
	f := r.entry.Flight
	err := r.drive(ctx, f)
	if err != nil {
		done, err := r.halted(ctx, err)
		if r.made != nil && err == nil {
			return *r.made, nil // what remains is for the sweep
		}
		return done, err
	}
	r.forget()
	switch {
	case r.made != nil:
		return *r.made, nil
	case r.entry.Flight != nil:
		return r.inGrace(f), nil
	}
	return r.outcome(decision{verdict: Nothing, reason: ReasonAlreadyRotated, text: "the rest of its rotation is done"}), nil
}

// maxPublishes bounds how often a run follows a target whose slot keeps changing.
const maxPublishes = 3

func (r *run) drive(ctx context.Context, f *flight) error {
	if f.Phase != published && r.wrote(f) {
		if err := r.acknowledge(ctx, f); err != nil {
			return err
		}
	}
	switch f.Phase {
	case prepared:
		if err := r.strategy.apply(ctx, r, f); err != nil {
			return err
		}
		if err := r.settle(ctx, r.next); err != nil {
			return err
		}
		f.Phase, f.User, f.Credential = applied, r.next.User, r.next.ID
		if !f.Local {
			if err := r.entry.save(ctx); err != nil {
				return err
			}
		}
	case applied:
		if err := r.strategy.recall(ctx, r, f); err != nil {
			return keep(err)
		}
	case published:
		if err := r.follow(ctx, f); err != nil {
			return err
		}
		r.next = r.current
		if r.resumed {
			r.announce(f, time.Time{}, r.facts.meta.Expires) // by an alert with the same ID, should it have been told before
		}
	}
	for range maxPublishes {
		if f.Phase == applied {
			if err := r.publish(ctx, f); err != nil {
				return err
			}
		}
		t, ok := r.strategy.(tidier)
		if !ok || r.facts.meta.Version != f.Version {
			break
		}
		again, err := t.tidy(ctx, r, f)
		if err != nil {
			return err
		}
		if !again {
			break
		}
		f.Phase, f.Source = applied, f.Version
	}
	return r.end(ctx, f)
}

// acknowledge takes note of a publish of which the record does not tell. The tags prove which rotation made the version; that it has
// another value than the candidate would mean that somebody copied the tags.
func (r *run) acknowledge(ctx context.Context, f *flight) error {
	if stages(r.strategy) {
		switch err := r.strategy.recall(ctx, r, f); {
		case err == nil && !r.next.Secret.Equal(r.current.Secret):
			return park(Conflict, ReasonChanged, "its current version carries the tags of this rotation and another value")
		case err != nil && !errors.As(err, new(halt)):
			return err
		}
	}
	made, err := secret.ParseRotationState(r.facts.meta.Tags[secret.TagRotationState])
	if err != nil {
		return err
	}
	f.Phase, f.Version, f.At, f.Retire = published, r.facts.meta.Version, made.At, made.At.Add(r.grace())
	f.Credential = made.Credential
	r.announce(f, time.Time{}, r.facts.meta.Expires)
	return r.entry.save(ctx)
}

// follow takes note of a second version of the same rotation: after a lost answer, or by another executor, the same
// value is published twice.
func (r *run) follow(ctx context.Context, f *flight) error {
	current := r.facts.meta.Version
	made, err := secret.ParseRotationState(r.facts.meta.Tags[secret.TagRotationState])
	if r.facts.missing || r.facts.disabled || current == f.Version || err != nil || made.ID != f.ID {
		return nil
	}
	value, _, err := r.Secrets.GetVersion(ctx, r.ask.Name, f.Version)
	switch {
	case err == nil && value.Equal(r.value):
		f.Version = current
	case err != nil && secret.IsTransient(err):
		return fmt.Errorf("read the version that was published: %w", err)
	}
	return nil
}

// wrote reports whether the current version is the one that this rotation publishes.
func (r *run) wrote(f *flight) bool {
	if r.facts.missing || r.facts.disabled {
		return false
	}
	made, err := secret.ParseRotationState(r.facts.meta.Tags[secret.TagRotationState])
	return err == nil && made.ID == f.ID && made.From == f.Source
}

// atSource reports whether the current version still is the one that is being replaced.
func (r *run) atSource(f *flight) bool {
	return !r.facts.missing && !r.facts.disabled && r.facts.meta.Version == f.Source
}

// grace is how long the old credential lives on; none where it is dead already.
func (r *run) grace() time.Duration {
	switch {
	case !r.overlaps():
		return 0
	case r.target.Grace != 0:
		return r.target.Grace
	}
	return r.Settings.Grace
}

// settle makes a target that forgets keep what was set.
func (r *run) settle(ctx context.Context, now Credential) error {
	s, ok := r.rotator.(Settler)
	if !ok {
		return nil
	}
	return r.touch(ctx, "save the change at target "+quoted(r.target.Name), func(ctx context.Context) error { return s.Settle(ctx, now) })
}

// reminded answers for a rotation that was given up. Operators are told again as its secret comes closer to its expiry.
func (r *run) reminded(ctx context.Context) (Outcome, error) {
	d := decision{verdict: Nothing, reason: ReasonParked,
		text: fmt.Sprintf("its rotation is parked (%s): order --resume, --abandon or --rollback", r.entry.Trouble)}
	if r.ask.Cause != CauseSweep {
		return r.outcome(d), nil
	}
	if err := r.look(ctx); err != nil {
		return r.halted(ctx, err)
	}
	if due := decide(r.facts, r.Settings, r.kinds); due.verdict != Nothing {
		r.needs(decision{verdict: Failed, reason: ReasonParked, text: due.text + ", and " + d.text})
	}
	return r.outcome(d), nil
}
