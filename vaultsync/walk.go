package vaultsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// walk finds every secret the rules select, and tells of each as it comes, with its state where the listing had it. What
// it could not read goes into the report as failed and missing; a source that is sealed or gone ends the walk with an
// error, since then every answer is worth nothing.
func (e *Engine) walk(ctx context.Context, report *Report, tell func(Entry, *State)) (*proof, error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	var group errgroup.Group
	group.SetLimit(e.Workers)
	proof := newProof()
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
		proof.mount(m.source, mount)
		w := walker{
			name: m.source, destination: e.Name, source: e.Sources[m.source], mount: mount, rules: m.rules,
			tell: tell, proof: proof, report: report, group: &group, abort: abort, plain: new(atomic.Bool),
		}
		for _, dir := range m.bases(e.Name) {
			w.visit(ctx, dir)
		}
	}
	_ = group.Wait()
	return proof, context.Cause(ctx)
}

// byPlace orders entries by where they live.
func byPlace(a, b Entry) int {
	return cmp.Or(
		strings.Compare(a.Rule.source(), b.Rule.source()), strings.Compare(a.Mount.Path, b.Mount.Path),
		strings.Compare(a.Path, b.Path), strings.Compare(a.Key, b.Key),
	)
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

// mountRules are the rules of one mount, in their order, those of other destinations among them: a secret belongs to the
// first rule that selects it, wherever that leads.
type mountRules struct {
	source, path string
	rules        []*Rule
}

// mounts groups the rules by mount.
func (e *Engine) mounts() []mountRules {
	var all, out []mountRules
	at := map[[2]string]int{}
	for i := range e.Settings.Rules {
		r := &e.Settings.Rules[i]
		key := [2]string{r.source(), strings.Trim(r.Mount, "/")}
		n, ok := at[key]
		if !ok {
			n = len(all)
			at[key] = n
			all = append(all, mountRules{source: key[0], path: key[1]})
		}
		all[n].rules = append(all[n].rules, r)
	}
	for _, m := range all {
		if len(m.bases(e.Name)) > 0 {
			out = append(out, m)
		}
	}
	return out
}

// bases are the folders to start from for a destination: none lies inside another, and none twice.
func (m mountRules) bases(destination string) []string {
	var all, out []string
	for _, r := range m.rules {
		if r.destination() == destination {
			all = append(all, r.bases()...)
		}
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
	name        string // of the source
	destination string
	source      Source
	mount       Mount
	rules       []*Rule
	tell        func(Entry, *State)
	proof       *proof
	report      *Report
	group       *errgroup.Group
	abort       context.CancelCauseFunc
	plain       *atomic.Bool // the source refused this mount's metadata with its listings, or cannot give it
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
	names, states, err := w.look(ctx, dir)
	w.proof.folder(w.name, w.mount, dir, err == nil)
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
			state, told := states[name]
			if !told {
				w.take(dir+name, nil)
				continue
			}
			w.take(dir+name, &state)
		}
	}
}

// look lists a folder, with the states of its secrets from sources that can tell them at once.
func (w walker) look(ctx context.Context, dir string) ([]string, map[string]State, error) {
	if detailed, ok := w.source.(DetailedLister); ok && w.mount.Version == 2 && !w.plain.Load() {
		names, states, err := detailed.ListDetailed(ctx, w.mount, dir)
		if err == nil {
			return names, states, nil
		}
		if errors.Is(err, secret.ErrUnsupported) || errors.Is(err, secret.ErrForbidden) {
			w.plain.Store(true)
		}
	}
	names, err := w.source.List(ctx, w.mount, dir)
	return names, nil, err
}

// take gives the path to the first rule that selects it.
func (w walker) take(path string, state *State) {
	r := ruleOf(w.rules, path)
	if r == nil || r.destination() != w.destination {
		return
	}
	w.proof.found(w.name, w.mount)
	ref := secret.EncodePath(w.mount.Path, path, "")
	if strings.HasSuffix(ref, path) {
		path = ref[len(ref)-len(path):] // one text serves both
	}
	w.tell(Entry{Rule: r, Mount: w.mount, Path: path, Ref: ref}, state)
}

// ruleOf is the first of the rules that selects the path; nil when none does.
func ruleOf(rules []*Rule, path string) *Rule {
	for _, r := range rules {
		if r.selects(path) {
			return r
		}
	}
	return nil
}
