package rotators

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func TestPostgresRoleThatTakesNoPassword(t *testing.T) {
	s := stageNamed(t, "postgres/admin")
	for name, c := range map[string]struct{ alter, undo string }{
		"VALID UNTIL is past": {"VALID UNTIL '2001-01-01'", "VALID UNTIL 'infinity'"},
		"NOLOGIN":             {"NOLOGIN", "LOGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			s, now := s.account(t, "u")
			r := s.open(t)
			role := quoted(now.User, `"`, `"`)
			runPostgres(t, s, "ALTER ROLE "+role+" "+c.alter)
			next := s.next(t, r, now, "")
			sets(t, secret.ErrPermanent, r, now, next)
			runPostgres(t, s, "ALTER ROLE "+role+" "+c.undo)
			verifies(t, r, now)
			denied(t, r, next)
		})
	}
}

// TestPostgresIterations: what is set has the iterations it should have.
func TestPostgresIterations(t *testing.T) {
	s := stageNamed(t, "postgres/admin")
	for _, iterations := range []int{1, scramIterations, 100_000} {
		s, now := s.account(t, "u")
		r := s.with(map[string]any{"iterations": iterations}).open(t)
		rotate(t, r, now, s.next(t, r, now, ""))
		runPostgres(t, s, fmt.Sprintf("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_authid WHERE rolname = %s AND rolpassword LIKE 'SCRAM-SHA-256$%d:%%') "+
			"THEN RAISE 'other iterations'; END IF; END $$", literal(now.User), iterations))
	}
}

func TestPostgresKeepsValidUntil(t *testing.T) {
	s := stageNamed(t, "postgres/own")
	s, now := s.account(t, "u")
	runPostgres(t, s, "ALTER ROLE "+quoted(now.User, `"`, `"`)+" VALID UNTIL '2190-01-01'")
	r := s.open(t)
	rotate(t, r, now, s.next(t, r, now, ""))
	runPostgres(t, s, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = "+literal(now.User)+
		" AND rolvaliduntil = '2190-01-01') THEN RAISE 'VALID UNTIL has changed'; END IF; END $$")
}

// TestPostgresCandidateRefused: passwordcheck sees through a verifier when the password is the user name.
func TestPostgresCandidateRefused(t *testing.T) {
	s := stageNamed(t, "postgres/own")
	s, now := s.account(t, "u")
	r := s.open(t)
	for name, password := range map[string]string{
		"the user name": now.User, "a ligature": "ﬁ-first-of-it", "not composed": "e\u0301-first-of-it", "hard space": "a\u00a0b-first-of-it", "soft hyphen": "a\u00adb",
	} {
		t.Run(name, func(t *testing.T) {
			if err := r.Set(t.Context(), now, rotation.Credential{User: now.User, Secret: secret.New(password)}); !errors.Is(err, rotation.ErrRefused) {
				t.Errorf("got %v", err)
			}
			verifies(t, r, now)
		})
	}
}

// TestPostgresNameLongerThanNames: PostgreSQL would cut the name and change another role.
func TestPostgresNameLongerThanNames(t *testing.T) {
	s := stageNamed(t, "postgres/admin")
	s, now := s.account(t, strings.Repeat("n", 55)) // 63 bytes: the longest
	long := rotation.Credential{User: now.User + "x", Secret: s.password("long")}
	r := s.open(t)
	sets(t, secret.ErrPermanent, r, long, rotation.Credential{User: long.User, Secret: s.password("next")})
	verifies(t, r, now)
}

// TestPostgresRoleThatActsAsAnother is how two users share the ownership of objects.
func TestPostgresRoleThatActsAsAnother(t *testing.T) {
	s := stageNamed(t, "postgres/own")
	s, now := s.account(t, "u")
	role, owner := quoted(now.User, `"`, `"`), quoted(now.User+"owner", `"`, `"`)
	runPostgres(t, s, "CREATE ROLE "+owner+"; GRANT "+owner+" TO "+role+"; ALTER ROLE "+role+" SET role = "+literal(now.User+"owner"))
	r := s.open(t)
	rotate(t, r, now, s.next(t, r, now, ""))
}

// TestPostgresThatTrustsEverybody proves nothing, so it is neither yes nor no.
func TestPostgresThatTrustsEverybody(t *testing.T) {
	s := stageNamed(t, "postgres/own")
	s, now := s.account(t, "u")
	r := s.with(map[string]any{"database": "keyferry_trust"}).open(t)
	for _, password := range []secret.Value{now.Secret, s.password("wrong")} {
		err := r.Verify(t.Context(), rotation.Credential{User: now.User, Secret: password})
		if err == nil || isClear(err) {
			t.Errorf("got %v", err)
		}
	}
}

func TestPostgresWrongDatabase(t *testing.T) {
	s := stageNamed(t, "postgres/own")
	s, now := s.account(t, "u")
	r := s.with(map[string]any{"database": "keyferry_none"}).open(t)
	sets(t, secret.ErrPermanent, r, now, s.next(t, r, now, ""))
}

// TestPostgresWithoutItsEnvironment: none of the driver's variables has a say.
func TestPostgresWithoutItsEnvironment(t *testing.T) {
	s := stageNamed(t, "postgres/own")
	s, now := s.account(t, "u")
	for name, value := range map[string]string{
		"PGHOST": "192.0.2.1", "PGPORT": "1", "PGDATABASE": "other", "PGUSER": "other", "PGPASSWORD": "other", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/nowhere",
		"PGOPTIONS": "-c role=other", "PGAPPNAME": "other", "PGTARGETSESSIONATTRS": "standby", "PGREQUIREAUTH": "none", "PGCONNECT_TIMEOUT": "1",
	} {
		t.Setenv(name, value)
	}
	r := s.open(t)
	rotate(t, r, now, s.next(t, r, now, ""))
}

// TestPostgresLogHoldsNoPassword with a log of every statement that changes a role, failed ones included.
func TestPostgresLogHoldsNoPassword(t *testing.T) {
	for _, name := range []string{"postgres/own", "postgres/admin", "postgres/alternate"} {
		s := stageNamed(t, name)
		s, now := s.account(t, "logged")
		r := s.open(t)
		next := s.next(t, r, now, "next")
		rotate(t, r, now, next)
		if err := r.Set(t.Context(), next, rotation.Credential{User: next.User, Secret: secret.New(next.User)}); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("got %v", err)
		}
		log, err := os.ReadFile(os.Getenv("KEYFERRY_TEST_POSTGRES_LOG"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(log, []byte(now.User)) {
			t.Fatal("the log does not tell of the change, so it proves nothing")
		}
		for _, password := range []secret.Value{now.Secret, next.Secret} {
			if bytes.Contains(log, []byte(password.Reveal())) {
				t.Error("the log of the server holds a password")
			}
		}
	}
}
