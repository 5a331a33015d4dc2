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

// rotating reports whether a rotation of the secret is under way: then nobody else may touch it.
func (r *run) rotating(ctx context.Context, e Entry) (bool, error) {
	if e.Rule.Rotation.Type == "" || r.Rotating == nil {
		return false, nil
	}
	busy, err := r.Rotating(ctx, e.Name)
	if err != nil {
		return false, fmt.Errorf("look for a rotation of %q: %w", e.Name, err)
	}
	return busy, nil
}

// apply does what was decided and returns the decision, changed where the destination had the last word.
func (r *run) apply(ctx context.Context, e Entry, d Decision) (Decision, error) {
	if !d.Verb.changes() {
		return d, nil
	}
	busy, err := r.rotating(ctx, e)
	switch {
	case err != nil:
		return d, err
	case busy:
		return verdict(Skip, ReasonRotating), nil
	}
	if err := r.may(ctx, e, d); err != nil {
		return d, err
	}
	switch d.Verb {
	case Create, Update:
		_, err = r.Destination.Set(ctx, e.Name, d.draft)
	case Recover:
		if err = r.Destination.Recover(ctx, e.Name); err == nil {
			_, err = r.Destination.Set(ctx, e.Name, d.draft)
		}
	default:
		_, err = r.Destination.UpdateVersion(ctx, e.Name, d.seen, d.patch)
	}
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, secret.ErrDeleted):
		return verdict(Conflict, ReasonDestinationDeleted), nil
	case errors.Is(err, secret.ErrNotFound):
		return verdict(Skip, ReasonVanished), nil // a patch came too late
	case errors.Is(err, secret.ErrManaged):
		return verdict(Skip, ReasonManaged), nil
	}
	return d, fmt.Errorf("%s %q: %w", d.Verb, e.Name, err)
}
