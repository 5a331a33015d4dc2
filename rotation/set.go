package rotation

import (
	"context"
	"errors"
	"fmt"
)

// maxCandidates is how many a target may refuse before the policy is to blame and not the draw.
const maxCandidates = 3

// setting is for targets that take the value we choose. The candidate is durable before the target hears of it, and as
// it is always the same one, executors that do not know of each other converge.
type setting struct{ setter Setter }

// prepare proves the current credential first. That shows that the target can be reached, and that the secret belongs to
// the account: without it, whoever may write the secret could name an account of others there, and have an admin reset
// its password (facts/rotation.md 6.12).
func (s setting) prepare(ctx context.Context, r *run, f *flight) error {
	switch p, err := r.prove(ctx, r.current); {
	case p == unclear:
		return err
	case p == denied && (r.target.Admin.Secret == "" || r.target.User == ""):
		return stop(Failed, ReasonDenied, "the target %s does not accept its current value", r.target.Name)
	}
	return s.draw(ctx, r, f)
}

// draw chooses a candidate and makes it durable.
func (setting) draw(ctx context.Context, r *run, f *flight) error {
	next, err := r.candidate()
	if err != nil {
		return err
	}
	r.knows(next)
	if _, err := render(r.format, r.value, r.current, next); err != nil {
		return stop(Failed, ReasonFormat, "its value cannot hold what is to come: %v", err)
	}
	if err := r.stage(ctx, f, next); err != nil {
		return err
	}
	r.next = next
	return nil
}

func (s setting) apply(ctx context.Context, r *run, f *flight) error {
	if !r.fresh {
		if done, err := s.inquire(ctx, r, f); done || err != nil {
			return err
		}
	}
	for range maxCandidates {
		set := r.touch(ctx, "set the candidate at target "+quoted(r.target.Name), func(ctx context.Context) error {
			return s.setter.Set(ctx, r.current, r.next)
		})
		switch {
		case errors.Is(set, errLater):
			return set
		case errors.Is(set, ErrRefused):
			if err := s.draw(ctx, r, f); err != nil {
				return err
			}
			if err := r.entry.save(ctx); err != nil {
				return err
			}
			continue
		}
		return s.judge(ctx, r, set)
	}
	return stop(Failed, ReasonCandidateRefused, "the target %s refused %d new values", r.target.Name, maxCandidates)
}

// judge settles what Set did. A bad answer may be a lost one, and a good one is proved the same way.
func (setting) judge(ctx context.Context, r *run, set error) error {
	switch p, err := r.prove(ctx, r.next); {
	case p == proven:
		return nil
	case p == unclear && set != nil:
		return fmt.Errorf("%w; then %w", set, err)
	case p == unclear:
		return err
	case set == nil:
		return fmt.Errorf("%w: the target %s took the new value and denies it", errNotVerified, quoted(r.target.Name))
	case !final(set):
		return set
	}
	if p, _ := r.prove(ctx, r.current); p != proven {
		return set // neither is proven: only a clear answer allows to forget the candidate
	}
	return stop(Failed, ReasonTargetFailed, "the target %s did not take the new value: %v", r.target.Name, set)
}

// inquire finds out what became of a candidate that the target may have been told of. done: it is in effect.
func (s setting) inquire(ctx context.Context, r *run, f *flight) (done bool, err error) {
	if err := s.recall(ctx, r, f); err != nil {
		if p, _ := r.prove(ctx, r.current); p == proven && errors.As(err, new(halt)) {
			return false, stop(Continuing, ReasonBackOff, "its candidate is gone and was never in effect: a new one will be made")
		}
		return false, err
	}
	switch p, err := r.prove(ctx, r.next); {
	case p == proven:
		return true, nil
	case p == unclear:
		return false, err
	case !r.atSource(f):
		return false, stop(Nothing, ReasonSuperseded, "it was changed before the target was, and its candidate is dropped")
	}
	return false, nil
}

// recall reads the candidate from its version of the staging secret.
func (setting) recall(ctx context.Context, r *run, f *flight) error {
	p, ok, err := r.readStaging(ctx, f.Pending)
	var h halt
	if errors.As(err, &h) { // somebody edited it: that is no reason to forget what the target may have
		return park(Failed, ReasonStaging, "%s, and the target may have its candidate", h.text)
	}
	if err != nil {
		return err
	}
	if !ok || p.Intent || p.State.ID != f.ID {
		return park(Failed, ReasonStaging, "its candidate is gone from the staging secret, or disabled, and the target may have it")
	}
	r.next = p.credential()
	return nil
}

// reverse gives the target its old credential back.
func (s setting) reverse(ctx context.Context, r *run, f *flight, force bool) error {
	if !force {
		return nil
	}
	value, meta, err := r.Secrets.GetVersion(ctx, r.ask.Name, f.Source)
	if err != nil {
		return fmt.Errorf("read the old version: %w", err)
	}
	old, err := r.target.credential(r.format, value, meta)
	if err != nil {
		return err
	}
	r.knows(old)
	if p, err := r.prove(ctx, old); p != denied {
		return err // nil when it works already
	}
	if err := s.recall(ctx, r, f); err != nil {
		return err
	}
	set := r.touch(ctx, "set the old value at target "+quoted(r.target.Name), func(ctx context.Context) error {
		return s.setter.Set(ctx, r.next, old)
	})
	if p, err := r.prove(ctx, old); p != proven {
		return errors.Join(set, err, fmt.Errorf("the target %s does not accept the old value", quoted(r.target.Name)))
	}
	return nil
}
