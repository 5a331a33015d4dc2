package rotation

import (
	"context"
	"errors"
	"time"
)

// exit does what a person ordered for a rotation that is stuck.
func (r *run) exit(ctx context.Context) (Outcome, error) {
	f := r.entry.Flight
	none := f == nil && r.entry.Attempts == 0
	switch {
	case none || f == nil && r.ask.Exit != Resume:
		return r.outcome(decision{verdict: Nothing, reason: ReasonNoRotation, text: "no rotation of it is under way"}), nil
	case r.ask.Exit == Resume:
		return r.resume(ctx)
	case r.ask.Exit == Abandon || r.ask.Exit == Rollback:
		return r.leave(ctx, f)
	}
	return r.outcome(decision{verdict: Failed, reason: ReasonNoRotation, text: "there is no exit " + quoted(string(r.ask.Exit))}), nil
}

// resume makes the next step due now.
func (r *run) resume(ctx context.Context) (Outcome, error) {
	r.entry.Attempts, r.entry.Next = 0, time.Time{}
	f := r.entry.Flight
	if f == nil {
		return r.begin(ctx)
	}
	f.Parked, f.Warned = false, false
	for _, t := range r.Settings.Targets {
		if t.Name == f.Target {
			f.Aim = t.aim() // whoever orders this knows what the settings say
		}
	}
	if f.Phase == published && f.Retire.After(r.Now()) {
		f.Retire = r.Now()
	}
	return r.carryOn(ctx)
}

// leave ends the rotation as it is, or after the target got its old credential back. A failure leaves everything as it
// was.
func (r *run) leave(ctx context.Context, f *flight) (Outcome, error) {
	back := r.ask.Exit == Rollback
	if back && f.Phase == published {
		return r.outcome(decision{verdict: Nothing, reason: ReasonNoRotation, text: "its new version is published: rotate it again instead"}), nil
	}
	if err := r.look(ctx); err != nil {
		return r.kept(err)
	}
	err := r.reopen(ctx, f)
	if err == nil && f.Phase != published && !r.wrote(f) {
		if s, ok := r.strategy.(reverser); ok {
			err = r.reversed(ctx, s, f, back)
		}
	}
	if err != nil && (back || !errors.As(err, new(halt))) {
		return r.kept(err)
	}
	if err := r.unstage(ctx, f); err != nil {
		return r.kept(err)
	}
	r.entry.Flight = nil
	r.forget()
	if back {
		return r.outcome(decision{verdict: Closed, reason: ReasonRolledBack, text: "its rotation is taken back"}), nil
	}
	return r.outcome(decision{verdict: Closed, reason: ReasonAbandoned,
		text: "its rotation is forgotten; what the target has is as it was"}), nil
}

func (r *run) reversed(ctx context.Context, s reverser, f *flight, back bool) error {
	if err := s.reverse(ctx, r, f, back); err != nil {
		return err
	}
	return r.settle(ctx, r.current)
}

// kept is the outcome of an exit that was not possible.
func (r *run) kept(err error) (Outcome, error) {
	var h halt
	if errors.As(err, &h) {
		h.verdict = Failed
		return r.outcome(h.decision), nil
	}
	return Outcome{}, err
}
