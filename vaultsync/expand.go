package vaultsync

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// expand puts one entry for each field in the place of every entry of an as:key rule. The fields of a secret that did
// not move are those it was copied with; of any other the data is read, once for all its fields.
func (r *run) expand(ctx context.Context) error {
	if !slices.ContainsFunc(r.entries, func(e Entry) bool { return e.Rule.As == ShapeKey }) {
		return nil
	}
	var plain, whole []Entry
	for _, e := range r.entries {
		if e.Rule.As == ShapeKey {
			r.proof.listed(e)
			whole = append(whole, e)
		} else {
			plain = append(plain, e)
		}
	}
	copies := r.copiesByPath()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.Workers)
	for _, e := range whole {
		group.Go(func() error {
			keys, err := r.keysOf(ctx, e, copies[e.id()])
			switch {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				plain = append(plain, split(e, keys)...)
				return nil
			case ctx.Err() != nil:
				return context.Cause(ctx)
			}
			r.report.leave(e.Where())
			r.report.fail(Item{Source: e.Where(), Rule: e.Rule.Name}, err)
			if gone(err, func() error { _, err := r.Sources[e.Rule.source()].Mounts(ctx); return err }) {
				return err
			}
			return nil
		})
	}
	err := group.Wait()
	slices.SortFunc(plain, byPlace)
	r.entries = plain
	return err
}

// split makes an entry of each field. One without fields stays whole, and is said once.
func split(e Entry, keys []string) []Entry {
	if len(keys) == 0 {
		return []Entry{e}
	}
	out := make([]Entry, 0, len(keys))
	for _, key := range keys {
		one := e
		one.Key, one.Keys, one.Ref = key, len(keys), secret.EncodePath(e.Mount.Path, e.Path, key)
		if key == "" {
			one.Fault = ReasonNameEmpty // it would look like the whole secret
		}
		out = append(out, one)
	}
	return out
}

// copiesByPath groups the copies of single fields by the secret they came from.
func (r *run) copiesByPath() map[ident][]*row {
	out := map[ident][]*row{}
	for row := range r.rows.copies() {
		if path, _, one := strings.Cut(row.path, "#"); one {
			id := ident{row.source, path}
			out[id] = append(out[id], row)
		}
	}
	return out
}

// keysOf are the fields of a secret, sorted. For one without a version they are those it was copied with.
func (r *run) keysOf(ctx context.Context, e Entry, copies []*row) ([]string, error) {
	state, known := r.source.state(e.id())
	if known && !r.scope.Full {
		if state.Gone(r.Now()) {
			return copiedKeys(copies, ""), nil
		}
		if keys, all := unmovedKeys(e.print(state, r.Now()), copies); all {
			r.proof.fields(e)
			return keys, nil
		}
	}
	s, fields, err := r.read(ctx, e)
	if errors.Is(err, errVanished) {
		return copiedKeys(copies, ""), nil // each says so
	}
	if err != nil {
		return nil, err
	}
	r.source.learn(e.id(), s)
	r.mu.Lock()
	r.fields[e.id()] = fields
	r.mu.Unlock()
	if len(fields) == 0 {
		return copiedKeys(copies, ""), nil
	}
	r.proof.fields(e)
	return slices.Sorted(maps.Keys(fields)), nil
}

// print is the fingerprint of the source as the copies of the entry record it. Where a secret has a copy for each
// field it holds their number too: only so do the copies themselves tell that none of them is missing.
func (e Entry) print(s State, now time.Time) string {
	print := fingerprint(e.Mount, s, now)
	if e.Keys > 0 && e.Mount.Version == 2 {
		print += keysMark + strconv.Itoa(e.Keys)
	}
	return print
}

// keysMark stands between a fingerprint, which is hexadecimal, and the number of fields.
const keysMark = "k"

// keysIn is the number of fields that a fingerprint holds; 0 for none.
func keysIn(print string) int {
	_, n, _ := strings.Cut(print, keysMark)
	keys, _ := strconv.Atoi(n)
	return keys
}

// unmovedKeys are the fields of a secret that now has the fingerprint; all is false unless each has a copy made from
// just that.
func unmovedKeys(print string, copies []*row) (keys []string, all bool) {
	for _, row := range copies {
		written, err := secret.ParseState(row.state)
		if err != nil {
			continue
		}
		if n, one := strings.CutPrefix(written.Print, print+keysMark); one {
			keys = copiedKeys(copies, written.Print)
			return keys, n == strconv.Itoa(len(keys))
		}
	}
	return nil, false
}

// copiedKeys are the fields that have a copy with the fingerprint, "" for any, sorted. A tag that was cut tells none.
func copiedKeys(copies []*row, print string) (keys []string) {
	for _, row := range copies {
		_, key, ok := secret.DecodePath(row.path)
		written, err := secret.ParseState(row.state)
		if ok && (print == "" || err == nil && written.Print == print) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
