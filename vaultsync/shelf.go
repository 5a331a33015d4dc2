package vaultsync

import (
	"iter"
	"strings"
	"sync/atomic"
	"time"
	"unique"

	"github.com/keyferry/keyferry/secret"
)

// shelf holds the secrets of the destination until their turn comes, in a third of the room of rows, because there may
// be 100,000. Putting is for one goroutine; afterwards it is safe for concurrent use. The zero shelf is empty.
type shelf struct {
	all map[string]*kept // by folded name
}

// kept is a row without its tags. What differs from secret to secret is one text, what many share stands elsewhere.
type kept struct {
	text    string // name, state and hash without the version of its key
	path    string
	shared  unique.Handle[shared]
	foreign map[string]string
	print   [16]byte
	created int64 // seconds since 1970: Key Vault knows no smaller time
	expires int64
	state   int32 // where in text the state begins
	hash    int32 // where the hash begins
	managed bool
	off     bool
	claimed atomic.Bool // a secret of the source is the one it was copied from
}

// shared is what many copies have in common.
type shared struct {
	source, field, version, migrated, authority, removed, rotation, hashKey string
}

// put keeps a row. ref is the row's path where the source has shown it already: one text serves both.
func (s *shelf) put(r *row, ref string) {
	key, sum, ok := strings.Cut(r.hash, ".")
	if key += "."; !ok {
		key, sum = "", r.hash
	}
	if ref != r.path {
		ref = r.path
	}
	if s.all == nil {
		s.all = map[string]*kept{}
	}
	k := &kept{
		text: r.name + r.state + sum,
		path: ref,
		shared: unique.Make(shared{
			source: r.source, field: r.field, version: r.version, migrated: r.migrated,
			authority: r.authority, removed: r.removed, rotation: r.rotation, hashKey: key,
		}),
		foreign: r.foreign,
		print:   r.print,
		created: r.created.Unix(),
		expires: r.expires.Unix(),
		state:   int32(len(r.name)),
		hash:    int32(len(r.name) + len(r.state)),
		managed: r.managed,
		off:     r.disabled,
	}
	s.all[secret.FoldName(k.name())] = k
}

func (k *kept) name() string { return k.text[:k.state] }

// row is what was put.
func (k *kept) row() *row {
	s := k.shared.Value()
	return &row{
		name: k.name(), path: k.path, source: s.source, field: s.field, version: s.version, state: k.text[k.state:k.hash],
		hash: s.hashKey + k.text[k.hash:], migrated: s.migrated, authority: s.authority, removed: s.removed, rotation: s.rotation,
		foreign: k.foreign, print: k.print, disabled: k.off, managed: k.managed,
		created: time.Unix(k.created, 0).UTC(), expires: time.Unix(k.expires, 0).UTC(),
	}
}

// row is a copy of the row of that name; nil when there is none.
func (s *shelf) row(name string) *row {
	if k := s.all[secret.FoldName(name)]; k != nil {
		return k.row()
	}
	return nil
}

// holder tells whose copy holds the name; the zero ident when it is none of ours.
func (s *shelf) holder(name string) ident {
	if k := s.all[secret.FoldName(name)]; k != nil && k.path != "" {
		return ident{k.shared.Value().source, k.path}
	}
	return ident{}
}

// spelling is the name as the shelf has it, where it has one spelled the same: so one text serves both.
func (s *shelf) spelling(name string) string {
	if k := s.all[secret.FoldName(name)]; k != nil && k.name() == name {
		return k.name()
	}
	return name
}

// claim notes that a secret of the source wants the name.
func (s *shelf) claim(name string) {
	if k := s.all[secret.FoldName(name)]; k != nil {
		k.claimed.Store(true)
	}
}

// copies are the rows that were copied from somewhere, in any order.
func (s *shelf) copies() iter.Seq[*row] {
	return func(yield func(*row) bool) {
		for _, k := range s.all {
			if k.path != "" && !yield(k.row()) {
				return
			}
		}
	}
}

// unclaimed are the copies that no secret of the source wants.
func (s *shelf) unclaimed() iter.Seq[*row] {
	return func(yield func(*row) bool) {
		for _, k := range s.all {
			if k.path != "" && !k.claimed.Load() && !yield(k.row()) {
				return
			}
		}
	}
}
