package vaultsync

import (
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// digestOver is how many alerts of a kind a run raises before they become one.
const digestOver = 20

// alertsOf is what people must be told of a run that ended with err: what is new since the last report about the whole
// destination. It is pure. last is nil when there is none.
func alertsOf(r, last *Report, err error, now time.Time) []alert.Alert {
	tell := func(t alert.Type, level alert.Level, subject, dedup, text, hint string) alert.Alert {
		return alert.Alert{
			Type: t, Level: level, Subject: subject, Time: now, Text: text, Hint: hint,
			Dedup: r.Destination + "/" + dedup, Details: map[string]string{"destination": r.Destination, "config": r.Config},
		}
	}
	known := map[string]bool{}
	if last != nil {
		for _, i := range last.Items {
			known[i.what()] = true
		}
	}
	var out []alert.Alert
	for _, i := range r.Items {
		if i.Verb == Conflict && i.Reason != ReasonFuse && !known[i.what()] {
			out = append(out, tell(alert.SyncConflict, alert.Warning, i.subject(), i.what(), i.Text, i.Hint))
		}
	}
	stamp := r.Started.UTC().Format(time.DateTime)
	if n := len(out); n > digestOver {
		out = []alert.Alert{tell(alert.SyncConflict, alert.Warning, r.Destination, "digest/"+stamp,
			fmt.Sprintf("%d new conflicts, the first of them %s: %s", n, out[0].Subject, out[0].Text), "the last report lists them all")}
	}
	if r.Held > 0 {
		out = append(out, tell(alert.SyncFuseTripped, alert.Error, r.Destination, "fuse/"+stamp[:10],
			fmt.Sprintf("%d removals are held; everything else was done", r.Held), "look, then release one run with --allow-removals"))
	}
	switch {
	case err != nil && !errors.Is(err, secret.ErrPartial):
		out = append(out, tell(alert.SyncFailed, alert.Error, r.Destination, "failed/"+stamp[:13], err.Error(), secret.Hint(err)))
	case r.trouble():
		out = append(out, tell(alert.SyncIncomplete, alert.Warning, r.Destination, "incomplete/"+stamp[:13],
			fmt.Sprintf("%d failed and %d parts were not covered; the next run tries again", r.Counts[Failed], len(r.Missing)),
			"the report lists each with its own error"))
	case last != nil && last.trouble():
		out = append(out, tell(alert.SyncRecovered, alert.Info, r.Destination, "recovered/"+stamp, "everything is covered again", ""))
	}
	return out
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
