package vaultsync

import (
	"strconv"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// Decision is what to do with one secret, and why.
type Decision struct {
	Verb    Verb
	Reason  Reason
	Dropped []string // tags for which there was no room

	draft secret.Draft // of Create, Update and Recover
	patch secret.Patch // of Retag, Adopt, Enable, Disable and Delete
	seen  string       // version that was looked at; "" when none was, and the patch is for the current one
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
	needDeleted      // the destination's deleted secret of that name
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
	seen    string        // version that have is of
	earlier *row          // destination's newest earlier version with our tags; an empty row when none has them
	deleted *row          // destination's deleted secret of that name; an empty row when there is none

	// absent is proof that the source has no such secret any more; state is not asked for then.
	absent bool
	// pathGone is proof that the path the destination secret was copied from is no longer there.
	pathGone bool
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
	if k.deleted == nil {
		return ask(needDeleted)
	}
	if k.deleted.name == "" {
		d := verdict(Create, ReasonNew)
		d.draft, d.Dropped = k.draft("", time.Time{}, nil)
		return d
	}
	return decideDeleted(k)
}

// decideDeleted is for a name that a deleted secret holds. Only our own removal is ours to undo.
func decideDeleted(k knowledge) Decision {
	r := k.deleted
	byUs := r.removed != "" && !r.disabled // one we disabled was deleted by somebody else
	switch {
	case r.id() != k.entry.id():
		return verdict(Conflict, ReasonDestinationDeleted)
	case r.authority == secret.AuthorityKeyVault:
		return verdict(Skip, ReasonAuthority)
	case !byUs && k.entry.Rule.OnDestinationRemoved != RemovedRecover:
		return verdict(Conflict, ReasonDestinationDeleted)
	case k.regressed(r):
		return verdict(Conflict, ReasonRegressed)
	}
	d := verdict(Recover, ReasonSourceBack)
	d.draft, d.Dropped = k.draft(r.migrated, time.Time{}, r.foreign)
	return d
}

// decideSource ends the matter when the source has no version to copy.
func decideSource(k knowledge) (d Decision, ok bool) {
	switch {
	case k.absent:
		return verdict(Skip, ReasonSourceDeleted), false
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

// regressed reports whether the source holds an older version than the one that was copied. One made after our write
// is a new secret, not an old one.
func (k knowledge) regressed(r *row) bool {
	copied, err := strconv.Atoi(r.version)
	written, bad := secret.ParseState(r.state)
	return err == nil && bad == nil && r.path == k.entry.Ref && k.state.Version < copied && !k.state.Created.After(written.Written)
}

// stamp is what a copy made now records of itself. migrated is the day of the first copy, "" for today.
func (k knowledge) stamp(migrated string) stamp {
	if migrated == "" {
		migrated = k.now.UTC().Format(time.DateOnly)
	}
	return stamp{
		field:    k.value.field,
		version:  k.state.Version,
		state:    secret.State{Print: k.entry.print(*k.state, k.now), Written: k.now},
		hash:     k.hasher.Sum(k.value.value),
		migrated: migrated,
	}
}

// draft is the version that copies the source's value.
func (k knowledge) draft(migrated string, expires time.Time, foreign map[string]string) (secret.Draft, []string) {
	tags, dropped := wantTags(k.entry, k.stamp(migrated), foreign, k.state.Custom)
	return secret.Draft{
		Value:       k.value.value,
		ContentType: k.value.contentType,
		Expires:     wantExpiry(k.entry, *k.state, expires, k.now),
		Tags:        tags,
	}, dropped
}

// patch makes the version that is there, whose value is right, the copy that the stamp says.
func (k knowledge) patch(s stamp) (secret.Patch, []string) {
	s.rotation = k.row.rotation // the value stays, and with it what made it
	tags, dropped := wantTags(k.entry, s, k.row.foreign, k.state.Custom)
	p := secret.Patch{ContentType: &k.value.contentType, Tags: tags}
	if expires := wantExpiry(k.entry, *k.state, k.row.expires, k.now); !expires.Equal(k.row.expires) {
		p.Expires = &expires
	}
	return p, dropped
}
