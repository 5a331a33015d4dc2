package rotators

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"testing"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators/rotatortest"
)

// TestContract runs the kit that anybody may run against a rotator of their own, whole rotations that stop included.
func TestContract(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			rotatortest.Run(t, func(t *testing.T) rotatortest.Subject { return s.subject(t) })
		})
	}
}

// subject is the stage as the kit wants it, with an account of its own.
func (s stage) subject(t *testing.T) rotatortest.Subject {
	t.Helper()
	s, now := s.account(t, "kit")
	subject := rotatortest.Subject{Kind: s.kind, Params: s.opened(t), Current: now, Slow: true}
	subject.Deps.Dial = new(net.Dialer).DialContext
	if !s.own {
		admin := s.administrator(t)
		subject.Deps.Admin = &admin
	}
	if s.alternate {
		subject.Format = "url"
		subject.Value = func(c rotation.Credential) string {
			return (&url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Secret.Reveal()), Host: "host", Path: "/app"}).String()
		}
		return subject
	}
	subject.WithUser = func(t *testing.T, user, password string) (rotation.Credential, error) {
		if !plain(user) {
			return rotation.Credential{}, errors.New("names with control characters are refused")
		}
		c := rotation.Credential{User: user, Secret: s.password(password)}
		return c, s.create(t, s, user, c.Secret.Reveal())
	}
	return subject
}

// opened are the parameters of the stage with where its server is.
func (s stage) opened(t *testing.T) map[string]any {
	t.Helper()
	u := s.address(t)
	if s.kind.Type == "rabbitmq-user" {
		return s.with(map[string]any{"url": "http://" + u.Host}).params
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	where := stage{params: map[string]any{"host": u.Hostname(), "port": port, "tls": "off"}}
	return where.with(s.params).params
}
