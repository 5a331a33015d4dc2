package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/keyferry/keyferry/secret"
)

// The fuse when the settings do not say.
const (
	defaultRemovals     = 10
	defaultRemovalShare = 0.05
)

// allowance is how many removals one run may make among so many copies.
func (l Limits) allowance(copies int) int {
	if l.Removals == 0 {
		l.Removals = defaultRemovals
	}
	if l.RemovalShare == 0 {
		l.RemovalShare = defaultRemovalShare
	}
	return max(l.Removals, int(math.Floor(l.RemovalShare*float64(copies))))
}

// fuse makes the removals of the run. It holds them all when they are too many to be meant, and else those for which
// something larger than a secret went away.
func (r *run) fuse(ctx context.Context) error {
	if len(r.removals) == 0 {
		return nil
	}
	todo := make([]Entry, 0, len(r.removals))
	decided := map[string]removal{}
	for _, x := range r.removals {
		todo = append(todo, x.entry)
		decided[x.entry.Name] = x
	}
	why := r.heldBecause()
	for _, e := range todo {
		if why(e) != "" {
			r.report.hold()
		}
	}
	return r.each(ctx, todo, func(ctx context.Context, e Entry) (Decision, error) {
		if reason := why(e); reason != "" {
			return verdict(Conflict, reason), nil
		}
		x := decided[e.Name]
		if r.report.Planned {
			r.report.add(e, x.Decision)
			return x.Decision, nil
		}
		d, err := r.remove(ctx, x)
		if err == nil && d.Verb.removes() { // else each adds it
			r.report.add(e, d)
		}
		return d, err
	})
}

// heldBecause says why a removal is held, "" when it is not.
func (r *run) heldBecause() func(Entry) Reason {
	copies := 0
	for range r.rows.copies() {
		copies++
	}
	tooMany := len(r.removals) > r.Settings.Limits.allowance(copies)
	released := len(r.removals) <= r.scope.AllowRemovals
	return func(e Entry) Reason {
		switch source := e.Rule.source(); {
		case released:
			return ""
		case r.proof.inside[place(source, e.Mount.Path, "")] == 0:
			return ReasonMountEmptied
		case r.restored[source]:
			return ReasonSourceRestored
		case tooMany:
			return ReasonFuse
		}
		return ""
	}
}

// remove disables or soft-deletes a copy. The copy is looked at again, because a run is long and this is its end. The
// mark goes on first, so that our removal is always told from other people's.
func (r *run) remove(ctx context.Context, x removal) (Decision, error) {
	k := x.knowledge
	k.have = nil
	d, err := r.settle(ctx, &k)
	if err != nil || !d.Verb.removes() {
		return d, err
	}
	done := d
	moved, err := r.apart(ctx, k, func(ctx context.Context) (err error) {
		done, err = r.takeAway(ctx, k.entry, d)
		return err
	})
	if err == nil && moved {
		return verdict(Skip, ReasonRotating), nil
	}
	return done, err
}

func (r *run) takeAway(ctx context.Context, e Entry, d Decision) (Decision, error) {
	if err := r.may(ctx, e, d); err != nil {
		return d, err
	}
	version := d.seen
	if d.Verb == Delete {
		version = "" // takes them all, so the mark shows whether another one came
	}
	m, err := r.Destination.UpdateVersion(ctx, e.Name, version, d.patch)
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return verdict(Skip, ReasonVanished), nil
	case err != nil:
		return d, fmt.Errorf("%s %q: %w", d.Verb, e.Name, err)
	case d.Verb == Disable:
		return d, nil
	case m.Version != d.seen:
		return verdict(Conflict, ReasonBothChanged), nil
	}
	if err := r.Destination.Delete(ctx, e.Name); err != nil {
		return d, fmt.Errorf("delete %q: %w", e.Name, err)
	}
	return d, nil
}
