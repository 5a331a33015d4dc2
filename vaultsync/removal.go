package vaultsync

import (
	"maps"
	"slices"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// decideGone is for a copy whose source has no version any more, proven. gone is what is said when nothing is to be
// done about it.
func decideGone(k knowledge, gone Decision) Decision {
	rule := k.entry.Rule
	switch {
	case gone.Reason == ReasonNeverWritten, rule.OnDelete == DeleteKeep:
		return gone
	case k.row.removed != "" && k.row.disabled:
		return verdict(Skip, ReasonRemoved)
	case k.row.disabled:
		return verdict(Conflict, ReasonDestinationDisabled)
	case k.have == nil:
		return ask(needHave)
	case k.hasher.Knows(k.row.hash) && !k.hasher.Matches(k.row.hash, *k.have):
		return verdict(Conflict, ReasonBothChanged)
	case !k.hasher.Knows(k.row.hash):
		return verdict(Conflict, ReasonDestinationUnproven)
	}
	d := verdict(Disable, gone.Reason)
	if rule.OnDelete == DeleteDelete {
		d.Verb = Delete
	}
	d.patch.Tags, d.Dropped = marked(k.row, k.now)
	if d.Verb == Disable {
		off := false
		d.patch.Enabled = &off
	}
	return d
}

// marked is what the copy carries and the mark that tells our removal from other people's. The mark must have room.
func marked(r *row, now time.Time) (tags map[string]string, dropped []string) {
	tags = maps.Clone(r.tags)
	tags[secret.TagRemoved] = now.UTC().Format(time.DateOnly)
	for _, k := range slices.Backward(slices.Sorted(maps.Keys(r.foreign))) {
		if len(tags) <= secret.MaxTags {
			break
		}
		delete(tags, k)
		dropped = append(dropped, k)
	}
	return tags, dropped
}

// decideDisabled is for a copy that is disabled while its source lives. Only our own removal is ours to undo.
func decideDisabled(k knowledge, written secret.State) Decision {
	if k.row.removed == "" && k.entry.Rule.OnDestinationRemoved != RemovedRecover {
		return verdict(Conflict, ReasonDestinationDisabled)
	}
	if k.value == nil {
		return ask(needValue)
	}
	if d, ok := decideValue(k); !ok {
		return d
	}
	if !k.hasher.Matches(k.row.hash, k.value.value) {
		d := verdict(Update, ReasonSourceBack)
		d.draft, d.Dropped = k.draft(k.row.migrated, k.row.expires, k.row.foreign)
		return d
	}
	draft, dropped := k.draft(k.row.migrated, k.row.expires, k.row.foreign)
	draft.Tags[secret.TagVaultState] = secret.State{
		Print: fingerprint(k.entry.Mount, *k.state, k.now), Written: written.Written,
	}.String()
	on := true
	d := verdict(Enable, ReasonSourceBack)
	d.Dropped = dropped
	d.patch = secret.Patch{Enabled: &on, ContentType: &draft.ContentType, Expires: &draft.Expires, Tags: draft.Tags}
	return d
}
