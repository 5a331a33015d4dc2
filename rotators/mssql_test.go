package rotators

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	driver "github.com/microsoft/go-mssqldb"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func TestMSSQLStatement(t *testing.T) {
	admin := rotation.Credential{User: "sa", Secret: secret.New("admin")}
	now := rotation.Credential{User: "app]; DROP LOGIN x--", Secret: secret.New("o'ld")}
	next := rotation.Credential{User: now.User, Secret: secret.New("n'ew")}
	for _, c := range []struct {
		contained bool
		login     rotation.Credential
		want      string
	}{
		{false, admin, "ALTER LOGIN [app]]; DROP LOGIN x--] WITH PASSWORD = N'n''ew'"},
		{false, now, "ALTER LOGIN [app]]; DROP LOGIN x--] WITH PASSWORD = N'n''ew' OLD_PASSWORD = N'o''ld'"},
		{true, admin, "ALTER USER [app]]; DROP LOGIN x--] WITH PASSWORD = N'n''ew'"},
		{true, now, "ALTER USER [app]]; DROP LOGIN x--] WITH PASSWORD = N'n''ew' OLD_PASSWORD = N'o''ld'"},
	} {
		if got := (mssql{contained: c.contained}).statement(c.login, next); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestMSSQLLimits(t *testing.T) {
	now := rotation.Credential{User: "app", Secret: secret.New("old")}
	for _, c := range []struct {
		user, password string
		want           error
	}{
		{"app", strings.Repeat("x", 129), rotation.ErrRefused},
		{"app", strings.Repeat("💧", 65), rotation.ErrRefused},
		{strings.Repeat("u", 129), "x", secret.ErrPermanent},
	} {
		err := mssql{}.set(t.Context(), now, rotation.Credential{User: c.user, Secret: secret.New(c.password)})
		if !errors.Is(err, c.want) {
			t.Errorf("%d and %d characters: %v", length(c.user), length(c.password), err)
		}
	}
}

func TestMSSQLFaults(t *testing.T) {
	m := mssql{endpoint: endpoint{host: "db", port: 1433}}
	for number, want := range map[int32]error{18456: rotation.ErrDenied, 15118: rotation.ErrRefused, 15151: secret.ErrPermanent} {
		if err := m.fault(driver.Error{Number: number, Message: "repeats the password"}); !errors.Is(err, want) || strings.Contains(err.Error(), "repeats") {
			t.Errorf("%d: %v", number, err)
		}
	}
	for _, err := range []error{driver.Error{Number: 40613}, driver.Error{Number: 1}, context.DeadlineExceeded} {
		if got := m.fault(err); isClear(got) || !secret.IsTransient(got) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestMSSQLUnclearAnswers(t *testing.T) {
	for name, change := range map[string]func(*rotation.Deps){
		"unreachable": unreachable,
		"closes":      func(d *rotation.Deps) { d.Dial = answering(func(c net.Conn) { c.Close() }) },
	} {
		t.Run(name, func(t *testing.T) {
			var deps rotation.Deps
			change(&deps)
			r, err := databasePasswordKind(rand.Reader).Open(deps, map[string]any{"engine": "mssql", "host": "name.invalid", "database": "app"})
			if err != nil {
				t.Fatal(err)
			}
			now := rotation.Credential{User: "app", Secret: secret.New("an old password")}
			err = r.Verify(t.Context(), now)
			if err == nil || isClear(err) || !secret.IsTransient(err) {
				t.Errorf("got %v", err)
			}
			tellsNothing(t, err, now)
		})
	}
}

// TestMSSQL needs KEYFERRY_TEST_MSSQL, sqlserver://sa:password@host:port of a server whose certificate is trusted: Debian
// has none.
func TestMSSQL(t *testing.T) {
	create := func(t *testing.T, s stage, user, password string) error {
		t.Helper()
		u := *s.address(t)
		u.RawQuery = url.Values{"encrypt": {"true"}}.Encode()
		db, err := sql.Open("sqlserver", u.String())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		name := quoted(user, "[", "]")
		_, err = db.ExecContext(t.Context(), "CREATE LOGIN "+name+" WITH PASSWORD = N"+literal(password)+"; USE master; CREATE USER "+name+" FOR LOGIN "+name)
		return err
	}
	params := map[string]any{"engine": "mssql", "database": "master", "tls": "verify"}
	for _, s := range []stage{{name: "own", own: true}, {name: "admin"}, {name: "alternate", alternate: true}} {
		t.Run(s.name, func(t *testing.T) {
			s.server, s.kind, s.params, s.create, s.suffix = "KEYFERRY_TEST_MSSQL", databasePasswordKind(rand.Reader), params, create, "Aa1-"
			s.address(t)
			s, now := s.account(t, `o'brien]"`)
			r := s.open(t)
			rotate(t, r, now, s.next(t, r, now, `p'"]; --`))
		})
	}
}
