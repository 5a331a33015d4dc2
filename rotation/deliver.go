package rotation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyferry/keyferry/alert"
)

// deliver sends what is owed about one secret and forgets what was taken. The error is why something is left.
func (r *run) deliver(ctx context.Context) error {
	var left []alert.Alert
	var faults []error
	for _, a := range r.entry.Alerts {
		if err := r.Alerts.Send(ctx, a); err != nil {
			left = append(left, a)
			faults = append(faults, err)
		}
	}
	r.entry.Alerts = left
	return errors.Join(faults...)
}

// digestOver is how many alerts of one type a sweep sends one by one. More are told in one.
const digestOver = 20

// namedInDigest is how many secrets a digest names.
const namedInDigest = 50

// deliverAll sends the alerts that records still owe. Several of a type go out as one digest when they are many. It
// returns how many messages were taken.
func (e *Engine) deliverAll(ctx context.Context, entries []*entry) (sent int, err error) {
	kinds := map[alert.Type][]alert.Alert{}
	for _, n := range entries {
		for _, a := range n.Alerts {
			kinds[a.Type] = append(kinds[a.Type], a)
		}
	}
	taken := map[string]bool{}
	var faults []error
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		n, err := e.deliverKind(ctx, kinds[kind], taken)
		sent += n
		faults = append(faults, err)
	}
	for _, n := range entries {
		before := len(n.Alerts)
		n.Alerts = slices.DeleteFunc(n.Alerts, func(a alert.Alert) bool { return taken[a.ID()] })
		if len(n.Alerts) < before {
			faults = append(faults, n.save(ctx)) // one that moved on meanwhile owes the alert still: it comes twice
		}
	}
	return sent, errors.Join(faults...)
}

func (e *Engine) deliverKind(ctx context.Context, all []alert.Alert, taken map[string]bool) (sent int, err error) {
	if len(all) > digestOver {
		if err := e.Alerts.Send(ctx, digest(all, e.Now())); err != nil {
			return 0, err
		}
		for _, a := range all {
			taken[a.ID()] = true
		}
		return 1, nil
	}
	var faults []error
	for _, a := range all {
		if err := e.Alerts.Send(ctx, a); err != nil {
			faults = append(faults, err)
			continue
		}
		taken[a.ID()] = true
		sent++
	}
	return sent, errors.Join(faults...)
}

// digest is one alert instead of many of its type. Its dedup key is made of theirs.
func digest(all []alert.Alert, now time.Time) alert.Alert {
	slices.SortFunc(all, func(a, b alert.Alert) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Dedup, b.Dedup))
	})
	worst, sum, names, reasons := alert.Info, sha256.New(), []string{}, map[string]int{}
	for _, a := range all {
		worst = max(worst, a.Level)
		fmt.Fprintln(sum, a.ID())
		names = append(names, a.Subject)
		reasons[a.Details["reason"]]++
	}
	names = slices.Compact(names)
	count := len(names)
	text := fmt.Sprintf("%d secrets: %s", count, strings.Join(names[:min(count, namedInDigest)], ", "))
	if count > namedInDigest {
		text += fmt.Sprintf(" and %d more", count-namedInDigest)
	}
	details := map[string]string{"secrets": strings.Join(names[:min(count, namedInDigest)], ",")}
	for reason, n := range reasons {
		details["reason."+reason] = fmt.Sprint(n)
	}
	return alert.Alert{
		Type: all[0].Type, Level: worst, Subject: fmt.Sprintf("%d secrets", count), Time: now, Text: text,
		Hint: "keyferry rotations lists them", Dedup: "rotation/digest/" + hex.EncodeToString(sum.Sum(nil)[:8]), Details: details,
	}
}
