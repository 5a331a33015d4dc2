package vaultsync

import (
	"context"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// orphans are the copies of ours that no secret of the source claimed, as entries that say where they came from.
func (r *run) orphans() []Entry {
	var left []*row
	for row := range r.rows.unclaimed() {
		if !row.managed && r.Sources[row.source] != nil {
			left = append(left, row)
		}
	}
	if len(left) == 0 {
		return nil
	}
	var out []Entry
	for _, row := range left {
		e := r.origin(row)
		if e.Fault == ReasonUnproven && !r.report.Complete {
			continue // the part that could not be read is reported as a whole
		}
		if r.here(row.id()) {
			e.Fault = ReasonRenamed
		}
		if r.scope.holds(e) {
			out = append(out, e)
		}
	}
	return out
}

// unruled stands for the rule of what no rule selects.
var unruled = Rule{}

// origin is where a copy came from, as far as its tag and the run tell. Its Fault says why its absence means nothing,
// "" when it does.
func (r *run) origin(row *row) Entry {
	m, path, key, ok := r.proof.locate(row.source, row.path)
	e := Entry{Rule: &unruled, Mount: m, Path: path, Key: key, Ref: row.path, Name: row.name}
	if !ok {
		e.Mount.Path, e.Path, _ = strings.Cut(row.path, "/")
		e.Fault = ReasonUnproven
		if !r.configured(row.source, row.path) {
			e.Fault = ReasonUnselected
		}
		return e
	}
	rule := ruleOf(r.rulesOf(row.source, m.Path), path)
	if rule == nil || rule.destination() != r.Name || (rule.As == ShapeKey) != (key != "") {
		e.Fault = ReasonUnselected
		return e
	}
	e.Rule = rule
	written, err := secret.ParseState(row.state)
	switch {
	case err != nil:
		e.Fault = ReasonBadTag
	case !strings.HasPrefix(written.Print, mountPrint(m)):
		e.Fault = ReasonMountRemade
	case !r.proof.lacks(row.source, m, path, key):
		e.Fault = ReasonUnproven
	}
	return e
}

// pathGone reports whether the path a copy came from is proven to be no longer there.
func (r *run) pathGone(row *row) bool { return r.origin(row).Fault == "" && !r.here(row.id()) }

// here reports whether the walk found what the tag names.
func (r *run) here(id ident) bool {
	r.indexed.Do(func() {
		r.ids = make(map[ident]bool, len(r.entries))
		for _, e := range r.entries {
			r.ids[e.id()] = true
		}
	})
	return r.ids[id]
}

// rulesOf are the rules of one mount, those of other destinations among them.
func (r *run) rulesOf(source, mount string) []*Rule {
	for _, m := range r.mounts() {
		if m.source == source && m.path == mount {
			return m.rules
		}
	}
	return nil
}

// configured reports whether some rule reads a mount in which the tag's path may lie.
func (r *run) configured(source, tag string) bool {
	for _, m := range r.mounts() {
		if m.source == source && strings.HasPrefix(tag, m.path+"/") {
			return true
		}
	}
	return false
}

// orphan settles one copy whose source is gone.
func (r *run) orphan(ctx context.Context, e Entry) (Decision, error) {
	row := r.rows.row(e.Name)
	switch {
	case row.authority == secret.AuthorityKeyVault:
		return verdict(Skip, ReasonAuthority), nil
	case e.Fault == ReasonBadTag:
		return verdict(Conflict, ReasonBadTag), nil
	case e.Fault != "":
		return verdict(Skip, e.Fault), nil
	}
	return r.conclude(ctx, knowledge{now: r.Now(), entry: e, hasher: r.hasher, row: row, absent: true})
}
