package vaultsync

import (
	"maps"

	"github.com/keyferry/keyferry/secret"
)

// decideMine is for a copy we made.
func decideMine(k knowledge) Decision {
	written, err := secret.ParseState(k.row.state)
	if k.row.authority == secret.AuthorityKeyVault {
		return decideCutOver(k, written)
	}
	if err != nil || k.row.authority != secret.AuthorityVault {
		return verdict(Conflict, ReasonBadTag)
	}
	if d, ok := decideSource(k); !ok {
		if d.need != needNothing {
			return d
		}
		return decideGone(k, written, d)
	}
	if k.row.disabled {
		return decideDisabled(k, written)
	}
	if k.regressed(k.row) {
		return verdict(Conflict, ReasonRegressed)
	}
	print := k.entry.print(*k.state, k.now)
	known := k.hasher.Knows(k.row.hash)
	if k.value == nil && (k.full || !known || k.entry.Mount.Version == 1) {
		return ask(needValue)
	}
	moved := print != written.Print || k.row.reshaped(k.entry.Rule.As) || k.row.path != k.entry.Ref
	if k.value != nil {
		if d, ok := decideValue(k); !ok {
			return d
		}
		moved = moved || !known || !k.hasher.Matches(k.row.hash, k.value.value)
	}
	if !moved {
		return decideStill(k, written)
	}
	return decideMoved(k, written, print)
}

// decideCutOver leaves a secret alone that has its home in Key Vault, but says so when Vault is still written to.
func decideCutOver(k knowledge, written secret.State) Decision {
	if k.absent || k.entry.Mount.Version == 1 {
		return verdict(Skip, ReasonAuthority)
	}
	if k.state == nil {
		return ask(needState)
	}
	clean := k.state.Version == 0 || k.state.Gone(k.now) // tidied up after the cutover
	if clean || written.Print == "" || written.Print == k.entry.print(*k.state, k.now) {
		return verdict(Skip, ReasonAuthority)
	}
	return verdict(Skip, ReasonLateWrite)
}

// decideStill is for a copy whose source did not move. Its hash is known.
func decideStill(k knowledge, written secret.State) Decision {
	if k.row.suspect(written) || k.full {
		if k.have == nil {
			return ask(needHave)
		}
		if !k.hasher.Matches(k.row.hash, *k.have) {
			return decideDrift(k, ReasonDestinationChanged, k.row.migrated)
		}
	}
	return retag(k, written, k.row.hash, ReasonTags)
}

// decideMoved is for a copy whose source moved, or may have.
func decideMoved(k knowledge, written secret.State, print string) Decision {
	if d, ok := k.both(); !ok {
		return d
	}
	if k.have.Equal(k.value.value) && k.row.contentType() == k.value.contentType {
		why := ReasonEqualValue
		if print == written.Print {
			why = ReasonTags
		}
		written.Print = print
		return retag(k, written, k.hasher.Sum(k.value.value), why)
	}
	if k.touched(written, print) {
		return decideDrift(k, ReasonBothChanged, k.row.migrated)
	}
	if k.entry.Rule.As == ShapeAuto && k.row.contentType() != k.value.contentType {
		return verdict(Conflict, ReasonShapeChanged)
	}
	d := verdict(Update, ReasonSourceChanged)
	d.draft, d.Dropped = k.draft(k.row.migrated, k.row.expires, k.row.foreign)
	return d
}

// touched reports whether somebody else changed the value in the destination. The hash tells; where it cannot, the
// time does, and a source that did not move cannot be the one that changed.
func (k knowledge) touched(written secret.State, print string) bool {
	if k.hasher.Knows(k.row.hash) {
		return !k.hasher.Matches(k.row.hash, *k.have)
	}
	still := print == written.Print && k.entry.Mount.Version == 2 && !k.row.reshaped(k.entry.Rule.As)
	return k.row.suspect(written) || still
}

// retag compares what the copy carries with what it should, and patches the difference.
func retag(k knowledge, written secret.State, hash string, why Reason) Decision {
	if k.have != nil && k.row.suspect(written) {
		written.Written = k.row.created // looked at and found equal: not suspect any more
	}
	s := stamp{
		field:    k.row.field,
		version:  k.state.Version,
		state:    written,
		hash:     hash,
		migrated: k.row.migrated,
		rotation: k.row.rotation,
	}
	if k.value != nil {
		s.field = k.value.field
	}
	tags, dropped := wantTags(k.entry, s, k.row.foreign, k.state.Custom)
	contentType := k.row.contentType()
	expires := wantExpiry(k.entry, *k.state, k.row.expires, k.now)
	d := verdict(Retag, why)
	d.Dropped = dropped
	same := tagPrint(tags, contentType) == k.row.print
	if same {
		d.Reason = ReasonExpiryLow
	} else {
		d.patch.Tags, d.patch.ContentType = maps.Clone(tags), &contentType
	}
	if !expires.Equal(k.row.expires) {
		d.patch.Expires = &expires
	} else if same {
		d.Verb, d.Reason = Unchanged, ReasonSame
	}
	return d
}
