package alert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// sample is an alert with everything in it.
func sample() alert.Alert {
	return alert.Alert{
		Type:    alert.RotationManualRequired,
		Subject: "webapp-db-password",
		Time:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)),
		Dedup:   "rotation/webapp-db-password/v1",
		Level:   alert.Warning,
		Text:    "secret webapp-db-password must be rotated by hand",
		Hint:    "set a new value with a new expiry",
		Details: map[string]string{"version": "v1", "reason": "manual"},
	}
}

func TestIDIsMadeOfTypeAndDedup(t *testing.T) {
	a := sample()
	same := alert.Alert{Type: a.Type, Dedup: a.Dedup, Text: "other words", Time: time.Now(), Level: alert.Error}
	if a.ID() != same.ID() || a.ID() == "" {
		t.Errorf("IDs %q and %q of one alert", a.ID(), same.ID())
	}
	for _, other := range []alert.Alert{
		{Type: a.Type, Dedup: a.Dedup + "x"},
		{Type: alert.RotationFailed, Dedup: a.Dedup},
		{Type: a.Type + "x", Dedup: a.Dedup},
	} {
		if a.ID() == other.ID() {
			t.Errorf("%+v has the ID of another alert", other)
		}
	}
}

func TestLevelsAreOrdered(t *testing.T) {
	if alert.Info >= alert.Warning || alert.Warning >= alert.Error {
		t.Error("info < warning < error does not hold")
	}
	got := []string{alert.Level(-1).String(), alert.Level(0).String(), alert.Warning.String(), alert.Error.String(), alert.Level(9).String()}
	if d := cmp.Diff([]string{"info", "info", "warning", "error", "error"}, got); d != "" {
		t.Error(d)
	}
}

func TestLog(t *testing.T) {
	for level, want := range map[alert.Level]string{alert.Info: "INFO", alert.Warning: "WARN", alert.Error: "ERROR"} {
		var out bytes.Buffer
		a := sample()
		a.Level = level
		if err := alert.NewLog(slog.New(slog.NewJSONHandler(&out, nil))).Send(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		delete(got, "time")
		if d := cmp.Diff(map[string]any{
			"level": want, "msg": a.Text, "alert": string(a.Type), "alertId": a.ID(), "subject": a.Subject,
			"happened": "2026-01-02T02:04:05Z", "hint": a.Hint, "details": map[string]any{"version": "v1", "reason": "manual"},
		}, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
}

// sinkFunc is a sink of a function.
type sinkFunc func(a alert.Alert) error

func (f sinkFunc) Send(_ context.Context, a alert.Alert) error { return f(a) }

func TestAllSendsToEveryoneAndJoinsErrors(t *testing.T) {
	var took [3]alert.Alert
	one := func(i int, err error) alert.Sink {
		return sinkFunc(func(a alert.Alert) error { took[i] = a; return err })
	}
	a := sample()
	err := alert.All(one(0, secret.ErrThrottled), one(1, nil), one(2, secret.ErrForbidden)).Send(t.Context(), a)
	if !errors.Is(err, secret.ErrThrottled) || !errors.Is(err, secret.ErrForbidden) {
		t.Errorf("got %v, want both errors", err)
	}
	if d := cmp.Diff([3]alert.Alert{a, a, a}, took); d != "" {
		t.Errorf("not every sink got the alert:\n%s", d)
	}
	if err := alert.All(one(0, nil), one(1, nil)).Send(t.Context(), a); err != nil {
		t.Error(err)
	}
	if err := alert.All().Send(t.Context(), a); err != nil {
		t.Error(err)
	}
}

func TestAnAlertThatLacksSomethingIsRefusedByEverySink(t *testing.T) {
	webhook, err := alert.NewWebhook(secret.New("https://hook.example/token"), nothing{t})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := alert.NewTopicWithKey("https://topic.example", secret.New("made-up"), nothing{t})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for name, sink := range map[string]alert.Sink{
		"webhook": webhook, "topic": topic, "log": alert.NewLog(slog.New(slog.NewTextHandler(&out, nil))),
	} {
		for lack, spoil := range map[string]func(*alert.Alert){
			"type":    func(a *alert.Alert) { a.Type = "" },
			"subject": func(a *alert.Alert) { a.Subject = "" },
			"time":    func(a *alert.Alert) { a.Time = time.Time{} },
			"dedup":   func(a *alert.Alert) { a.Dedup = "" },
			"text":    func(a *alert.Alert) { a.Text = "" },
		} {
			a := sample()
			spoil(&a)
			if err := sink.Send(t.Context(), a); !errors.Is(err, secret.ErrInvalid) || out.Len() > 0 {
				t.Errorf("%s took an alert without %s: %v", name, lack, err)
			}
		}
	}
}

// wantFailure also checks that nothing foreign is repeated; nil = no failure.
func wantFailure(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if err == nil || !errors.Is(err, want) {
		return
	}
	for _, foreign := range []string{"example", "127.0.0.1", "://", "token", "made-up", "foreign"} {
		if strings.Contains(err.Error(), foreign) {
			t.Errorf("the error repeats %q: %v", foreign, err)
		}
	}
}
