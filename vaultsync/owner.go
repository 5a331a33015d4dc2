package vaultsync

import (
	"github.com/keyferry/keyferry/secret"
)

// decideOwner tells whether the destination secret is the copy of this entry.
func decideOwner(k knowledge) (d Decision, mine bool) {
	r := k.row
	switch {
	case r.managed:
		return verdict(Skip, ReasonManaged), false
	case r.path == "" && k.earlier == nil:
		return ask(needEarlier), false
	case r.path == "" && k.earlier.id() != k.entry.id():
		return decideForeign(k), false
	case r.path == "":
		return decideOverwritten(k), false
	case r.path != k.entry.Ref && !k.pathGone:
		return verdict(Conflict, ReasonOtherPath), false
	case r.source != k.entry.Rule.source():
		return verdict(Conflict, ReasonOtherSource), false
	}
	return Decision{}, true
}

// decideForeign is for a secret that somebody else made. It is adopted only when the rule asks for it and the values
// are equal.
func decideForeign(k knowledge) Decision {
	if !k.entry.Rule.Adopt || k.row.disabled {
		return verdict(Conflict, ReasonForeign)
	}
	if d, ok := k.both(); !ok {
		return d
	}
	if !k.have.Equal(k.value.value) {
		return verdict(Conflict, ReasonForeign)
	}
	d := verdict(Adopt, ReasonEqualValue)
	d.patch, d.Dropped = k.patch(k.stamp(""))
	return d
}

// both asks for what it takes to compare the values of both sides.
func (k knowledge) both() (d Decision, ok bool) {
	if d, ok := decideSource(k); !ok {
		return d, false
	}
	if k.value == nil {
		return ask(needValue), false
	}
	if d, ok := decideValue(k); !ok {
		return d, false
	}
	if k.have == nil {
		return ask(needHave), false
	}
	return d, true
}

// decideOverwritten is for a copy over which somebody wrote a version without our tags. It is theirs; what the copy
// recorded only tells whether the source moved too.
func decideOverwritten(k knowledge) Decision {
	written, err := secret.ParseState(k.earlier.state)
	if k.earlier.authority == secret.AuthorityKeyVault {
		return decideCutOver(k, written)
	}
	moved := false
	switch {
	case err != nil:
	case k.state == nil:
		return ask(needState)
	case k.entry.Mount.Version == 2:
		moved = k.entry.print(*k.state, k.now) != written.Print
	case k.value == nil:
		return ask(needValue)
	default:
		moved = k.hasher.Knows(k.earlier.hash) && !k.hasher.Matches(k.earlier.hash, k.value.value)
	}
	if moved {
		return decideDrift(k, ReasonBothChanged, k.earlier.migrated)
	}
	return decideDrift(k, ReasonDestinationChanged, k.earlier.migrated)
}

// decideDrift is for a copy whose value in the destination is not the one we wrote. Nobody's edit is lost unless the
// rule says whose word counts.
func decideDrift(k knowledge, why Reason, migrated string) Decision {
	switch k.entry.Rule.OnConflict {
	case DriftKeyVault:
		return verdict(Skip, ReasonDestinationKept)
	case DriftVault:
		if k.row.disabled {
			return verdict(Conflict, ReasonDestinationDisabled)
		}
		if d, ok := k.both(); !ok {
			return d
		}
		d := verdict(Update, why)
		d.draft, d.Dropped = k.draft(migrated, k.row.expires, k.row.foreign)
		return d
	}
	return verdict(Conflict, why)
}
