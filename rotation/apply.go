package rotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// maxCandidates is how many a target may refuse before the policy is to blame and not the draw.
const maxCandidates = 3

// apply makes a new credential the one the target accepts, and proves it. It returns the credential, or why there is
// none: a decision when nobody but a person can help, an error when trying again may.
func (e *Engine) apply(ctx context.Context, d decision, now Credential) (Credential, *decision, error) {
	fail := func(r Reason, text string) (Credential, *decision, error) {
		return Credential{}, &decision{verdict: Failed, reason: r, text: d.text + ", but " + text}, nil
	}
	rotator, err := e.kinds[d.target.Type].Open(e.Deps, d.target.Params)
	if err != nil {
		return fail(ReasonTargetFailed, fmt.Sprintf("its rotator %s cannot start: %v", d.target.Type, err))
	}
	setter, ok := rotator.(Setter)
	if !ok {
		return fail(ReasonTargetFailed, "its rotator "+d.target.Type+" cannot set a value")
	}
	for range maxCandidates {
		next, err := e.candidate(rotator, now)
		if err != nil {
			return Credential{}, nil, err
		}
		if err := state.Outlasts(ctx, stepTime); err != nil {
			return Credential{}, nil, fmt.Errorf("set the candidate: %w", err)
		}
		set := scrub(setter.Set(ctx, now, next), now, next)
		switch {
		case errors.Is(set, ErrRefused):
			continue
		case errors.Is(set, secret.ErrPermanent):
			return fail(ReasonTargetFailed, fmt.Sprintf("the target %s did not take the new value: %v", d.target.Name, set))
		}
		// A bad answer may be a lost one: asking settles it. A good one is proved the same way.
		proof := scrub(rotator.Verify(ctx, next), now, next)
		switch {
		case proof == nil:
			return next, nil, nil
		case set != nil && !secret.IsTransient(set):
			return fail(ReasonTargetFailed, fmt.Sprintf("the target %s did not take the new value: %v", d.target.Name, set))
		case set != nil:
			return Credential{}, nil, fmt.Errorf("set the new value at target %q: %w", d.target.Name, set)
		case errors.Is(proof, ErrDenied) || !secret.IsTransient(proof):
			return fail(ReasonNotVerified, fmt.Sprintf("the target %s took the new value and then: %v", d.target.Name, proof))
		}
		return Credential{}, nil, fmt.Errorf("verify the new value at target %q: %w", d.target.Name, proof)
	}
	return fail(ReasonCandidateRefused, fmt.Sprintf("the target %s refused %d new values", d.target.Name, maxCandidates))
}

// candidate asks the rotator for the credential that is to come, or follows the default policy.
func (e *Engine) candidate(rotator Rotator, now Credential) (Credential, error) {
	if c, ok := rotator.(Chooser); ok {
		return c.Choose(now, e.Random)
	}
	value, err := Policy{}.Choose(e.Random)
	return Credential{User: now.User, Secret: value}, err
}
