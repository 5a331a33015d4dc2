package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// Options is what an Engine works with. Every field without a remark is required.
type Options struct {
	Settings    Settings
	Sources     map[string]Source // by the name rules give
	Destination Destination
	// Lock runs fn while no other run works on the destination; secret.ErrLeaseHeld when one does. The context it
	// gives fn ends when the lease is lost.
	Lock     func(ctx context.Context, name string, fn func(context.Context) error) error
	Now      func() time.Time
	HashKey  func() secret.Value   // makes the key of the keyed hash; nil: secret.NewHashKey
	Workers  int                   // calls at once; 0: 32
	Config   string                // hash of the configuration, for the report
	Progress func(done, total int) // called as secrets are finished; may be nil
}

// Engine plans and runs the sync. It is safe for concurrent use; runs of one destination exclude each other.
type Engine struct{ Options }

// New checks the settings and makes an Engine. Faults wrap secret.ErrUsage.
func New(o Options) (*Engine, error) {
	if err := o.Settings.Validate(); err != nil {
		return nil, err
	}
	for _, r := range o.Settings.Rules {
		if o.Sources[r.source()] == nil {
			return nil, fmt.Errorf("%w: sync rule %q reads source %q, which is not configured", secret.ErrUsage, r.Name, r.source())
		}
	}
	if o.HashKey == nil {
		o.HashKey = secret.NewHashKey
	}
	if o.Workers <= 0 {
		o.Workers = 32
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return &Engine{Options: o}, nil
}

// Scope narrows a run. The zero Scope is everything.
type Scope struct {
	Rule   string `json:"rule"`   // only secrets of this rule
	Prefix string `json:"prefix"` // only secrets whose mount and path begin so
	Full   bool   `json:"full"`   // trust no fingerprint: compare every value on both sides
}

func (s Scope) holds(e Entry) bool {
	return (s.Rule == "" || e.Rule.Name == s.Rule) && strings.HasPrefix(e.Where(), s.Prefix)
}

// check refuses a scope that names a rule that does not exist.
func (e *Engine) check(s Scope) error {
	if s.Rule == "" {
		return nil
	}
	for _, r := range e.Settings.Rules {
		if r.Name == s.Rule {
			return nil
		}
	}
	return fmt.Errorf("find sync rule %q: %w", s.Rule, secret.ErrNotFound)
}

// Plan tells what Sync would do, by the same reads and the same decisions, and writes nothing. The error is nil when
// the plan covers the whole scope, secret.ErrPartial when the report lists failures.
func (e *Engine) Plan(ctx context.Context, s Scope) (*Report, error) {
	report := newReport(e.Now(), true)
	report.Config = e.Config
	if err := e.check(s); err != nil {
		return report, err
	}
	hasher, err := e.hasher(ctx)
	if err != nil && !errors.Is(err, secret.ErrNotFound) {
		return report, report.end(err)
	}
	return report, report.end(e.run(ctx, s, hasher, report))
}

// Sync copies what Plan would list. The report holds every item that changed, was refused or failed; the error is
// nil when nothing failed, secret.ErrPartial when something did, and secret.ErrLeaseHeld, with an empty report, when
// another run is at work. A run that is cut off is repeated safely: what it wrote is whole and the next run does the
// rest.
func (e *Engine) Sync(ctx context.Context, s Scope) (*Report, error) {
	report := newReport(e.Now(), false)
	report.Config = e.Config
	if err := e.check(s); err != nil {
		return report, err
	}
	if e.Settings.Paused {
		return report, fmt.Errorf("sync: %w", secret.ErrPaused)
	}
	err := e.Lock(ctx, "sync", func(ctx context.Context) error {
		hasher, err := e.hasher(ctx)
		if errors.Is(err, secret.ErrNotFound) {
			hasher, err = e.makeHasher(ctx)
		}
		if err != nil {
			return err
		}
		return e.run(ctx, s, hasher, report)
	})
	return report, report.end(err)
}

// run is the one way of both: list, walk, name, settle each secret and, unless it is a plan, apply.
func (e *Engine) run(ctx context.Context, s Scope, hasher secret.Hasher, report *Report) error {
	defer func() { report.close(e.Now()) }()
	rows, err := e.list(ctx)
	if err != nil {
		return fmt.Errorf("list the destination: %w", err)
	}
	entries, err := e.walk(ctx, report)
	if err != nil {
		return fmt.Errorf("walk the source: %w", err)
	}
	nameAll(entries, func(name string) string {
		if r := rows[secret.FoldName(name)]; r != nil {
			return r.path
		}
		return ""
	})
	var work []Entry
	for _, entry := range entries {
		if s.holds(entry) {
			work = append(work, entry)
		}
	}
	if err := e.each(ctx, work, report, func(ctx context.Context, entry Entry) (Decision, error) {
		k := knowledge{now: e.Now(), entry: entry, hasher: hasher, full: s.Full}
		if entry.Name != "" {
			k.row = rows[secret.FoldName(entry.Name)]
		}
		d, err := e.settle(ctx, k)
		if err != nil || report.Planned {
			return d, err
		}
		return e.apply(ctx, entry, d)
	}); err != nil {
		return err
	}
	if len(report.errs) > 0 {
		return fmt.Errorf("%d of %d: %w", len(report.errs), report.Total(), secret.ErrPartial)
	}
	return nil
}

// list reads the destination into rows by folded name. Keyferry's own secrets are left out.
func (e *Engine) list(ctx context.Context) (map[string]*row, error) {
	rows := map[string]*row{}
	for m, err := range e.Destination.List(ctx) {
		if err != nil {
			return nil, err
		}
		if !secret.Own(m.Name) {
			rows[secret.FoldName(m.Name)] = newRow(m)
		}
	}
	return rows, nil
}

// each does the work on every entry, several at once. A failure of one entry is its own; when the source or the
// destination is gone for everybody the rest is left for the next run.
func (e *Engine) each(ctx context.Context, entries []Entry, report *Report, do func(context.Context, Entry) (Decision, error)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group errgroup.Group
	group.SetLimit(e.Workers)
	var mu sync.Mutex
	done := 0
	for _, entry := range entries {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			d, err := do(ctx, entry)
			if err != nil && ctx.Err() != nil {
				return nil // cut off, not failed
			}
			if err != nil {
				report.fail(Item{Name: entry.Name, Source: entry.Where(), Rule: entry.Rule.Name}, err)
				if gone(err, func() error { return e.answers(ctx, entry) }) {
					stop(err)
				}
			} else {
				report.add(entry, d)
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			e.Progress(done, len(entries))
			return nil
		})
	}
	_ = group.Wait()
	if ctx.Err() != nil {
		report.leave(fmt.Sprintf("%d of %d secrets", len(entries)-done, len(entries)))
		return fmt.Errorf("stop after %d of %d secrets: %w", done, len(entries), context.Cause(ctx))
	}
	return nil
}

// answers asks the source of the entry and the destination what both answer at any time.
func (e *Engine) answers(ctx context.Context, entry Entry) error {
	if _, err := e.Sources[entry.Rule.source()].Mounts(ctx); err != nil {
		return err
	}
	if _, err := e.hasher(ctx); !errors.Is(err, secret.ErrNotFound) {
		return err
	}
	return nil
}
