package rotators

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

const firstHash = "*9BDE81F857CBD7E27CAED548ED36F57CE4307F0B" // PASSWORD('first')

func TestParseAccount(t *testing.T) {
	for _, c := range []struct {
		text string
		want mariadbAccount
	}{
		{"CREATE USER `a`@`%`", mariadbAccount{"a", "%", nil}},
		{"CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '" + firstHash + "'", mariadbAccount{"a", "%", []alternative{{nativePassword, firstHash}}}},
		{"CREATE USER `x'y``z\\w`@`10.0.0.%` IDENTIFIED VIA ed25519 USING '50yq' REQUIRE SSL", mariadbAccount{"x'y`z\\w", "10.0.0.%", []alternative{{ed25519Password, "50yq"}}}},
		{"CREATE USER `a`@`%` IDENTIFIED VIA unix_socket OR mysql_native_password USING 'invalid' OR pam USING 'it''s' ACCOUNT LOCK",
			mariadbAccount{"a", "%", []alternative{{"unix_socket", ""}, {nativePassword, "invalid"}, {"pam", "it's"}}}},
	} {
		got, err := parseAccount(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(mariadbAccount{}, alternative{})); diff != "" {
			t.Errorf("%s:\n%s", c.text, diff)
		}
	}
	for _, text := range []string{
		"", "CREATE USER ", "CREATE USER `a`", "CREATE USER `a`@`%", "CREATE USER 'a'@'%'", "CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password'",
		"CREATE USER `a`@`%` IDENTIFIED VIA ", "CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING", "CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING 'x",
		"CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING 'x'OR", "CREATE USER `a`@`%` IDENTIFIED VIA ed25519 OR ",
	} {
		if got, err := parseAccount(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

// FuzzParseAccount: what is understood says the same when it is written again.
func FuzzParseAccount(f *testing.F) {
	f.Add("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '" + firstHash + "'")
	f.Add("CREATE USER `x'y``z\\w`@`%` IDENTIFIED VIA unix_socket OR mysql_native_password USING 'it''s' REQUIRE SSL")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAccount(text)
		if err != nil || len(a.ways) == 0 {
			return
		}
		statement, _ := a.statement(true)
		_, ways, _ := strings.Cut(statement, a.name())
		again, err := parseAccount("CREATE USER " + quoted(a.user, "`", "`") + "@" + quoted(a.host, "`", "`") + ways)
		if err != nil {
			t.Fatalf("%q: %v", statement, err)
		}
		if diff := cmp.Diff(a, again, cmp.AllowUnexported(mariadbAccount{}, alternative{})); diff != "" {
			t.Errorf("%q:\n%s", statement, diff)
		}
	})
}

// TestHashed compares with what a MariaDB 10.11 stored.
func TestHashed(t *testing.T) {
	for plugin, want := range map[string]string{nativePassword: firstHash, ed25519Password: "50yqC5nJMDgmhbbRHiZfzuSPJH4arqnIZvKTdFvw9J0"} {
		password := secret.New(map[string]string{nativePassword: "first", ed25519Password: "ed"}[plugin])
		if got := hashed(plugin, password); got != want {
			t.Errorf("%s: got %s, want %s", plugin, got, want)
		}
	}
}

// TestMariaDBChangesNothingElse: limits, TLS, lock, expiry and other ways to log in stay as they are.
func TestMariaDBChangesNothingElse(t *testing.T) {
	const clauses = " REQUIRE X509 WITH MAX_QUERIES_PER_HOUR 100 ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 30 DAY"
	for name, other := range map[string]string{"mariadb/admin": " VIA unix_socket OR", "mariadb/overlap": " VIA"} {
		t.Run(name, func(t *testing.T) {
			s := stageNamed(t, name)
			user := "kept" + s.password("").Reveal()[:8]
			now := rotation.Credential{User: user, Secret: s.password("first")}
			runMariaDB(t, s, "CREATE USER "+mariaUser(user)+" IDENTIFIED"+other+" mysql_native_password USING PASSWORD("+literal(now.Secret.Reveal())+")"+
				" REQUIRE X509 WITH MAX_QUERIES_PER_HOUR 100 PASSWORD EXPIRE INTERVAL 30 DAY ACCOUNT LOCK")
			r := s.open(t)
			next := s.next(t, r, now, "")
			sets(t, nil, r, now, next)
			if name == "mariadb/overlap" {
				retires(t, nil, r, now, next)
			}
			got := runMariaDB(t, s, "SHOW CREATE USER "+mariaUser(user))
			hash := " USING '" + hashed(nativePassword, next.Secret) + "'"
			want := "CREATE USER `" + user + "`@`%` IDENTIFIED" + other + " mysql_native_password" + hash + clauses
			if name == "mariadb/overlap" {
				want = "CREATE USER `" + user + "`@`%` IDENTIFIED BY PASSWORD" + strings.TrimPrefix(hash, " USING") + clauses
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMariaDBSeveralPasswords: what an account cannot change for itself it leaves alone, a third password goes, and what
// is to be retired must be known.
func TestMariaDBSeveralPasswords(t *testing.T) {
	s := stageNamed(t, "mariadb/own")
	user := "several" + s.password("").Reveal()[:8]
	a, b := rotation.Credential{User: user, Secret: s.password("a")}, rotation.Credential{User: user, Secret: s.password("b")}
	c := rotation.Credential{User: user, Secret: s.password("c")}
	both := " IDENTIFIED VIA mysql_native_password USING PASSWORD(" + literal(a.Secret.Reveal()) + ") OR mysql_native_password USING PASSWORD(" + literal(b.Secret.Reveal()) + ")"
	runMariaDB(t, s, "CREATE USER "+mariaUser(user)+both)
	own, overlap := s.open(t), stageNamed(t, "mariadb/overlap").open(t)
	sets(t, secret.ErrPermanent, own, a, c)
	retires(t, secret.ErrPermanent, overlap, rotation.Credential{User: user}, c)
	retires(t, nil, overlap, c, a)
	verifies(t, own, a)
	verifies(t, own, b)
	retires(t, nil, overlap, a, b)
	denied(t, own, a)
	verifies(t, own, b)

	runMariaDB(t, s, "ALTER USER "+mariaUser(user)+both)
	sets(t, nil, overlap, b, c)
	denied(t, own, a)
	verifies(t, own, b)
	verifies(t, own, c)
	sets(t, nil, stageNamed(t, "mariadb/admin").open(t), b, a)
	denied(t, own, b)
	denied(t, own, c)
	verifies(t, own, a)
}

func TestPairedPasswords(t *testing.T) {
	now, next := secret.New("now"), secret.New("next")
	way := func(password string) alternative {
		return alternative{nativePassword, hashed(nativePassword, secret.New(password))}
	}
	socket, empty := alternative{plugin: "unix_socket"}, alternative{plugin: nativePassword}
	for _, c := range []struct {
		name string
		had  []alternative
		want []alternative
	}{
		{"one", []alternative{way("now")}, []alternative{way("now"), way("next")}},
		{"again", []alternative{way("now"), way("next")}, []alternative{way("now"), way("next")}},
		{"from behind", []alternative{way("next"), way("now")}, []alternative{way("now"), way("next")}},
		{"left behind", []alternative{way("x"), way("now")}, []alternative{way("now"), way("next")}},
		{"unknown", []alternative{way("x"), way("y")}, []alternative{way("x"), way("next")}},
		{"unknown, again", []alternative{way("next"), way("x")}, []alternative{way("x"), way("next")}},
		{"done by hand", []alternative{way("next")}, []alternative{way("next")}},
		{"none", nil, []alternative{way("next")}},
		{"empty", []alternative{empty}, []alternative{way("next")}},
		{"other ways", []alternative{socket, way("now"), way("x")}, []alternative{socket, way("now"), way("next")}},
	} {
		if diff := cmp.Diff(c.want, mariadbAccount{ways: c.had}.paired(now, next).ways, cmp.AllowUnexported(alternative{})); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// TestMariaDBOverlapByEd25519 is refused: the driver of this program is one of the clients that could not use it.
func TestMariaDBOverlapByEd25519(t *testing.T) {
	s := stageNamed(t, "mariadb/overlap")
	now := rotation.Credential{User: "ed" + s.password("").Reveal()[:8], Secret: s.password("a")}
	if err := createMariaDB(ed25519Password)(t, s, now.User, now.Secret.Reveal()); err != nil {
		t.Fatal(err)
	}
	r := s.open(t)
	sets(t, secret.ErrPermanent, r, now, s.next(t, r, now, ""))
	verifies(t, r, now)
}

func TestMariaDBCandidateRefused(t *testing.T) {
	for _, name := range []string{"mariadb strict/own", "mariadb strict/admin", "mariadb strict/overlap"} {
		t.Run(name, func(t *testing.T) {
			s := stageNamed(t, name)
			s, now := s.account(t, "u")
			r := s.open(t)
			sets(t, rotation.ErrRefused, r, now, rotation.Credential{User: now.User, Secret: secret.New("nodigits")})
			verifies(t, r, now)
		})
	}
}

func TestMariaDBLockedAccount(t *testing.T) {
	s := stageNamed(t, "mariadb/own")
	s, now := s.account(t, "locked")
	runMariaDB(t, s, "ALTER USER "+mariaUser(now.User)+" ACCOUNT LOCK")
	if err := s.open(t).Verify(t.Context(), now); err == nil || secret.IsTransient(err) {
		t.Errorf("got %v", err)
	}
}

// TestMariaDBSqlMode: how the server takes backslashes and quotes by default does not matter.
func TestMariaDBSqlMode(t *testing.T) {
	s := stageNamed(t, "mariadb strict/admin")
	before := runMariaDB(t, s, "SELECT @@global.sql_mode")
	for _, mode := range []string{"", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "ANSI"} {
		t.Run(mode, func(t *testing.T) {
			runMariaDB(t, s, "SET GLOBAL sql_mode = "+literal(mode), "SET GLOBAL character_set_server = latin1")
			defer runMariaDB(t, s, "SET GLOBAL sql_mode = "+literal(before), "SET GLOBAL character_set_server = utf8mb4")
			for _, name := range []string{"mariadb strict/own", "mariadb strict/admin", "mariadb strict/overlap"} {
				s, now := stageNamed(t, name).account(t, `\' "é`)
				r := s.open(t)
				rotate(t, r, now, s.next(t, r, now, `\'"é`))
			}
		})
	}
}

func TestMariaDBSession(t *testing.T) {
	s := stageNamed(t, "mariadb/admin")
	r := s.open(t).(single)
	err := r.server.(mariadb).session(t.Context(), s.administrator(t), "", func(conn *sql.Conn) error {
		var mode, set string
		err := conn.QueryRowContext(t.Context(), "SELECT @@sql_mode, @@character_set_client").Scan(&mode, &set)
		if mode != "NO_BACKSLASH_ESCAPES" || set != "utf8mb4" {
			t.Errorf("sql_mode is %s, and text is %s", mode, set)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMariaDBLogsHoldNoPassword: not the general log, which has every statement, and not the binary log.
func TestMariaDBLogsHoldNoPassword(t *testing.T) {
	for _, name := range []string{"mariadb/own", "mariadb/own ed25519", "mariadb/admin", "mariadb/overlap", "mariadb/alternate"} {
		s := stageNamed(t, name)
		s, now := s.account(t, "logged")
		r := s.open(t)
		next := s.next(t, r, now, "next")
		rotate(t, r, now, next)
		logs, err := filepath.Glob(filepath.Join(os.Getenv("KEYFERRY_TEST_MARIADB_LOGS"), "*log*"))
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, path := range logs {
			log, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			seen = seen || bytes.Contains(log, []byte(next.User))
			if bytes.Contains(log, []byte(next.Secret.Reveal())) {
				t.Errorf("%s: %s holds a password", name, filepath.Base(path))
			}
		}
		if !seen {
			t.Fatal("no log tells of the change, so they prove nothing")
		}
	}
}
