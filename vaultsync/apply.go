package vaultsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// may reports whether a write may start: the lease and the deadline must outlast it.
func (r *run) may(ctx context.Context, e Entry, d Decision) error {
	if err := state.Outlasts(ctx, stepTime); err != nil {
		return fmt.Errorf("%s %q: %w", d.Verb, e.Name, err)
	}
	return nil
}

// apply does what was decided and returns the decision, changed where the destination had the last word.
func (r *run) apply(ctx context.Context, e Entry, d Decision) (Decision, error) {
	if !d.Verb.changes() {
		return d, nil
	}
	if e.Rule.Rotation.Type != "" && r.Rotating != nil {
		busy, err := r.Rotating(ctx, e.Name)
		if err != nil {
			return d, fmt.Errorf("look for a rotation of %q: %w", e.Name, err)
		}
		if busy {
			return verdict(Skip, ReasonRotating), nil
		}
	}
	if err := r.may(ctx, e, d); err != nil {
		return d, err
	}
	var err error
	switch d.Verb {
	case Create, Update:
		_, err = r.Destination.Set(ctx, e.Name, d.draft)
	case Recover:
		if err = r.Destination.Recover(ctx, e.Name); err == nil {
			_, err = r.Destination.Set(ctx, e.Name, d.draft)
		}
	default:
		_, err = r.Destination.Update(ctx, e.Name, d.patch)
	}
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, secret.ErrDeleted):
		return verdict(Conflict, ReasonDestinationDeleted), nil
	case errors.Is(err, secret.ErrManaged):
		return verdict(Skip, ReasonManaged), nil
	}
	return d, fmt.Errorf("%s %q: %w", d.Verb, e.Name, err)
}
