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

// apart runs a write to a secret that may be rotated while no rotation works on it, and only if it still is what was
// decided about: between the look and the write a whole rotation may have come and gone, and its new password must not
// be written over. moved: it is not, or a rotation is under way, and nothing was done.
func (r *run) apart(ctx context.Context, k knowledge, write func(context.Context) error) (moved bool, err error) {
	rotates := k.entry.Rule.Rotation.Type != "" || k.row != nil && k.row.rotates
	if !rotates || r.Apart == nil {
		return false, write(ctx)
	}
	err = r.Apart(ctx, k.entry.Name, func(ctx context.Context) error {
		if moved, err = r.moved(ctx, k); err != nil || moved {
			return err
		}
		return write(ctx)
	})
	if errors.Is(err, secret.ErrLeaseHeld) {
		return true, nil
	}
	return moved, err
}

// moved reports whether the secret is another one than when it was looked at.
func (r *run) moved(ctx context.Context, k knowledge) (bool, error) {
	if k.row == nil {
		return false, nil // nobody rotates what is not there
	}
	_, m, err := r.Destination.Get(ctx, k.entry.Name)
	switch {
	case errors.Is(err, secret.ErrDisabled):
		return !k.row.disabled, nil
	case errors.Is(err, secret.ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look at %q again: %w", k.entry.Name, err)
	}
	now := newRow(m)
	return now.disabled != k.row.disabled || now.print != k.row.print || !now.created.Equal(k.row.created), nil
}

// apply does what was decided and returns the decision, changed where the destination had the last word.
func (r *run) apply(ctx context.Context, k knowledge, d Decision) (Decision, error) {
	if !d.Verb.changes() {
		return d, nil
	}
	done := d
	moved, err := r.apart(ctx, k, func(ctx context.Context) (err error) {
		done, err = r.write(ctx, k.entry, d)
		return err
	})
	if err == nil && moved {
		return verdict(Skip, ReasonRotating), nil
	}
	return done, err
}

func (r *run) write(ctx context.Context, e Entry, d Decision) (Decision, error) {
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
