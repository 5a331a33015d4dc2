package rotation

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

func TestRecordReadsBack(t *testing.T) {
	for _, r := range []record{
		{Secret: "app-key"},
		{Secret: "app-key", Attempts: 3, Next: now, Trouble: "out of reach", Ladder: &ladder{Version: "v", Made: now, Reason: ReasonManual, Rung: 7}},
		{Secret: "app-key", Alerts: []alert.Alert{{Type: alert.RotationFailed, Subject: "app-key", Time: now, Dedup: "d", Level: alert.Error, Text: "t", Details: map[string]string{"a": "b"}}},
			Flight: &flight{ID: "i", Phase: published, Target: "t", Source: "v1", Version: "v2", At: now, Retire: now.Add(day), WriteBack: true}},
	} {
		data, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(data)
		r.Format = recordFormat
		if diff := cmp.Diff(r, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"format":1,"secret":"app-key"}`, `{"format":2,"secret":"app-key"}`, `{"format":1,"secret":"app-key","more":1}`, `{}`, `null`, ``, `[1]`,
		`{"format":1,"secret":"a","flight":{"id":"i","phase":"prepared","target":"t","source":"v"}} {}`,
		`{"format":1,"secret":"a","flight":{"id":"i","phase":"published","target":"t","source":"v"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			if !errors.Is(err, secret.ErrInvalid) || !InFlight(data) {
				t.Errorf("%v; a record that cannot be read does not count as in flight", err)
			}
			return
		}
		if again, err := r.encode(); err != nil {
			t.Error(err)
		} else if back, err := decodeRecord(again); err != nil || back.Secret != r.Secret {
			t.Errorf("%v, %v", back, err)
		}
		_ = r.calls(now)
	})
}

func TestInFlight(t *testing.T) {
	flight := flight{ID: "i", Target: "t", Source: "v1", Version: "v2"}
	for _, c := range []struct {
		phase     phase
		writeBack bool
		want      bool
	}{{prepared, false, true}, {applied, false, true}, {published, false, false}, {published, true, true}} {
		f := flight
		f.Phase, f.WriteBack = c.phase, c.writeBack
		data, err := record{Secret: "a", Flight: &f}.encode()
		if err != nil || InFlight(data) != c.want {
			t.Errorf("%s, write-back %v: %v, %v", c.phase, c.writeBack, InFlight(data), err)
		}
	}
	if data, err := (record{Secret: "a", Attempts: 1}).encode(); err != nil || InFlight(data) {
		t.Error("a rotation that did not begin is in flight", err)
	}
}

func TestPauses(t *testing.T) {
	var total time.Duration
	for n := 1; n <= parkAfter; n++ {
		pause := pauseAfter(n)
		if pause < firstPause || pause > lastPause || n > 1 && pause < pauseAfter(n-1) {
			t.Errorf("after %d attempts: %v", n, pause)
		}
		total += pause
	}
	if pauseAfter(1) != time.Minute || pauseAfter(1000) != 12*time.Hour || total < 2*day || total > 4*day {
		t.Errorf("from %v to %v, parked after %v", pauseAfter(1), pauseAfter(1000), total)
	}
}

func TestLabel(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"a", "App-Key", "app-key-2", "-", "x--------------------------------------------------------------------------y"} {
		for _, source := range []string{"v1", "v2"} {
			l := labelOf(name, source)
			if len(l) > maxLabel || seen[l] || !secret.ValidName(l) || l != labelOf(secret.FoldName(name), source) {
				t.Errorf("label %q of %q", l, name)
			}
			seen[l] = true
		}
	}
}
