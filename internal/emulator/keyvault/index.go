package keyvault

import (
	"slices"
	"strings"
)

// index lists records by upper-cased name. Additions wait unsorted until somebody lists, so that both a hundred thousand creates
// and a hundred thousand listed items cost about as much as they must.
type index struct {
	sorted []*record
	fresh  []*record
}

func (x *index) add(r *record) { x.fresh = append(x.fresh, r) }

// page returns up to size records from the key on that keep wants, and the key of the one after them, empty at the end.
func (x *index) page(from string, size int, keep func(*record) bool) (found []*record, next string) {
	x.settle()
	i, _ := slices.BinarySearchFunc(x.sorted, from, func(r *record, key string) int { return strings.Compare(r.key, key) })
	for _, r := range x.sorted[i:] {
		if r.unregistered || !keep(r) {
			continue
		}
		if len(found) == size {
			return found, r.key
		}
		found = append(found, r)
	}
	return found, ""
}

// settle merges what is fresh and forgets what has lost its name. A name can stand twice only as a forgotten record and its
// successor.
func (x *index) settle() {
	if len(x.fresh) == 0 {
		return
	}
	slices.SortFunc(x.fresh, func(a, b *record) int { return strings.Compare(a.key, b.key) })
	merged := make([]*record, 0, len(x.sorted)+len(x.fresh))
	take := func(r *record) {
		if !r.unregistered {
			merged = append(merged, r)
		}
	}
	rest := x.fresh
	for _, r := range x.sorted {
		for len(rest) > 0 && rest[0].key < r.key {
			take(rest[0])
			rest = rest[1:]
		}
		take(r)
	}
	for _, r := range rest {
		take(r)
	}
	x.sorted, x.fresh = merged, nil
}
