package rotators

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func TestRedisUserThatTakesNoPassword(t *testing.T) {
	for _, rule := range []string{"nopass", "off"} {
		t.Run(rule, func(t *testing.T) {
			s := stageNamed(t, "redis/admin")
			s, now := s.account(t, "u")
			r := s.open(t)
			runRedis(t, s, "ACL", "SETUSER", now.User, rule)
			sets(t, secret.ErrPermanent, r, now, s.next(t, r, now, ""))
		})
	}
}

// TestRedisLeavesOtherPasswords of the same user, and what the user may do.
func TestRedisLeavesOtherPasswords(t *testing.T) {
	s := stageNamed(t, "redis/admin")
	s, now := s.account(t, "u")
	r := s.open(t)
	other := rotation.Credential{User: now.User, Secret: s.password("other")}
	runRedis(t, s, "ACL", "SETUSER", now.User, ">"+other.Secret.Reveal())
	before := runRedis(t, s, "ACL", "GETUSER", now.User)
	next := s.next(t, r, now, "")
	sets(t, nil, r, now, next)
	retires(t, secret.ErrPermanent, r, rotation.Credential{User: now.User}, next)
	retires(t, nil, r, now, next)
	verifies(t, r, other)
	verifies(t, r, next)
	after := runRedis(t, s, "ACL", "GETUSER", now.User)
	if a, b := before.list[5].text, after.list[5].text; before.list[4].text != "commands" || a != b {
		t.Errorf("the commands were %q and are %q", a, b)
	}
}

// TestRedisSettles: the server reads what it saved, and forgets what it did not.
func TestRedisSettles(t *testing.T) {
	s := stageNamed(t, "redis/admin")
	s, now := s.account(t, "u")
	r := s.open(t)
	settle := func(c rotation.Credential) {
		try(t, nil, func(ctx context.Context) error { return r.(rotation.Settler).Settle(ctx, c) }, c)
	}
	settle(now)
	kept, lost := s.next(t, r, now, "kept"), s.next(t, r, now, "lost")
	sets(t, nil, r, now, kept)
	settle(kept)
	sets(t, nil, r, now, lost)
	runRedis(t, s, "ACL", "LOAD")
	verifies(t, r, kept)
	denied(t, r, lost)
}

func TestRedisSettlesByItsConfiguration(t *testing.T) {
	s := stageNamed(t, "redis plain/admin")
	s, now := s.account(t, "u")
	r := s.open(t)
	next := s.next(t, r, now, "")
	sets(t, nil, r, now, next)
	try(t, nil, func(ctx context.Context) error { return r.(rotation.Settler).Settle(ctx, next) })
	dir := runRedis(t, s, "CONFIG", "GET", "dir").list[1].text
	text, err := os.ReadFile(dir + "/redis.conf")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), sha256Hex(next.Secret)) {
		t.Error("the configuration does not hold the new password")
	}
	for persist, want := range map[string]error{"acl-save": errAny, "config-rewrite": nil, "none": nil} {
		r := s.with(map[string]any{"persist": persist}).open(t)
		if err := r.(rotation.Settler).Settle(t.Context(), next); (err == nil) != (want == nil) {
			t.Errorf("%s: %v", persist, err)
		}
	}
}

func TestRedisWithoutPermission(t *testing.T) {
	s := stageNamed(t, "redis/admin")
	s, now := s.account(t, "u")
	s.own = true // but it has no +acl
	r := s.open(t)
	sets(t, secret.ErrPermanent, r, now, s.next(t, r, now, ""))
	try(t, secret.ErrPermanent, func(ctx context.Context) error { return r.(rotation.Settler).Settle(ctx, now) })
	verifies(t, r, now)
}

// tlsStages are the servers that speak TLS, and what their certificates are signed by.
func tlsStages(t *testing.T) map[string]stage {
	stages := map[string]stage{}
	for _, name := range []string{"postgres/own", "mariadb/own", "mariadb/own ed25519", "mariadb/overlap", "redis/own"} {
		s := stageNamed(t, name)
		ca, err := os.ReadFile(os.Getenv(s.server + "_CA"))
		if err != nil {
			t.Fatal(err)
		}
		params := map[string]any{"tls": "verify", "ca": string(ca)}
		if port, err := strconv.Atoi(os.Getenv(s.server + "_TLS_PORT")); err == nil {
			params["port"] = port
		}
		stages[name] = s.with(params)
	}
	return stages
}

func TestRotationByTLS(t *testing.T) {
	for name, s := range tlsStages(t) {
		t.Run(name, func(t *testing.T) {
			s, now := s.account(t, "tls")
			r := s.open(t)
			rotate(t, r, now, s.next(t, r, now, ""))
		})
	}
}

// TestUntrustedCertificate: nothing is sent to a server that is not who it should be, and trying again does not help.
func TestUntrustedCertificate(t *testing.T) {
	for name, s := range tlsStages(t) {
		t.Run(name, func(t *testing.T) {
			s, now := s.account(t, "tls")
			delete(s.params, "ca") // of the clone that with made
			r := s.open(t)
			next := s.next(t, r, now, "")
			sets(t, secret.ErrPermanent, r, now, next)
			if err := r.Verify(t.Context(), now); err == nil || isClear(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestServerWithoutTLS gets no password.
func TestServerWithoutTLS(t *testing.T) {
	s := stageNamed(t, "redis/own")
	s, now := s.account(t, "u")
	r := s.with(map[string]any{"tls": "verify"}).open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // it waits for the rest of what is no command
	defer cancel()
	if err := r.Verify(ctx, now); err == nil || isClear(err) {
		t.Errorf("got %v", err)
	}
}
