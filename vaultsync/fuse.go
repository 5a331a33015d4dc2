package vaultsync

import (
	"context"
	"fmt"
	"math"
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

// fuse makes the removals of the run, or holds them all when they are too many to be meant, or when a whole mount is
// empty that once had secrets.
func (r *run) fuse(ctx context.Context) error {
	if len(r.removals) == 0 {
		return nil
	}
	copies := 0
	for _, row := range r.rows {
		if row.path != "" {
			copies++
		}
	}
	allowed := r.Settings.Limits.allowance(copies)
	for _, x := range r.removals {
		if r.proof.inside[place(x.entry.Rule.source(), x.entry.Mount.Path, "")] == 0 {
			allowed = 0
		}
	}
	held := len(r.removals) > max(allowed, r.scope.AllowRemovals)
	if held {
		r.report.hold(len(r.removals))
	}
	todo := make([]Entry, 0, len(r.removals))
	decided := map[string]removal{}
	for _, x := range r.removals {
		todo = append(todo, x.entry)
		decided[x.entry.Ref] = x
	}
	return r.each(ctx, todo, func(ctx context.Context, e Entry) (Decision, error) {
		k, d := decided[e.Ref].knowledge, decided[e.Ref].decision
		switch {
		case held:
			return verdict(Conflict, ReasonFuse), nil
		case r.report.Planned:
			r.report.add(e, d)
			return d, nil
		}
		moved, err := r.apart(ctx, k, func(ctx context.Context) error { return r.remove(ctx, e, d) })
		if err != nil {
			return d, err
		}
		if moved {
			return verdict(Skip, ReasonRotating), nil
		}
		r.report.add(e, d)
		return d, nil
	})
}

// remove disables or soft-deletes a copy. The mark goes on first, so that our removal is always told from other
// people's.
func (r *run) remove(ctx context.Context, e Entry, d Decision) error {
	if err := r.may(ctx, e, d); err != nil {
		return err
	}
	if _, err := r.Destination.Update(ctx, e.Name, d.patch); err != nil {
		return fmt.Errorf("%s %q: %w", d.Verb, e.Name, err)
	}
	if d.Verb == Delete {
		if err := r.Destination.Delete(ctx, e.Name); err != nil {
			return fmt.Errorf("delete %q: %w", e.Name, err)
		}
	}
	return nil
}
