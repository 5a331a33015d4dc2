package vaultsync

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// decideGone is for a copy whose source has no version any more, proven. gone is what is said when nothing is to be
// done about it.
func decideGone(k knowledge, written secret.State, gone Decision) Decision {
	rule := k.entry.Rule
	switch {
	case gone.Reason == ReasonNeverWritten, rule.OnDelete == DeleteKeep:
		return gone
	case !strings.HasPrefix(written.Print, mountPrint(k.entry.Mount)):
		return verdict(Skip, ReasonMountRemade)
	case k.broughtBack():
		return verdict(Conflict, ReasonBroughtBack)
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

// broughtBack reports whether somebody undid our removal. To disable is one call with the mark, so an enabled copy that
// carries it says so. To delete is a second call after it, so a mark of today or yesterday may be that of a run which
// was cut off between the two.
func (k knowledge) broughtBack() bool {
	if k.row.removed == "" || k.row.disabled {
		return false
	}
	on, err := time.Parse(time.DateOnly, k.row.removed)
	return k.entry.Rule.OnDelete != DeleteDelete || err != nil || k.now.Sub(on) >= 2*day
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
	if k.regressed(k.row) {
		return verdict(Conflict, ReasonRegressed)
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
	s := k.stamp(k.row.migrated)
	s.state.Written = written.Written
	on := true
	d := verdict(Enable, ReasonSourceBack)
	d.patch, d.Dropped = k.patch(s)
	d.patch.Enabled = &on
	return d
}
