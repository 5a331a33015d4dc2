package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// run is one Plan or Sync: what it saw and what it was asked.
type run struct {
	*Engine
	*gathered
	scope   Scope
	hasher  secret.Hasher
	report  *Report
	plan    *PlanFile // being made by a plan, bound to by a sync; nil for neither
	deleted func(context.Context) (map[string]*row, error)

	indexed sync.Once
	ids     map[ident]bool // of all entries, made when first asked for

	mu       sync.Mutex // guards what follows, states and fields
	removals []removal
	restored map[string]bool // sources that hold older versions than were copied
}

// removal is a decision that waits for the fuse, and what it rests on.
type removal struct {
	knowledge
	Decision
}

// run is the one way of Plan and Sync: gather, name, settle each secret and, unless it is a plan, apply.
func (e *Engine) run(ctx context.Context, s Scope, hasher secret.Hasher, plan *PlanFile, report *Report) error {
	defer func() { report.close(e.Now()) }()
	g, err := e.gather(ctx, s, report)
	if err != nil {
		return err
	}
	r := e.newRun(g, s, hasher, plan, report)
	if err := r.name(ctx); err != nil {
		return err
	}
	if err := r.each(ctx, s.of(g.entries), r.entry); err != nil {
		return err
	}
	if err := r.each(ctx, r.orphans(), r.orphan); err != nil {
		return err
	}
	if err := r.fuse(ctx); err != nil {
		return err
	}
	if r.plan != nil && !report.Planned {
		r.plan.leftovers(report)
	}
	if len(report.errs) > 0 {
		return fmt.Errorf("%d of %d: %w", len(report.errs), report.Total(), secret.ErrPartial)
	}
	return nil
}

func (e *Engine) newRun(g *gathered, s Scope, hasher secret.Hasher, plan *PlanFile, report *Report) *run {
	r := &run{Engine: e, gathered: g, scope: s, hasher: hasher, report: report, plan: plan}
	r.deleted, r.restored = once(r.listDeleted), map[string]bool{}
	return r
}

// name turns what the walk found into entries with names.
func (r *run) name(ctx context.Context) error {
	if err := r.expand(ctx); err != nil {
		return err
	}
	nameAll(r.entries, r.rows.holder)
	for i := range r.entries {
		r.entries[i].Name = r.rows.spelling(r.entries[i].Name)
	}
	return nil
}

// entry settles one secret of the source and applies the verdict.
func (r *run) entry(ctx context.Context, entry Entry) (Decision, error) {
	k := knowledge{now: r.Now(), entry: entry, hasher: r.hasher, full: r.scope.Full}
	if entry.Name != "" {
		k.row = r.rows.row(entry.Name)
	}
	if k.row != nil && k.row.path != "" && entry.Fault == "" {
		k.pathGone = k.row.path != entry.Ref && r.pathGone(k.row)
		r.rows.claim(entry.Name) // also by one that cannot have it: a copy is spoken of once
	}
	return r.conclude(ctx, k)
}

// conclude settles and, unless it is a plan or a removal, applies.
func (r *run) conclude(ctx context.Context, k knowledge) (Decision, error) {
	listed := k.row
	d, err := r.settle(ctx, &k)
	if err != nil {
		return d, err
	}
	if d.Reason == ReasonRegressed {
		r.mu.Lock()
		r.restored[k.entry.Rule.source()] = true
		r.mu.Unlock()
	}
	switch {
	case r.plan == nil:
	case r.report.Planned:
		r.plan.note(k, listed, d)
	default:
		d = r.plan.bind(k, listed, d)
	}
	switch {
	case d.Verb.removes():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.removals = append(r.removals, removal{k, d})
		return d, nil
	case r.report.Planned:
		return d, nil
	}
	done, err := r.apply(ctx, k, d)
	if d.Verb == Create && done.Reason == ReasonDestinationDeleted {
		return r.again(ctx, k)
	}
	return done, err
}

// again settles once more a name that a deleted secret came to hold since the deleted ones were listed: it may be one
// that we deleted.
func (r *run) again(ctx context.Context, k knowledge) (Decision, error) {
	deleted, err := r.listDeleted(ctx)
	if err != nil {
		return Decision{}, err
	}
	if k.deleted = deleted[secret.FoldName(k.entry.Name)]; k.deleted == nil {
		return verdict(Conflict, ReasonDestinationDeleted), nil // may not be listed
	}
	d := decide(k)
	if d.Verb != Recover || r.plan != nil { // a plan said create
		return verdict(Conflict, ReasonDestinationDeleted), nil
	}
	return r.apply(ctx, k, d)
}

// listDeleted reads the names that deleted secrets hold. Who may not list them learns of each when writing to it.
func (r *run) listDeleted(ctx context.Context) (map[string]*row, error) {
	rows := map[string]*row{}
	for m, err := range r.Destination.ListDeleted(ctx) {
		if errors.Is(err, secret.ErrForbidden) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the deleted secrets of the destination: %w", err)
		}
		rows[secret.FoldName(m.Name)] = newRow(m)
	}
	return rows, nil
}

// each does the work on every entry, several at once. A failure of one entry is its own; when the source or the
// destination is gone for everybody the rest is left for the next run.
func (r *run) each(ctx context.Context, entries []Entry, do func(context.Context, Entry) (Decision, error)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	tell := r.teller(ctx, r.report.Started)
	var group sync.WaitGroup
	var next, done atomic.Int64
	for range min(r.Workers, len(entries)) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(entries)) {
					return
				}
				entry := entries[i]
				d, err := do(ctx, entry)
				if err != nil && ctx.Err() != nil {
					return // cut off, not failed
				}
				switch {
				case err != nil:
					r.report.fail(Item{Name: entry.Name, Source: entry.Where(), Rule: entry.Rule.Name}, err)
					if gone(err, func() error { return r.answers(ctx, entry) }) {
						stop(err)
					}
				case !d.Verb.removes(): // the fuse counts those
					r.report.add(entry, d)
				}
				tell(int(done.Add(1)), len(entries))
			}
		})
	}
	group.Wait()
	if so := int(done.Load()); ctx.Err() != nil {
		r.report.leave(fmt.Sprintf("%d of %d secrets", len(entries)-so, len(entries)))
		return fmt.Errorf("stop after %d of %d secrets: %w", so, len(entries), context.Cause(ctx))
	}
	return nil
}

// answers asks the source of the entry and the destination what both answer at any time.
func (r *run) answers(ctx context.Context, entry Entry) error {
	if _, err := r.Sources[entry.Rule.source()].Mounts(ctx); err != nil {
		return err
	}
	if _, err := r.Engine.hasher(ctx); !errors.Is(err, secret.ErrNotFound) {
		return err
	}
	return nil
}

// stepTime is what one write may take. None starts unless the lease and the deadline outlast it.
const stepTime = 10 * time.Second
