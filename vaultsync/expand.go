package vaultsync

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// expand puts one entry for each field in the place of every entry of an as:key rule. The fields of a secret that did
// not move are those it was copied with; of any other the data is read, once for all its fields.
func (r *run) expand(ctx context.Context) error {
	var plain, whole []Entry
	for _, e := range r.entries {
		if e.Rule.As == ShapeKey {
			whole = append(whole, e)
		} else {
			plain = append(plain, e)
		}
	}
	if len(whole) == 0 {
		return nil
	}
	copies := r.copiesByPath()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.Workers)
	for _, e := range whole {
		group.Go(func() error {
			keys, err := r.keysOf(ctx, e, copies[e.Ref])
			if err != nil {
				r.report.leave(e.Where())
				r.report.fail(Item{Source: e.Where(), Rule: e.Rule.Name}, err)
				if gone(err, func() error { _, err := r.Sources[e.Rule.source()].Mounts(ctx); return err }) {
					return err
				}
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			for _, key := range keys {
				one := e
				one.Key, one.Ref = key, secret.EncodePath(e.Mount.Path, e.Path, key)
				plain = append(plain, one)
			}
			if len(keys) == 0 {
				plain = append(plain, e) // nothing in it: said once, for the whole
			}
			return nil
		})
	}
	err := group.Wait()
	r.entries = plain
	return err
}

// copiesByPath groups the copies of single fields by the Ref of the secret they came from.
func (r *run) copiesByPath() map[string][]*row {
	out := map[string][]*row{}
	for _, row := range r.rows {
		if path, _, one := strings.Cut(row.path, "#"); one {
			out[path] = append(out[path], row)
		}
	}
	return out
}

// keysOf are the fields of a secret, sorted. For one without a version they are those it was copied with.
func (r *run) keysOf(ctx context.Context, e Entry, copies []*row) ([]string, error) {
	state, known := r.states[e.Ref]
	copied, whole := copiedKeys(copies)
	if known && whole && !r.scope.Full && unmoved(fingerprint(e.Mount, state, r.Now()), copies) {
		r.proof.fields(e.Ref)
		return copied, nil
	}
	s, fields, err := r.Sources[e.Rule.source()].Read(ctx, e.Mount, e.Path)
	if err != nil {
		return nil, absentOr(err, "read", e)
	}
	r.mu.Lock()
	r.states[e.Ref], r.fields[e.Ref] = s, fields
	r.mu.Unlock()
	if len(fields) == 0 {
		return copied, nil
	}
	r.proof.fields(e.Ref)
	return slices.Sorted(maps.Keys(fields)), nil
}

// copiedKeys are the fields a secret was copied with; whole is false when a tag does not tell.
func copiedKeys(copies []*row) (keys []string, whole bool) {
	whole = len(copies) > 0
	for _, row := range copies {
		_, key, ok := secret.DecodePath(row.path)
		if !ok {
			whole = false
			continue
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, whole
}

// unmoved reports whether every copy was made from what the source holds now.
func unmoved(print string, copies []*row) bool {
	for _, row := range copies {
		written, err := secret.ParseState(row.state)
		if err != nil || written.Print != print {
			return false
		}
	}
	return true
}
