package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// found is what a walk of the sources brought.
type found struct {
	mu      sync.Mutex
	entries []Entry
}

// walk finds every secret the rules select. What it could not read goes into the report as failed and missing; a
// source that is sealed or gone ends the walk with an error, since then every answer is worth nothing.
func (e *Engine) walk(ctx context.Context, report *Report) ([]Entry, error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	var group errgroup.Group
	group.SetLimit(e.Workers)
	f := &found{}
	shown := map[string][]Mount{}
	for _, m := range e.mounts() {
		if err := e.show(ctx, m.source, shown); err != nil {
			abort(err)
			break
		}
		mount, err := prove(shown[m.source], m.path)
		if err != nil {
			report.leave(m.path)
			report.fail(Item{Source: m.path}, err)
			continue
		}
		w := walker{source: e.Sources[m.source], mount: mount, rules: m.rules, found: f, report: report, group: &group, abort: abort}
		for _, dir := range m.bases() {
			w.visit(ctx, dir)
		}
	}
	_ = group.Wait()
	slices.SortFunc(f.entries, func(a, b Entry) int { return strings.Compare(a.Where(), b.Where()) })
	return f.entries, context.Cause(ctx)
}

// show asks a source for its mounts, once a run.
func (e *Engine) show(ctx context.Context, source string, shown map[string][]Mount) error {
	if _, done := shown[source]; done {
		return nil
	}
	mounts, err := e.Sources[source].Mounts(ctx)
	if err != nil {
		return fmt.Errorf("list the mounts of %s: %w", source, err)
	}
	shown[source] = mounts
	return nil
}

// gone reports whether the error means that nobody will be answered, not only this one question. Where the error
// leaves that open, ask puts a question that had an answer before in this run: one sick folder or secret must not keep
// all others from being copied, today and in every run to come.
func gone(err error, ask func() error) bool {
	switch {
	case errors.Is(err, secret.ErrUnauthorized), errors.Is(err, secret.ErrLeaseLost),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.Is(err, secret.ErrUnavailable), errors.Is(err, secret.ErrAmbiguous):
		return ask() != nil
	}
	return false
}

// prove finds the mount among those the source shows, so that a later "not found" means a secret and not a mount.
func prove(shown []Mount, path string) (Mount, error) {
	for _, m := range shown {
		if m.Path == path {
			return m, nil
		}
	}
	return Mount{}, fmt.Errorf("find mount %q: %w, or the token may not see it", path, secret.ErrNotFound)
}

// mountRules are the rules of one mount, in their order.
type mountRules struct {
	source, path string
	rules        []*Rule
}

// mounts groups the rules by mount.
func (e *Engine) mounts() []mountRules {
	var out []mountRules
	at := map[[2]string]int{}
	for i := range e.Settings.Rules {
		r := &e.Settings.Rules[i]
		key := [2]string{r.source(), strings.Trim(r.Mount, "/")}
		n, ok := at[key]
		if !ok {
			n = len(out)
			at[key] = n
			out = append(out, mountRules{source: key[0], path: key[1]})
		}
		out[n].rules = append(out[n].rules, r)
	}
	return out
}

// bases are the folders to start from: none lies inside another, and none twice.
func (m mountRules) bases() []string {
	var all, out []string
	for _, r := range m.rules {
		all = append(all, r.bases()...)
	}
	for i, b := range all {
		covered := false
		for j, other := range all {
			if i != j && strings.HasPrefix(b, other) && (b != other || j < i) {
				covered = true
			}
		}
		if !covered {
			out = append(out, b)
		}
	}
	return out
}

// walker walks one mount.
type walker struct {
	source Source
	mount  Mount
	rules  []*Rule
	found  *found
	report *Report
	group  *errgroup.Group
	abort  context.CancelCauseFunc
}

// visit lists a folder, in a goroutine of its own when one is free, and goes on into its folders.
func (w walker) visit(ctx context.Context, dir string) {
	list := func() error {
		w.list(ctx, dir)
		return nil
	}
	if !w.group.TryGo(list) {
		_ = list()
	}
}

func (w walker) list(ctx context.Context, dir string) {
	names, err := w.source.List(ctx, w.mount, dir)
	if err != nil {
		if gone(err, func() error { _, err := w.source.Mounts(ctx); return err }) {
			w.abort(err)
			return
		}
		at := w.mount.Path + "/" + dir
		w.report.leave(at)
		w.report.fail(Item{Source: at}, err)
		return
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return
		}
		if strings.HasSuffix(name, "/") {
			w.visit(ctx, dir+name)
		} else {
			w.take(dir + name)
		}
	}
}

// take gives the path to the first rule that selects it.
func (w walker) take(path string) {
	for _, r := range w.rules {
		if r.selects(path) {
			w.found.mu.Lock()
			defer w.found.mu.Unlock()
			w.found.entries = append(w.found.entries, Entry{
				Rule: r, Mount: w.mount, Path: path, Ref: secret.EncodePath(w.mount.Path, path, ""),
			})
			return
		}
	}
}
