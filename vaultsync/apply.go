package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// stepTime is what one write may take. None starts unless the lease and the deadline outlast it.
const stepTime = 10 * time.Second

// apply does what was decided and returns the decision, changed where the destination had the last word.
func (e *Engine) apply(ctx context.Context, entry Entry, d Decision) (Decision, error) {
	if d.Verb.changes() {
		if err := state.Outlasts(ctx, stepTime); err != nil {
			return d, fmt.Errorf("%s %q: %w", d.Verb, entry.Name, err)
		}
	}
	var err error
	switch d.Verb {
	case Create, Update:
		_, err = e.Destination.Set(ctx, entry.Name, d.draft)
	case Retag:
		_, err = e.Destination.Update(ctx, entry.Name, d.patch)
	}
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, secret.ErrDeleted):
		return verdict(Conflict, ReasonDestinationDeleted), nil
	case errors.Is(err, secret.ErrManaged):
		return verdict(Skip, ReasonManaged), nil
	}
	return d, fmt.Errorf("%s %q: %w", d.Verb, entry.Name, err)
}
