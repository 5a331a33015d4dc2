package rotators

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func TestDatabaseParams(t *testing.T) {
	good := map[string]map[string]any{
		"postgres":  {"engine": "postgres", "host": "db.example.com", "database": "app"},
		"address":   {"engine": "postgres", "host": "::1", "database": "app", "port": 6432},
		"mariadb":   {"engine": "mariadb", "host": "db"},
		"overlap":   {"engine": "mariadb", "host": "db", "overlap": true, "userHost": "10.0.%"},
		"mysql":     {"engine": "mysql", "host": "db", "database": "app", "overlap": true},
		"mssql":     {"engine": "mssql", "host": "x.database.windows.net", "database": "app", "contained": true, "length": 128},
		"alternate": {"engine": "postgres", "host": "db", "database": "app", "users": []any{"a", "b"}},
	}
	for name, params := range good {
		if err := databasePasswordKind(nil).Check(params); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]map[string]any{
		"no engine":                {"engine": ""},
		"unknown engine":           {"engine": "oracle"},
		"no host":                  {"host": ""},
		"socket":                   {"host": "/var/run/postgresql"},
		"host with a user":         {"host": "admin@db"},
		"two hosts":                {"host": "a,b"},
		"control character":        {"host": "db\n"},
		"no database":              {"database": ""},
		"NUL in the database":      {"database": "a\x00b"},
		"port":                     {"port": 70000},
		"tls":                      {"tls": "prefer"},
		"ca that is none":          {"ca": "certificate"},
		"ca without tls":           {"tls": "off", "ca": "certificate"},
		"userHost":                 {"userHost": "localhost"},
		"no iterations":            {"iterations": 0},
		"mariadb, iterations":      {"engine": "mariadb", "iterations": 5000},
		"contained":                {"contained": true},
		"overlap":                  {"overlap": true},
		"one user":                 {"users": []any{"a"}},
		"the same user twice":      {"users": []any{"a", "a"}},
		"nameless user":            {"users": []any{"a", ""}},
		"weak":                     {"length": 16, "characters": "01"},
		"unknown":                  {"password": "x"},
		"mssql, too long":          {"engine": "mssql", "length": 129},
		"mariadb, overlap and two": {"engine": "mariadb", "overlap": true, "users": []any{"a", "b"}},
		"mariadb, no userHost":     {"engine": "mariadb", "userHost": ""},
	} {
		params := maps.Clone(good["postgres"])
		maps.Copy(params, change)
		if err := databasePasswordKind(nil).Check(params); err == nil {
			t.Errorf("%s: %v is taken", name, change)
		}
	}
}

// TestAlternatingNeedsAnAdmin, who alone may change the other user.
func TestAlternatingNeedsAnAdmin(t *testing.T) {
	params := map[string]any{"engine": "postgres", "host": "db", "database": "app", "users": []any{"a", "b"}}
	if r, err := databasePasswordKind(nil).Open(rotation.Deps{}, params); err == nil {
		t.Errorf("got %T", r)
	}
}

func TestAlternatingChoosesTheOther(t *testing.T) {
	a := alternating{users: [2]string{"a", "b"}}
	for now, want := range map[string]string{"a": "b", "b": "a"} {
		next, err := a.Choose(rotation.Credential{User: now, Secret: secret.New("x")}, rand.Reader)
		if err != nil || next.User != want || next.Secret.Len() != 32 {
			t.Errorf("after %s: %q with %d characters, %v", now, next.User, next.Secret.Len(), err)
		}
	}
	for _, now := range []string{"", "c", "A"} {
		if next, err := a.Choose(rotation.Credential{User: now}, rand.Reader); !errors.Is(err, secret.ErrPermanent) {
			t.Errorf("after %q: %q, %v", now, next.User, err)
		}
	}
}

// TestAlternatingTouchesItsUsersOnly: the value of a secret may name anybody.
func TestAlternatingTouchesItsUsersOnly(t *testing.T) {
	params := map[string]any{"engine": "postgres", "host": "db", "database": "app", "users": []any{"a", "b"}}
	deps := rotation.Deps{Admin: &rotation.Credential{User: "admin", Secret: secret.New("admin password")}}
	unreachable(&deps)
	opened, err := databasePasswordKind(strings.NewReader("")).Open(deps, params)
	if err != nil {
		t.Fatal(err)
	}
	r := opened.(rotation.Setter)
	someone, b := rotation.Credential{User: "postgres", Secret: secret.New("someone-1")}, rotation.Credential{User: "b", Secret: secret.New("someone-2")}
	sets(t, secret.ErrPermanent, r, b, someone)
	retires(t, secret.ErrPermanent, r, someone, b)
	retires(t, nil, r, b, b)
}

// TestOverlapIsDeclared: the engine tells by the methods whether the old password works on.
func TestOverlapIsDeclared(t *testing.T) {
	admin := &rotation.Credential{User: "admin", Secret: secret.New("admin password")}
	for _, c := range []struct {
		params  map[string]any
		overlap bool
	}{
		{map[string]any{"engine": "postgres", "database": "app"}, false},
		{map[string]any{"engine": "postgres", "database": "app", "users": []any{"a", "b"}}, true},
		{map[string]any{"engine": "mariadb"}, false},
		{map[string]any{"engine": "mariadb", "overlap": true}, true},
		{map[string]any{"engine": "mysql"}, false},
		{map[string]any{"engine": "mysql", "overlap": true}, true},
		{map[string]any{"engine": "mssql", "database": "app"}, false},
	} {
		c.params["host"] = "db"
		r, err := databasePasswordKind(nil).Open(rotation.Deps{Admin: admin}, c.params)
		if err != nil {
			t.Fatal(err)
		}
		if _, overlap := r.(rotation.Retirer); overlap != c.overlap {
			t.Errorf("%v: overlap is %v", c.params, overlap)
		}
	}
}
