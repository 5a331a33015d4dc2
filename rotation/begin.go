package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// begin looks at the secret and starts a rotation when it is due.
func (r *run) begin(ctx context.Context) (Outcome, error) {
	if err := r.look(ctx); err != nil {
		return r.halted(ctx, err)
	}
	d := decide(r.facts, r.Settings, r.kinds)
	if r.ask.stray && d.verdict == Nothing {
		if forced := decide(r.forced(), r.Settings, r.kinds); forced.verdict != Nothing {
			d = forced
		}
	}
	switch d.verdict {
	case Rotated:
		return r.start(ctx, d)
	case Nothing:
		if ends(d.reason) {
			r.forget()
		}
		return r.outcome(d), nil
	}
	return r.needs(d), nil
}

// forced are the facts as they would be had somebody forced the rotation.
func (r *run) forced() facts {
	f := r.facts
	f.request.Force, f.request.Version = true, ""
	return f
}

// ends reports whether a reason to do nothing also ends what operators were told of the secret before.
func ends(reason Reason) bool {
	switch reason {
	case ReasonNotDue, ReasonNotFound, ReasonManaged, ReasonDisabled, ReasonSynced, ReasonTooYoung:
		return true
	}
	return false
}

// forget drops what is remembered of failures and of what operators were told.
func (r *run) forget() {
	r.entry.Ladder, r.entry.Attempts, r.entry.Next, r.entry.Trouble = nil, 0, time.Time{}, ""
}

// start opens the target, makes the rotation durable and flies it. Nothing outside is touched before it is known that
// the rotation could be finished.
func (r *run) start(ctx context.Context, d decision) (Outcome, error) {
	f, err := r.prepare(ctx, d)
	if err != nil {
		return r.halted(ctx, err)
	}
	r.entry.Flight = f
	r.forget()
	if err := r.entry.save(ctx); err != nil {
		return Outcome{}, err
	}
	found := r.resumed && f.Phase == published
	done, err := r.fly(ctx)
	if err == nil && found && r.entry.Flight == nil && !r.ask.stray {
		// What was found to be published is out of the way: now for what was asked.
		again := &run{Engine: r.Engine, ask: r.ask, entry: r.entry}
		return again.begin(ctx)
	}
	return done, err
}

func (r *run) prepare(ctx context.Context, d decision) (*flight, error) {
	if err := r.open(ctx, d.target); err != nil {
		return nil, err
	}
	if err := r.learn(); err != nil {
		return nil, err
	}
	if _, sets := r.strategy.(setting); sets && !r.overlaps() && !r.target.Outage {
		return nil, stop(Failed, ReasonOutage,
			"%s, but the target %s has one password: readers would fail from its change until they read the new one", d.text, r.target.Name)
	}
	if d.writeBack {
		if err := r.rehearse(ctx); err != nil {
			return nil, err
		}
	}
	id, err := newID(r.Random)
	if err != nil {
		return nil, err
	}
	f := &flight{
		ID: id, Phase: prepared, Reason: d.reason, Target: d.target.Name, Aim: d.target.aim(), Began: r.facts.now,
		Source: r.facts.meta.Version, Validity: d.validity, WriteBack: d.writeBack,
		OldUser: r.current.User, OldID: r.current.ID,
	}
	_, f.Local = r.strategy.(local)
	if stages(r.strategy) {
		p, pending, err := r.readStaging(ctx, "")
		if err != nil {
			return nil, err
		}
		if pending {
			r.resumed = true
			*f = adopted(*f, p, r.facts.meta, r.grace())
			return f, nil
		}
	}
	r.fresh = true
	return f, r.strategy.prepare(ctx, r, f)
}

// rehearse proves that the new value could be written to Vault, while nothing has changed yet.
func (r *run) rehearse(ctx context.Context) error {
	err := r.touch(ctx, "see whether Vault can be written", func(ctx context.Context) error {
		return r.Options.WriteBack.PreflightWriteBack(ctx, r.ask.Name)
	})
	if err != nil && !secret.IsTransient(err) {
		return stop(Manual, ReasonNotCutOver, "it is to be written back to Vault, and that cannot be: %v", err)
	}
	return err
}

// needs remembers that a person is needed, and owes an alert when that is news.
func (r *run) needs(d decision) Outcome {
	next, news := r.entry.Ladder.climb(r.facts.meta, d.reason, r.Now())
	r.entry.Ladder = next
	if news {
		r.owe(r.told(d))
	}
	return r.outcome(d)
}

// halted turns the error of a step into an outcome and into what is remembered. The error that remains is one after
// which nothing can be written down either.
func (r *run) halted(ctx context.Context, err error) (Outcome, error) {
	var h halt
	f := r.entry.Flight
	switch {
	case errors.As(err, &h) && f == nil:
		return r.dropped(h), nil
	case errors.As(err, &h) && h.park:
		return r.parked(h), nil
	case errors.As(err, &h):
		if err := r.unstage(ctx, f); err != nil {
			return r.stumbled(fmt.Errorf("%s; and %w", h.text, err)), nil
		}
		r.entry.Flight = nil
		return r.dropped(h), nil
	case errors.Is(err, secret.ErrLeaseLost) || ctx.Err() != nil:
		return Outcome{}, err
	case errors.Is(err, errLater) && f != nil:
		return r.outcome(decision{verdict: Continuing, reason: f.Reason, text: "it is under way, and the sweep goes on with it"}), nil
	case errors.Is(err, errLater):
		return Outcome{}, err
	case f == nil && r.target.Name == "":
		return Outcome{}, err // nothing is known of the secret yet: there is nothing to remember
	}
	return r.stumbled(err), nil
}
