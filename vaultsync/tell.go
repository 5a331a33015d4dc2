package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// digestOver is how many alerts of a kind a run raises before they become one.
const digestOver = 20

// alertsOf is what people must be told of a run of the scope that ended with err: what is new since the last report
// about the whole destination, and once an hour what goes on. It is pure. last is nil when there is none.
func alertsOf(r, last *Report, s Scope, err error, now time.Time) []alert.Alert {
	tell := func(t alert.Type, level alert.Level, subject, dedup, text, hint string) alert.Alert {
		return alert.Alert{
			Type: t, Level: level, Subject: subject, Time: now, Text: text, Hint: hint,
			Dedup: r.Destination + "/" + dedup, Details: map[string]string{"destination": r.Destination, "config": r.Config},
		}
	}
	if last == nil {
		last = &Report{Complete: true}
	}
	var out []alert.Alert
	for _, i := range newConflicts(r, last) {
		out = append(out, tell(alert.SyncConflict, alert.Warning, i.subject(), i.what(), i.Text, i.Hint))
	}
	stamp, before := r.Started.UTC().Format(time.DateTime), last.Started.UTC().Format(time.DateTime)
	today, hour := stamp[:10], stamp[:13]
	if n := len(out); n > digestOver {
		out = []alert.Alert{tell(alert.SyncConflict, alert.Warning, r.Destination, "digest/"+stamp,
			fmt.Sprintf("%d new conflicts, the first of them %s: %s", n, out[0].Subject, out[0].Text), "the last report lists them all")}
	}
	if r.Held > 0 && !(last.Held > 0 && before[:10] == today) {
		out = append(out, tell(alert.SyncFuseTripped, alert.Error, r.Destination, "fuse/"+today,
			fmt.Sprintf("%d removals are held; everything else was done", r.Held), "look, then release one run with --allow-removals"))
	}
	again := last.trouble() && last.Ended == r.Ended && before[:13] == hour
	switch {
	case again:
	case err != nil && !errors.Is(err, secret.ErrPartial) && !cutOff(err):
		out = append(out, tell(alert.SyncFailed, alert.Error, r.Destination, "failed/"+hour, err.Error(), secret.Hint(err)))
	case err != nil || r.trouble():
		out = append(out, tell(alert.SyncIncomplete, alert.Warning, r.Destination, "incomplete/"+hour,
			fmt.Sprintf("%d failed and %d parts were not covered; the next run tries again", r.Counts[Failed], len(r.Missing)),
			"the report lists each with its own error"))
	case s.whole() && last.trouble():
		out = append(out, tell(alert.SyncRecovered, alert.Info, r.Destination, "recovered/"+stamp, "everything is covered again", ""))
	}
	return out
}

// newConflicts are those that the last report did not have. Where that one was too long to be kept whole, their number
// tells.
func newConflicts(r, last *Report) []Item {
	known := map[string]bool{}
	kept := 0
	for _, i := range last.Items {
		known[i.what()] = true
		if i.Verb == Conflict {
			kept++
		}
	}
	if kept < last.Counts[Conflict] && r.Counts[Conflict] <= last.Counts[Conflict] {
		return nil
	}
	var out []Item
	for _, i := range r.Items {
		if i.Verb == Conflict && !i.Reason.held() && !known[i.what()] {
			out = append(out, i)
		}
	}
	return out
}

// cutOff reports whether the error is that of a run which ended before it was through, and nothing worse.
func cutOff(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, secret.ErrLeaseLost)
}

// trouble reports whether the run left something undone that it should have done.
func (r *Report) trouble() bool { return !r.Complete || r.Counts[Failed] > 0 }

// what identifies the trouble of an item over several runs.
func (i Item) what() string {
	return string(i.Verb) + "/" + i.Source + "/" + i.Name + "/" + string(i.Reason)
}

func (i Item) subject() string {
	if i.Name == "" {
		return i.Source
	}
	return i.Name
}
