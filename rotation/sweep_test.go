package rotation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/alert"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func named(n string) func(*emulator.Secret) { return func(s *emulator.Secret) { s.Name = n } }

func TestSweepFindsWhatIsDueWithoutAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.seed()
		r.seed(named("app-fresh"), version(func(v *emulator.Version) { v.Expires = time.Now().Add(80 * day) }))
		r.seed(named("app-off"), version(func(v *emulator.Version) { v.Disabled = true }))
		r.seed(named("foreign"), version(func(v *emulator.Version) { v.Tags = map[string]string{"authority": "vault", "vault-path": "a/b"} }))
		r.seed(named("keyferry--hash-key"))
		e := r.engine()
		got, err := e.Sweep(t.Context())
		if err != nil || !got.Scanned || len(got.Outcomes) != 1 || got.Outcomes[0].Verdict != rotation.Rotated || got.Alerts != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		r.vault.ResetCalls()
		for range 29 { // until the hour is over
			time.Sleep(2 * time.Minute)
			if got, err := e.Sweep(t.Context()); err != nil || got.Scanned || len(got.Outcomes) > 0 {
				t.Fatalf("got %+v, %v", got, err)
			}
		}
		if calls := r.vault.Calls(); len(calls) > 0 {
			t.Errorf("idle sweeps made %v", calls)
		}
		time.Sleep(2 * time.Minute)
		if got, err := e.Sweep(t.Context()); err != nil || !got.Scanned || len(got.Outcomes) > 0 {
			t.Errorf("got %+v, %v", got, err)
		}
		paused := r.engine(func(o *rotation.Options) { o.Settings.Paused = true })
		time.Sleep(90 * day)
		if got, err := paused.Sweep(t.Context()); err != nil || got.Scanned || len(got.Outcomes) > 0 {
			t.Errorf("paused: %+v, %v", got, err)
		}
	})
}

// TestTheLadder tells of a secret that nobody rotates at 30, 14, 7, 3, 1 and 0 days, and stops when somebody did.
func TestTheLadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		start := time.Now()
		r.seed(withTag(secret.TagRotationType, "manual"), version(func(v *emulator.Version) { v.Expires = start.Add(40 * day) }))
		e := r.engine()
		if err := sweepFor(t.Context(), e, 60*day, time.Hour); err != nil {
			t.Fatal(err)
		}
		var rungs []string
		ids := map[string]bool{}
		for _, a := range r.inbox.all() {
			left := start.Add(40 * day).Sub(a.Time)
			rungs = append(rungs, fmt.Sprint(int(left/day)))
			ids[a.ID()] = true
			if a.Type != alert.RotationManualRequired || (a.Level == alert.Error) != (left <= 0) {
				t.Errorf("%d days before: %s %s", int(left/day), a.Type, a.Level)
			}
		}
		if got := strings.Join(rungs, " "); got != "30 14 7 3 1 0" || len(ids) != 6 {
			t.Errorf("told at %s days, %d alerts apart", got, len(ids))
		}
		if open, err := e.Pending(t.Context()); err != nil || len(open) != 1 || open[0].Needs != rotation.ReasonManual {
			t.Errorf("pending: %+v, %v", open, err)
		}
		if _, err := r.secrets.Set(t.Context(), name, secret.Draft{Value: secret.New("by-hand-0x2a"), Expires: time.Now().Add(90 * day),
			Tags: map[string]string{secret.TagRotationType: "manual"}}); err != nil {
			t.Fatal(err)
		}
		if err := sweepFor(t.Context(), e, 2*time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		if open, err := e.Pending(t.Context()); err != nil || len(open) > 0 || len(r.inbox.all()) != 6 {
			t.Errorf("after it was done: %+v, %v, %d alerts", open, err, len(r.inbox.all()))
		}
	})
}

// TestARotationTypeThatVanishes as when a person sets a new version in the portal, which carries no tags over.
func TestARotationTypeThatVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.seed(version(func(v *emulator.Version) { v.Expires = time.Now().Add(80 * day) }))
		e := r.engine()
		if err := sweepFor(t.Context(), e, 3*time.Hour, time.Hour); err != nil || len(r.inbox.all()) > 0 {
			t.Fatalf("%v, %v", err, r.inbox.all())
		}
		if _, err := r.secrets.Set(t.Context(), name, secret.Draft{Value: secret.New("by-hand-0x2a")}); err != nil {
			t.Fatal(err)
		}
		if err := sweepFor(t.Context(), e, 10*time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		alerts := r.inbox.all()
		if len(alerts) != 1 || alerts[0].Type != alert.RotationManualRequired || alerts[0].Details["reason"] != string(rotation.ReasonTypeVanished) {
			t.Errorf("alerts: %+v", alerts)
		}
	})
}

// TestManyAlertsAreOneDigest has forty secrets that a person rotates: one message on each rung, none lost while the
// sink is out of order.
func TestManyAlertsAreOneDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 60 {
			r.seed(named(fmt.Sprintf("app-%02d", i)), withTag(secret.TagRotationType, "manual"))
		}
		r.seed(named("app-bad"), withTag(secret.TagRotationDays, "soon"))
		e := r.engine()
		r.inbox.fail(secret.ErrUnavailable)
		for range 3 {
			if _, err := e.Sweep(t.Context()); !errors.Is(err, secret.ErrUnavailable) {
				t.Errorf("the sweep says %v", err)
			}
		}
		r.inbox.fail(nil)
		got, err := e.Sweep(t.Context())
		if err != nil || got.Alerts != 2 {
			t.Errorf("got %+v, %v", got, err)
		}
		for range 3 {
			time.Sleep(time.Hour)
			if got, err := e.Sweep(t.Context()); err != nil || got.Alerts > 0 {
				t.Errorf("again: %+v, %v", got, err)
			}
		}
		alerts := r.inbox.all()
		if len(alerts) != 2 || alerts[0].Type != alert.RotationFailed || alerts[1].Subject != "60 secrets" ||
			!strings.Contains(alerts[1].Text, "app-00, app-01") || !strings.Contains(alerts[1].Text, "and 10 more") {
			t.Errorf("alerts: %+v", alerts)
		}
	})
}

// TestARecordNobodyCanRead is left alone, told of once in an hour, and dropped by order only.
func TestARecordNobodyCanRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.seed()
		e := r.engine()
		key := rotation.RecordKey("", name)
		if _, err := r.leases.Put(t.Context(), key, []byte(`{"format":2,"secret":"app-key","later":true}`), ""); err != nil {
			t.Fatal(err)
		}
		got, err := e.Rotate(t.Context(), rotation.Request{Name: name})
		if err != nil || got.Reason != rotation.ReasonRecord || len(r.versions(name)) != 1 || len(r.inbox.all()) != 1 {
			t.Errorf("got %+v, %v, alerts %v", got, err, r.inbox.all())
		}
		for range 29 {
			_, _ = e.Sweep(t.Context())
			time.Sleep(2 * time.Minute)
		}
		if n := len(r.inbox.all()); n != 2 {
			t.Errorf("%d alerts in an hour of sweeps", n)
		}
		if open, err := e.Pending(t.Context()); err == nil || len(open) != 1 || !open[0].Broken {
			t.Errorf("pending: %+v, %v", open, err)
		}
		if got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Exit: rotation.Abandon}); err != nil || got.Verdict != rotation.Closed {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := e.Rotate(t.Context(), rotation.Request{Name: name}); err != nil || got.Verdict != rotation.Rotated {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
