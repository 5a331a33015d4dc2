package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/alert"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators"
	"github.com/keyferry/keyferry/secret"
)

func TestAnEventMakesOneNewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		old := r.seed(withTag(secret.TagVaultPath, "secret/app/key"), withTag(secret.TagAuthority, "keyvault"),
			withTag(secret.TagVaultHash, "k1.old"), version(func(v *emulator.Version) { v.ContentType = "text/plain; of=shop" }))
		e := r.engine(func(o *rotation.Options) {
			o.Hash = func(v secret.Value) string { return fmt.Sprint("k1.len", v.Len()) }
		})
		request := rotation.Request{Name: name, Version: old, Cause: rotation.CauseNearExpiry}
		got, err := e.Rotate(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		made := r.current(name)
		want := rotation.Outcome{
			Verdict: rotation.Rotated, Reason: rotation.ReasonNearExpiry, Name: name, OldVersion: old, NewVersion: made.ID,
			Text:    "it expires in 29 days: rotated, valid until " + time.Now().UTC().Add(90*day).Format(time.DateOnly),
			Expires: time.Now().UTC().Add(90 * day),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if made.ID == old || made.Value == oldValue || len(made.Value) != 40 || made.ContentType != "text/plain; of=shop" ||
			!made.Expires.Equal(time.Now().Add(90*day)) || made.Disabled {
			t.Errorf("new version: %+v", made)
		}
		proof, err := secret.ParseRotationState(made.Tags[secret.TagRotationState])
		if err != nil || proof.From != old || !proof.At.Equal(time.Now()) {
			t.Errorf("rotation-state is %v, %v", proof, err)
		}
		delete(made.Tags, secret.TagRotationState)
		if diff := cmp.Diff(map[string]string{"owner": "shop", secret.TagRotationType: "generated", secret.TagVaultPath: "secret/app/key",
			secret.TagAuthority: "keyvault", secret.TagVaultHash: "k1.len40"}, made.Tags); diff != "" {
			t.Error(diff)
		}
		if alerts := r.inbox.all(); len(alerts) != 1 || alerts[0].Type != alert.RotationSucceeded || alerts[0].Subject != name {
			t.Errorf("alerts: %+v", alerts)
		}
		if calls := r.vault.Calls(); sum(calls) > 4 {
			t.Errorf("it took %v", calls)
		}

		r.vault.ResetCalls()
		for _, cause := range []rotation.Cause{rotation.CauseNearExpiry, rotation.CauseExpired, rotation.CauseAsked} {
			request.Cause, request.Force = cause, cause == rotation.CauseAsked
			again, err := e.Rotate(t.Context(), request)
			if err != nil || again.Verdict != rotation.Nothing || again.Reason != rotation.ReasonAlreadyRotated {
				t.Errorf("the same version again, %s: %+v, %v", cause, again, err)
			}
		}
		if calls := r.vault.Calls(); sum(calls) != 3 || len(r.versions(name)) != 2 {
			t.Errorf("three copies took %v and there are %d versions", calls, len(r.versions(name)))
		}
		r.mustNotLeak(got)
	})
}

func sum(calls map[emulator.Operation]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

func TestWhatIsNotRotatedStaysUntouched(t *testing.T) {
	for _, c := range []struct {
		name    string
		seed    []func(*emulator.Secret)
		request rotation.Request
		verdict rotation.Verdict
		reason  rotation.Reason
		alert   alert.Type // "": none
		reads   int
	}{
		{"missing", nil, rotation.Request{Name: "elsewhere"}, rotation.Nothing, rotation.ReasonNotFound, "", 1},
		{"disabled", []func(*emulator.Secret){version(func(v *emulator.Version) { v.Disabled = true })},
			rotation.Request{}, rotation.Nothing, rotation.ReasonDisabled, "", 1},
		{"managed", []func(*emulator.Secret){func(s *emulator.Secret) { s.Managed, s.KeyID = true, "https://kv1.vault.azure.net/keys/k/1" }},
			rotation.Request{}, rotation.Nothing, rotation.ReasonManaged, "", 1},
		{"deleted", []func(*emulator.Secret){func(s *emulator.Secret) { s.DeletedAt = time.Now().Add(-day) }},
			rotation.Request{}, rotation.Nothing, rotation.ReasonNotFound, "", 1},
		{"ours, which is not even read", []func(*emulator.Secret){func(s *emulator.Secret) { s.Name = secret.HashKeyName }},
			rotation.Request{Name: secret.HashKeyName, Force: true}, rotation.Nothing, rotation.ReasonOwn, "", 0},
		{"superseded", nil, rotation.Request{Version: "0123456789abcdef0123456789abcdef"}, rotation.Nothing, rotation.ReasonSuperseded, "", 1},
		{"by hand", []func(*emulator.Secret){withTag(secret.TagRotationType, "manual")},
			rotation.Request{}, rotation.Manual, rotation.ReasonManual, alert.RotationManualRequired, 1},
		{"before cutover", []func(*emulator.Secret){withTag(secret.TagAuthority, "vault")},
			rotation.Request{}, rotation.Manual, rotation.ReasonNotCutOver, alert.RotationManualRequired, 1},
		{"a bad tag", []func(*emulator.Secret){withTag(secret.TagRotationDays, "soon")},
			rotation.Request{}, rotation.Failed, rotation.ReasonInvalidTag, alert.RotationFailed, 1},
		{"synced and without a type", []func(*emulator.Secret){withTag(secret.TagAuthority, "vault"),
			version(func(v *emulator.Version) { delete(v.Tags, secret.TagRotationType) })},
			rotation.Request{}, rotation.Nothing, rotation.ReasonSynced, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.seed(c.seed...)
				if c.request.Name == "" {
					c.request.Name = name
				}
				before := r.vault.Secrets()
				got, err := r.engine().Rotate(t.Context(), c.request)
				if err != nil || got.Verdict != c.verdict || got.Reason != c.reason || got.Text == "" || got.NewVersion != "" {
					t.Errorf("got %+v, %v", got, err)
				}
				alerts := r.inbox.all()
				if c.alert == "" && len(alerts) > 0 || c.alert != "" && (len(alerts) != 1 || alerts[0].Type != c.alert || alerts[0].Dedup == "") {
					t.Errorf("alerts: %+v", alerts)
				}
				if diff := cmp.Diff(before, r.vault.Secrets()); diff != "" {
					t.Error(diff)
				}
				if n := sum(r.vault.Calls()); n != c.reads {
					t.Errorf("%d calls, want %d", n, c.reads)
				}
				r.mustNotLeak(got)
			})
		})
	}
}

func TestNamesNoSecretCanHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for _, bad := range []string{"", "a/b", "a?api-version=x", strings.Repeat("a", 128), "ü"} {
			if _, err := r.engine().Rotate(t.Context(), rotation.Request{Name: bad}); !errors.Is(err, secret.ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if calls := r.vault.Calls(); len(calls) != 0 {
			t.Errorf("calls: %v", calls)
		}
	})
}

func TestAlertsAreToldApartAndCopiesAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		version := r.seed(withTag(secret.TagRotationType, "manual"))
		e, keys := r.engine(), map[string]int{}
		for _, at := range []time.Duration{0, day, 29 * day} { // the last finds it expired
			time.Sleep(at)
			if _, err := e.Rotate(t.Context(), rotation.Request{Name: name, Version: version, Cause: rotation.CauseExpired}); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range r.inbox.all() {
			keys[a.Dedup]++
		}
		if len(keys) != 2 {
			t.Errorf("near expiry, near expiry and expired have the keys %v", keys)
		}
	})
}

func TestAnAlertThatIsNotDeliveredIsKept(t *testing.T) {
	for typ, verdict := range map[string]rotation.Verdict{"manual": rotation.Manual, "generated": rotation.Rotated} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.seed(withTag(secret.TagRotationType, typ))
			broken := fmt.Errorf("webhook: %w", secret.ErrInvalid) // whatever the sink calls it
			r.inbox.fail(broken)
			got, err := r.engine().Rotate(t.Context(), rotation.Request{Name: name})
			if err != nil || got.Verdict != verdict || !errors.Is(got.Unannounced, secret.ErrInvalid) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if _, err := r.engine().Sweep(t.Context()); !errors.Is(err, secret.ErrInvalid) {
				t.Errorf("the sweep says %v", err)
			}
			r.inbox.fail(nil)
			for range 2 {
				if _, err := r.engine().Sweep(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if alerts := r.inbox.all(); len(alerts) != 1 {
				t.Errorf("alerts: %v", alerts)
			}
		})
	}
}

func TestForceMakesAVersionEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.seed()
		for n := 2; n <= 4; n++ {
			got, err := r.engine().Rotate(t.Context(), rotation.Request{Name: name, Cause: rotation.CauseAsked, Force: true})
			if err != nil || got.Verdict != rotation.Rotated || len(r.versions(name)) != n {
				t.Fatalf("got %+v, %v; %d versions", got, err, len(r.versions(name)))
			}
		}
	})
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := rotation.New(rotation.Options{
		Kinds: rotators.All(),
		Settings: rotation.Settings{Validity: time.Second, Targets: []rotation.Target{
			{Name: "a", Type: "telepathy", Secrets: []string{"x"}},
			{Name: "b", Type: "generated", Secrets: []string{"x"}, Params: map[string]any{"lenght": 20}},
			{Name: "c", Type: "generated", Secrets: []string{"x"}, Params: map[string]any{"length": 1}},
		}},
	})
	if !errors.Is(err, secret.ErrUsage) {
		t.Fatalf("New = %v", err)
	}
	for _, word := range []string{"rotation.validity", `targets[0].type: there is no rotator "telepathy"`, `targets[1].params: unknown parameter "lenght"`,
		"targets[2].params: length 1", "a sink for alerts"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not mention %q", err, word)
		}
	}
	if _, err := rotation.New(rotation.Options{Kinds: append(rotators.All(), rotators.All()...)}); err == nil || !strings.Contains(err.Error(), `"generated" is taken`) {
		t.Errorf("the same rotators twice: %v", err)
	}
}

func TestKeyVaultRefusesTheNewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.seed()
		e := r.engine(func(o *rotation.Options) { o.Secrets = refusing{o.Secrets} })
		got, err := e.Rotate(t.Context(), rotation.Request{Name: name})
		if err != nil || got.Verdict != rotation.Failed || got.Reason != rotation.ReasonPublish || len(r.inbox.all()) != 1 {
			t.Errorf("got %+v, %v, alerts %v", got, err, r.inbox.all())
		}
	})
}

func TestASecretThatCanNeverBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.engine(func(o *rotation.Options) { o.Secrets = unreadable{o.Secrets} })
		got, err := e.Rotate(t.Context(), rotation.Request{Name: name})
		if err != nil || got.Verdict != rotation.Failed || got.Reason != rotation.ReasonUnreadable || len(r.inbox.all()) != 1 {
			t.Errorf("got %+v, %v, alerts %v", got, err, r.inbox.all())
		}
	})
}

type refusing struct{ rotation.Secrets }

func (refusing) Set(context.Context, string, secret.Draft) (secret.Meta, error) {
	return secret.Meta{}, fmt.Errorf("set secret: %w", secret.ErrManaged)
}

type unreadable struct{ rotation.Secrets }

func (unreadable) GetVersion(context.Context, string, string) (secret.Value, secret.Meta, error) {
	return secret.Value{}, secret.Meta{}, fmt.Errorf("get secret: %w", secret.ErrTooLarge)
}

func TestNothingHappensWithoutRandomness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.seed()
		e := r.engine(func(o *rotation.Options) { o.Random = strings.NewReader("") })
		if got, err := e.Rotate(t.Context(), rotation.Request{Name: name}); err != nil || got.Verdict != rotation.Continuing || len(r.versions(name)) != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
