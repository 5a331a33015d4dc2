package vaultsync

import (
	"maps"
	"strconv"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// Decision is what to do with one secret, and why.
type Decision struct {
	Verb    Verb
	Reason  Reason
	Dropped []string // tags for which there was no room

	draft secret.Draft // of Create and Update
	patch secret.Patch // of Retag
	need  need         // what decide must still know; Verb is empty then
}

// need is knowledge that costs a call.
type need int

const (
	needNothing need = iota
	needState        // the source's state: a metadata read, or a data read that tells it too
	needValue        // the source's value: a data read
	needHave         // the destination's current version with its value
	needEarlier      // the tags of the destination's earlier versions
)

// knowledge is everything a decision about one secret may rest on.
type knowledge struct {
	now    time.Time
	entry  Entry
	hasher secret.Hasher
	full   bool // trust no fingerprint: compare the values

	row     *row          // destination; nil: no such secret
	state   *State        // source; nil: not read. Known from the start on KV v1, which has none
	value   *rendering    // source; nil: not read
	have    *secret.Value // destination; nil: not read
	earlier *row          // destination's newest earlier version with our tags; an empty row when none has them
}

// suspectAfter is how much later than our write a destination version may be made before somebody else must have
// made it. It covers the difference of two clocks.
const suspectAfter = 5 * time.Minute

func verdict(v Verb, r Reason) Decision { return Decision{Verb: v, Reason: r} }
func ask(n need) Decision               { return Decision{need: n} }

// decide is the whole rule of the sync, from values to a value: a verb with its reason, or what must still be
// fetched before there can be one.
func decide(k knowledge) Decision {
	if k.entry.Fault != "" {
		return verdict(Conflict, k.entry.Fault)
	}
	if k.row == nil {
		return decideAbsent(k)
	}
	if d, mine := decideOwner(k); !mine {
		return d
	}
	return decideMine(k)
}

// decideAbsent is for a name that nobody has in the destination.
func decideAbsent(k knowledge) Decision {
	if d, ok := decideSource(k); !ok {
		return d
	}
	if k.value == nil {
		return ask(needValue)
	}
	if d, ok := decideValue(k); !ok {
		return d
	}
	s := stamp{
		field:    k.value.field,
		version:  k.state.Version,
		state:    secret.State{Print: fingerprint(k.entry.Mount, *k.state, k.now), Written: k.now},
		hash:     k.hasher.Sum(k.value.value),
		migrated: k.now.UTC().Format(time.DateOnly),
	}
	d := verdict(Create, ReasonNew)
	d.draft = secret.Draft{
		Value:       k.value.value,
		ContentType: k.value.contentType,
		Expires:     wantExpiry(k.entry, *k.state, time.Time{}, k.now),
	}
	d.draft.Tags, d.Dropped = wantTags(k.entry, s, nil, k.state.Custom)
	return d
}

// decideOwner tells whether the destination secret is the copy of this entry.
func decideOwner(k knowledge) (d Decision, mine bool) {
	r := k.row
	switch {
	case r.managed:
		return verdict(Skip, ReasonManaged), false
	case r.path == "" && k.earlier == nil:
		return ask(needEarlier), false
	case r.path == "" && k.earlier.path != k.entry.Ref:
		return verdict(Conflict, ReasonForeign), false
	case r.path == "":
		return decideOverwritten(k), false
	case r.path != k.entry.Ref:
		return verdict(Conflict, ReasonOtherPath), false
	case r.source != k.entry.Rule.source():
		return verdict(Conflict, ReasonOtherSource), false
	}
	return Decision{}, true
}

// decideOverwritten is for a copy over which somebody wrote a version without our tags. It is theirs; what the copy
// recorded only tells whether the source moved too.
func decideOverwritten(k knowledge) Decision {
	written, err := secret.ParseState(k.earlier.state)
	moved := false
	switch {
	case err != nil:
	case k.state == nil:
		return ask(needState)
	case k.entry.Mount.Version == 2:
		moved = fingerprint(k.entry.Mount, *k.state, k.now) != written.Print
	case k.value == nil:
		return ask(needValue)
	default:
		moved = k.hasher.Knows(k.earlier.hash) && !k.hasher.Matches(k.earlier.hash, k.value.value)
	}
	if moved {
		return verdict(Conflict, ReasonBothChanged)
	}
	return verdict(Conflict, ReasonDestinationChanged)
}

// decideMine is for a copy we made.
func decideMine(k knowledge) Decision {
	written, err := secret.ParseState(k.row.state)
	if k.row.authority == secret.AuthorityKeyVault {
		return decideCutOver(k, written)
	}
	if err != nil || k.row.authority != secret.AuthorityVault {
		return verdict(Conflict, ReasonBadTag)
	}
	if k.row.disabled {
		return verdict(Conflict, ReasonDestinationDisabled)
	}
	if d, ok := decideSource(k); !ok {
		return d
	}
	if copied, err := strconv.Atoi(k.row.version); err == nil && k.state.Version < copied {
		return verdict(Conflict, ReasonRegressed)
	}
	print := fingerprint(k.entry.Mount, *k.state, k.now)
	known := k.hasher.Knows(k.row.hash)
	if k.value == nil && (k.full || !known || k.entry.Mount.Version == 1) {
		return ask(needValue)
	}
	moved := print != written.Print || k.row.reshaped(k.entry.Rule.As)
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
	if k.entry.Mount.Version == 1 {
		return verdict(Skip, ReasonAuthority)
	}
	if k.state == nil {
		return ask(needState)
	}
	if fingerprint(k.entry.Mount, *k.state, k.now) != written.Print {
		return verdict(Skip, ReasonLateWrite)
	}
	return verdict(Skip, ReasonAuthority)
}

// decideSource ends the matter when the source has no version to copy.
func decideSource(k knowledge) (d Decision, ok bool) {
	switch {
	case k.state == nil:
		return ask(needState), false
	case k.entry.Mount.Version == 1:
		return d, true
	case k.state.Version == 0:
		return verdict(Skip, ReasonNeverWritten), false
	case k.state.Destroyed:
		return verdict(Skip, ReasonSourceDestroyed), false
	case k.state.Gone(k.now):
		return verdict(Skip, ReasonSourceDeleted), false
	}
	return d, true
}

// decideValue ends the matter when the source's value cannot be copied.
func decideValue(k knowledge) (d Decision, ok bool) {
	switch k.value.fault {
	case "":
		return d, true
	case ReasonTooLarge:
		return verdict(Conflict, ReasonTooLarge), false
	}
	return verdict(Skip, k.value.fault), false
}

// decideStill is for a copy whose source did not move. Its hash is known.
func decideStill(k knowledge, written secret.State) Decision {
	if k.row.suspect(written) || k.full {
		if k.have == nil {
			return ask(needHave)
		}
		if !k.hasher.Matches(k.row.hash, *k.have) {
			return verdict(Conflict, ReasonDestinationChanged)
		}
	}
	return retag(k, written, k.row.hash, ReasonTags)
}

// decideMoved is for a copy whose source moved, or may have.
func decideMoved(k knowledge, written secret.State, print string) Decision {
	if k.value == nil {
		return ask(needValue)
	}
	if k.have == nil {
		return ask(needHave)
	}
	if k.have.Equal(k.value.value) && k.row.contentType() == k.value.contentType {
		sourceSame := print == written.Print
		written.Print = print
		why := ReasonEqualValue
		if sourceSame {
			why = ReasonTags
		}
		return retag(k, written, k.hasher.Sum(k.value.value), why)
	}
	// The hash tells whether the value in Key Vault is still the one we wrote. Where it cannot, the time does, and
	// a source that did not move cannot be the one that changed.
	touched := k.row.suspect(written) || (print == written.Print && k.entry.Mount.Version == 2 && !k.row.reshaped(k.entry.Rule.As))
	if k.hasher.Knows(k.row.hash) {
		touched = !k.hasher.Matches(k.row.hash, *k.have)
	}
	if touched {
		return verdict(Conflict, ReasonBothChanged)
	}
	if k.entry.Rule.As == ShapeAuto && k.row.contentType() != k.value.contentType {
		return verdict(Conflict, ReasonShapeChanged)
	}
	s := stamp{
		field:    k.value.field,
		version:  k.state.Version,
		state:    secret.State{Print: print, Written: k.now},
		hash:     k.hasher.Sum(k.value.value),
		migrated: k.row.migrated,
	}
	d := verdict(Update, ReasonSourceChanged)
	d.draft = secret.Draft{
		Value:       k.value.value,
		ContentType: k.value.contentType,
		Expires:     wantExpiry(k.entry, *k.state, k.row.expires, k.now),
	}
	d.draft.Tags, d.Dropped = wantTags(k.entry, s, k.row.foreign, k.state.Custom)
	return d
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
