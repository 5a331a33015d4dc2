package alert_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// desk takes alerts by their dedup key, or refuses them with an error, after a while.
type desk struct {
	took    []string
	tried   int
	refuses error
	slow    time.Duration
}

func (d *desk) Send(ctx context.Context, a alert.Alert) error {
	d.tried++
	select {
	case <-time.After(d.slow):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if d.refuses == nil {
		d.took = append(d.took, a.Dedup)
	}
	return d.refuses
}

func told(dedup string) alert.Alert {
	return alert.Alert{Type: alert.SyncConflict, Subject: "db", Dedup: dedup, Text: "something", Time: time.Unix(1, 0), Details: map[string]string{"a": "b"}}
}

func newOutbox(d *desk) (alert.Outbox, *state.Memory) {
	records := state.NewMemory(time.Now)
	return alert.Outbox{Sink: d, Records: records, List: records.List}, records
}

// waits checks how many alerts are kept.
func waits(t *testing.T, records *state.Memory, want int) {
	t.Helper()
	keys, err := records.List(t.Context(), "alerts/")
	if err != nil || len(keys) != want {
		t.Errorf("%d alerts are kept, want %d (%v)", len(keys), want, err)
	}
}

// TestOutboxDelivers: what is delivered is not kept, and can be told again.
func TestOutboxDelivers(t *testing.T) {
	d := &desk{}
	outbox, records := newOutbox(d)
	for range 2 {
		if err := outbox.Send(t.Context(), told("one")); err != nil {
			t.Fatal(err)
		}
		waits(t, records, 0)
	}
	if diff := cmp.Diff([]string{"one", "one"}, d.took); diff != "" {
		t.Error(diff)
	}
}

// TestOutboxOutlivesADeadSink: what cannot be delivered is kept, once, as it was, until it can be.
func TestOutboxOutlivesADeadSink(t *testing.T) {
	d := &desk{refuses: secret.ErrUnavailable}
	outbox, records := newOutbox(d)
	for _, dedup := range []string{"one", "two", "one"} {
		if err := outbox.Send(t.Context(), told(dedup)); err != nil {
			t.Errorf("%s: %v", dedup, err)
		}
	}
	waits(t, records, 2)
	if err := outbox.Drain(t.Context()); !errors.Is(err, secret.ErrUnavailable) {
		t.Errorf("drain: %v", err)
	}
	waits(t, records, 2)
	d.refuses = nil
	if err := outbox.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	waits(t, records, 0)
	if len(d.took) != 2 {
		t.Errorf("took %q", d.took)
	}
}

// TestOutboxKeepsWhatComesTooLate: the time of a run's alerts is used up by a sink that hangs; those after it are kept
// all the same.
func TestOutboxKeepsWhatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{slow: time.Hour}
		outbox, records := newOutbox(d)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, dedup := range []string{"one", "two", "three"} {
			if err := outbox.Send(ctx, told(dedup)); err != nil {
				t.Errorf("%s: %v", dedup, err)
			}
		}
		waits(t, records, 3)
	})
}

// TestDrainWaitsForASinkOnce: a sink that is down costs one try, not one for each alert, and one that never takes a
// certain alert does not keep the others.
func TestDrainWaitsForASinkOnce(t *testing.T) {
	for what, c := range map[string]struct {
		refuses error
		tried   int
	}{
		"down":    {secret.ErrUnavailable, 1},
		"refused": {secret.ErrPermanent, 5},
	} {
		t.Run(what, func(t *testing.T) {
			d := &desk{refuses: c.refuses}
			outbox, records := newOutbox(d)
			for _, dedup := range []string{"1", "2", "3", "4", "5"} {
				if err := outbox.Send(t.Context(), told(dedup)); err != nil {
					t.Fatal(err)
				}
			}
			d.tried = 0
			if err := outbox.Drain(t.Context()); !errors.Is(err, c.refuses) || d.tried != c.tried {
				t.Errorf("ended with %v after %d tries, want %d", err, d.tried, c.tried)
			}
			waits(t, records, 5)
		})
	}
}

// TestDrainThrowsAwayWhatIsNoAlert: it would fail for ever.
func TestDrainThrowsAwayWhatIsNoAlert(t *testing.T) {
	d := &desk{}
	outbox, records := newOutbox(d)
	for key, data := range map[string]string{"alerts/a": "no JSON", "alerts/b": `{"Text":"no type"}`, "alerts/c": `{"Level":"high"}`} {
		if _, err := records.Put(t.Context(), key, []byte(data), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := outbox.Drain(t.Context()); !errors.Is(err, secret.ErrInvalid) {
		t.Errorf("drain: %v", err)
	}
	waits(t, records, 0)
	if d.tried != 0 {
		t.Errorf("%d were sent", d.tried)
	}
}

// TestOutboxWithoutRecords: when nothing can be kept the delivery alone counts.
func TestOutboxWithoutRecords(t *testing.T) {
	d := &desk{}
	outbox, _ := newOutbox(d)
	outbox.Records = nowhere{outbox.Records}
	if err := outbox.Send(t.Context(), told("one")); err != nil || len(d.took) != 1 {
		t.Errorf("got %v, took %q", err, d.took)
	}
	d.refuses = secret.ErrUnavailable
	if err := outbox.Send(t.Context(), told("two")); !errors.Is(err, secret.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// nowhere keeps nothing.
type nowhere struct{ alert.Records }

func (nowhere) Put(context.Context, string, []byte, string) (string, error) {
	return "", secret.ErrThrottled
}
