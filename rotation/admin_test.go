package rotation_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// server is a target with accounts, whose passwords the administrator may set.
type server struct {
	passwords map[string]string
	calls     int
	admin     *rotation.Credential
}

func (s *server) Verify(_ context.Context, c rotation.Credential) error {
	s.calls++
	if s.passwords[c.User] != c.Secret.Reveal() {
		return rotation.ErrDenied
	}
	return nil
}

func (s *server) Set(_ context.Context, now, next rotation.Credential) error {
	s.calls++
	by := now
	if s.admin != nil {
		by = *s.admin
	}
	if s.passwords[by.User] != by.Secret.Reveal() || s.admin == nil && by.User != next.User {
		return rotation.ErrDenied
	}
	s.passwords[next.User] = next.Secret.Reveal()
	return nil
}

func (s *server) options(change func(*rotation.Target)) func(*rotation.Options) {
	return func(o *rotation.Options) {
		o.Kinds = append(o.Kinds, rotation.Define("server", "a server of tests", func(d rotation.Deps, _ struct{}) (rotation.Rotator, error) {
			s.admin = d.Admin
			return s, nil
		}))
		target := rotation.Target{Name: "orders", Type: "server", Secrets: []string{"app-*", "db-*"}, Outage: true, Format: "url",
			Admin: rotation.Admin{Secret: "db-admin", User: "root"}}
		change(&target)
		o.Settings.Targets = append(o.Settings.Targets, target, rotation.Target{Name: "other", Type: "server", Secrets: []string{"other-*"}})
	}
}

const address = "postgres://app:" + oldValue + "@db.example:5432/orders?sslmode=verify-full"

func newServer() *server {
	return &server{passwords: map[string]string{"app": oldValue, "root": "root-password-0x2a", "boss": "boss-password-0x2a"}}
}

func (r *rig) seedServer(value string, tags ...string) {
	r.seed(withTag(secret.TagRotationType, "server"), version(func(v *emulator.Version) {
		v.Value = value
		for i := 0; i < len(tags); i += 2 {
			v.Tags[tags[i]] = tags[i+1]
		}
	}))
	r.seed(named("db-admin"), withTag(secret.TagRotationType, "server"), version(func(v *emulator.Version) { v.Value = "root-password-0x2a" }))
}

func TestAnAdminChangesAConnectionString(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newServer()
		r.seedServer(address)
		got, err := r.engine(s.options(func(*rotation.Target) {})).Rotate(t.Context(), rotation.Request{Name: name})
		want := strings.Replace(address, oldValue, s.passwords["app"], 1)
		if err != nil || got.Verdict != rotation.Rotated || r.current(name).Value != want || s.passwords["app"] == oldValue {
			t.Errorf("got %+v, %v", got, err)
		}
		r.mustNotLeak(got, err)
	})
}

// TestWhoeverWritesASecretCannotAimTheAdmin writes what an attacker would: no account changes, and nothing that the
// settings do not list is even asked.
func TestWhoeverWritesASecretCannotAimTheAdmin(t *testing.T) {
	for _, c := range []struct {
		title  string
		rotate string
		seed   func(*rig)
		target func(*rotation.Target)
		reason rotation.Reason
		calls  int
	}{
		{"the account of somebody else in the value", name, func(r *rig) { r.seedServer(strings.Replace(address, "app:", "boss:", 1)) }, nil, rotation.ReasonDenied, 1},
		{"a target that does not list it", name, func(r *rig) { r.seedServer(address, secret.TagRotationTarget, "other") }, nil, rotation.ReasonTargetRefused, 0},
		{"a target that there is not", name, func(r *rig) { r.seedServer(address, secret.TagRotationTarget, "db.evil.example:5432") }, nil, rotation.ReasonTargetRefused, 0},
		{"a resource in Microsoft's tag", name, func(r *rig) {
			r.seedServer(address, secret.TagRotationType, "", secret.TagProviderAddress, "/subscriptions/evil")
		}, nil, rotation.ReasonTargetRefused, 0},
		{"the admin secret itself", "db-admin", func(r *rig) { r.seedServer(address) }, nil, rotation.ReasonAdminSecret, 0},
		{"no format fits the value", name, func(r *rig) { r.seedServer("not-a-url-0x2a") }, nil, rotation.ReasonFormat, 0},
		{"an outage nobody accepted", name, func(r *rig) { r.seedServer(address) }, func(t *rotation.Target) { t.Outage = false }, rotation.ReasonOutage, 0},
		{"an admin secret that there is not", name, func(r *rig) { r.seedServer(address) }, func(t *rotation.Target) { t.Admin.Secret = "db-boss" }, rotation.ReasonTargetFailed, 0},
	} {
		t.Run(c.title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := newRig(t), newServer()
				c.seed(r)
				if c.target == nil {
					c.target = func(*rotation.Target) {}
				}
				e := r.engine(s.options(c.target), func(o *rotation.Options) { o.Settings.Targets = o.Settings.Targets[1:] })
				got, err := e.Rotate(t.Context(), rotation.Request{Name: c.rotate})
				if err != nil || got.Verdict != rotation.Failed || got.Reason != c.reason || s.calls != c.calls || len(r.inbox.all()) != 1 {
					t.Errorf("got %+v, %v; %d calls to the target, alerts %v", got, err, s.calls, r.inbox.all())
				}
				if len(r.versions(name)) != 1 || len(r.versions(secret.PendingName(name))) != 0 || s.passwords["boss"] != "boss-password-0x2a" {
					t.Error("something was changed")
				}
				r.mustNotLeak(got, err)
			})
		})
	}
}

// TestAnAdminThatIsWrong changes nothing; once the admin secret is right the sweep goes on.
func TestAnAdminThatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newServer()
		r.seedServer(address)
		s.passwords["root"] = "changed-meanwhile-0x2a"
		e := r.engine(s.options(func(*rotation.Target) {}), func(o *rotation.Options) { o.Settings.Targets = o.Settings.Targets[1:] })
		got, err := e.Rotate(t.Context(), rotation.Request{Name: name})
		if err != nil || got.Verdict != rotation.Failed || s.passwords["app"] != oldValue || len(r.inbox.all()) != 1 {
			t.Fatalf("got %+v, %v, alerts %v", got, err, r.inbox.all())
		}
		if err := sweepFor(t.Context(), e, 3*day, day/24); err != nil || s.passwords["app"] != oldValue {
			t.Fatal(err)
		}
		s.passwords["root"] = "root-password-0x2a"
		if err := sweepFor(t.Context(), e, day, day/24); err != nil || !strings.Contains(r.current(name).Value, s.passwords["app"]) || s.passwords["app"] == oldValue {
			t.Errorf("%v", err)
		}
		r.mustNotLeak()
	})
}

// TestAnExpiredPasswordIsResetByTheAdmin where the settings name the account: a secret cannot aim at another then.
func TestAnExpiredPasswordIsResetByTheAdmin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newServer()
		s.passwords["app"] = "nobody-knows-0x2a"
		r.seedServer(oldValue)
		got, err := r.engine(s.options(func(t *rotation.Target) { t.Format, t.User = "", "app" })).Rotate(t.Context(), rotation.Request{Name: name})
		if err != nil || got.Verdict != rotation.Rotated || r.current(name).Value != s.passwords["app"] {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
