package rotators

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// A stage is a real server with a way to rotate an account of it.
type stage struct {
	name   string
	server string // the variable with its address and administrator
	kind   rotation.Kind
	params map[string]any
	own    bool // the account changes itself
	// create makes an account, in place of one of that name. The error says that there is no such name.
	create func(t *testing.T, s stage, user, password string) error
	// alternate: the rotator moves to the other user of two
	alternate bool
	// suffix is what the password rules of the server ask for
	suffix string
	// forbidden are characters that no user name of the server has
	forbidden string
}

// fewIterations keep the race detector from taking its time with each log-in to PostgreSQL.
const fewIterations = 256

func stages() []stage {
	database, rabbit := databasePasswordKind(rand.Reader), rabbitmqUserKind(rand.Reader)
	pg := map[string]any{"engine": "postgres", "database": "postgres", "iterations": fewIterations}
	maria := map[string]any{"engine": "mariadb"}
	mariaTwo := map[string]any{"engine": "mariadb", "overlap": true}
	const pgAt, mariaAt, strictAt = "KEYFERRY_TEST_POSTGRES", "KEYFERRY_TEST_MARIADB", "KEYFERRY_TEST_MARIADB_STRICT"
	const redisAt, plainAt, rabbitAt = "KEYFERRY_TEST_REDIS", "KEYFERRY_TEST_REDIS_PLAIN", "KEYFERRY_TEST_RABBITMQ"
	return []stage{
		{name: "postgres/own", server: pgAt, kind: database, params: pg, own: true, create: createPostgres},
		{name: "postgres/admin", server: pgAt, kind: database, params: pg, create: createPostgres},
		{name: "postgres/alternate", server: pgAt, kind: database, params: pg, create: createPostgres, alternate: true},
		{name: "mariadb/own", server: mariaAt, kind: database, params: maria, own: true, create: createMariaDB("mysql_native_password")},
		{name: "mariadb/own ed25519", server: mariaAt, kind: database, params: maria, own: true, create: createMariaDB("ed25519")},
		{name: "mariadb/admin", server: mariaAt, kind: database, params: maria, create: createMariaDB("mysql_native_password")},
		{name: "mariadb/admin ed25519", server: mariaAt, kind: database, params: maria, create: createMariaDB("ed25519")},
		{name: "mariadb/overlap", server: mariaAt, kind: database, params: mariaTwo, create: createMariaDB("mysql_native_password")},
		{name: "mariadb/overlap own", server: mariaAt, kind: database, params: mariaTwo, own: true, create: createMariaDB("mysql_native_password")},
		{name: "mariadb/alternate", server: mariaAt, kind: database, params: maria, create: createMariaDB("mysql_native_password"), alternate: true},
		{name: "mariadb strict/own", server: strictAt, kind: database, params: maria, own: true, create: createMariaDB("mysql_native_password"), suffix: "Aa1-"},
		{name: "mariadb strict/admin", server: strictAt, kind: database, params: maria, create: createMariaDB("mysql_native_password"), suffix: "Aa1-"},
		{name: "mariadb strict/overlap", server: strictAt, kind: database, params: mariaTwo, create: createMariaDB("mysql_native_password"), suffix: "Aa1-"},
		{name: "mysql on mariadb/admin", server: mariaAt, kind: database, params: map[string]any{"engine": "mysql"}, create: createMariaDB("mysql_native_password")},
		{name: "redis/own", server: redisAt, kind: redisACLKind(), own: true, create: createRedis, forbidden: " "},
		{name: "redis/admin", server: redisAt, kind: redisACLKind(), create: createRedis, forbidden: " "},
		{name: "redis plain/admin", server: plainAt, kind: redisACLKind(), create: createRedis, forbidden: " "},
		{name: "rabbitmq/own", server: rabbitAt, kind: rabbit, own: true, create: createRabbit, forbidden: ":"},
		{name: "rabbitmq/admin", server: rabbitAt, kind: rabbit, create: createRabbit, forbidden: ":"},
		{name: "rabbitmq/alternate", server: rabbitAt, kind: rabbit, create: createRabbit, forbidden: ":", alternate: true},
	}
}

// stageNamed returns the stage of that name, or skips.
func stageNamed(t *testing.T, name string) stage {
	t.Helper()
	all := stages()
	at := slices.IndexFunc(all, func(s stage) bool { return s.name == name })
	if at < 0 {
		t.Fatalf("no stage %q", name)
	}
	all[at].address(t)
	return all[at]
}

// address is where the server is; a test whose server is missing skips. That one is missing where all are wanted, the
// program that starts them says.
func (s stage) address(t *testing.T) *url.URL {
	t.Helper()
	text := os.Getenv(s.server)
	if text == "" {
		t.Skipf("%s is not set", s.server)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatalf("%s is no URL", s.server)
	}
	return u
}

func (s stage) administrator(t *testing.T) rotation.Credential {
	u := s.address(t)
	password, _ := u.User.Password()
	return rotation.Credential{User: u.User.Username(), Secret: secret.New(password)}
}

// with is the stage with other parameters on top.
func (s stage) with(params map[string]any) stage {
	both := map[string]any{}
	maps.Copy(both, s.params)
	maps.Copy(both, params)
	s.params = both
	return s
}

// open makes the rotator. It reaches the server by dial.
func (s stage) open(t *testing.T, change ...func(*rotation.Deps)) rotation.Setter {
	t.Helper()
	deps := rotation.Deps{Dial: new(net.Dialer).DialContext}
	if !s.own {
		admin := s.administrator(t)
		deps.Admin = &admin
	}
	for _, c := range change {
		c(&deps)
	}
	transport := &http.Transport{DialContext: deps.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	deps.HTTP = &http.Client{Transport: transport}
	r, err := s.kind.Open(deps, s.opened(t))
	if err != nil {
		t.Fatal(err)
	}
	return r.(rotation.Setter)
}

// account makes an account, or two to alternate between, and returns it with the stage for it.
func (s stage) account(t *testing.T, user string) (stage, rotation.Credential) {
	t.Helper()
	user += rand.Text()[:8]
	now := rotation.Credential{User: user, Secret: s.password("first")}
	if err := s.create(t, s, user, now.Secret.Reveal()); err != nil {
		t.Fatal(err)
	}
	if s.alternate {
		if err := s.create(t, s, user+"~b", s.password("other").Reveal()); err != nil {
			t.Fatal(err)
		}
		s = s.with(map[string]any{"users": []any{user, user + "~b"}})
	}
	return s, now
}

// next is what would be set after now.
func (s stage) next(t *testing.T, r rotation.Setter, now rotation.Credential, password string) rotation.Credential {
	t.Helper()
	next, err := r.(rotation.Chooser).Choose(now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		next.Secret = s.password(password)
	}
	return next
}

// password is one that nobody else has.
func (s stage) password(text string) secret.Value { return secret.New(text + rand.Text() + s.suffix) }

// try calls a rotator and looks for credentials in the error.
func try(t *testing.T, want error, call func(context.Context) error, known ...rotation.Credential) {
	t.Helper()
	err := call(t.Context())
	switch {
	case want == nil && err != nil, want != nil && !errors.Is(err, want):
		t.Fatalf("got %v, want %v", err, want)
	case want != nil && !errors.Is(want, rotation.ErrDenied) && errors.Is(err, rotation.ErrDenied):
		t.Fatalf("%v says that it is certain", err)
	}
	tellsNothing(t, err, known...)
}

func tellsNothing(t *testing.T, err error, known ...rotation.Credential) {
	t.Helper()
	if err == nil {
		return
	}
	for _, c := range known {
		plain := c.Secret.Reveal()
		for _, form := range []string{plain, url.QueryEscape(plain), fmt.Sprintf("%q", plain)} {
			if plain != "" && strings.Contains(err.Error(), form) {
				t.Fatalf("an error holds a password: %v", err)
			}
		}
	}
}

func verifies(t *testing.T, r rotation.Rotator, c rotation.Credential) {
	t.Helper()
	try(t, nil, func(ctx context.Context) error { return r.Verify(ctx, c) }, c)
}

func denied(t *testing.T, r rotation.Rotator, c rotation.Credential) {
	t.Helper()
	try(t, rotation.ErrDenied, func(ctx context.Context) error { return r.Verify(ctx, c) }, c)
}

func sets(t *testing.T, want error, r rotation.Setter, now, next rotation.Credential) {
	t.Helper()
	try(t, want, func(ctx context.Context) error { return r.Set(ctx, now, next) }, now, next)
}

func retires(t *testing.T, want error, r rotation.Setter, old, now rotation.Credential) {
	t.Helper()
	try(t, want, func(ctx context.Context) error { return r.(rotation.Retirer).Retire(ctx, old, now) }, old, now)
}

// runPostgres executes statements as the administrator.
func runPostgres(t *testing.T, s stage, script string) {
	t.Helper()
	if err := execPostgres(t, s, script); err != nil {
		t.Fatal(err)
	}
}

func execPostgres(t *testing.T, s stage, script string) error {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), s.address(t).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), script).ReadAll()
	return err
}

func createPostgres(t *testing.T, s stage, user, password string) error {
	t.Helper()
	verifier, err := scramVerifier(secret.New(password), fewIterations, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	role := quoted(user, `"`, `"`)
	return execPostgres(t, s, "DROP ROLE IF EXISTS "+role+"; CREATE ROLE "+role+" LOGIN PASSWORD "+literal(verifier))
}

// runMariaDB executes statements as the administrator and returns the first column of the last one.
func runMariaDB(t *testing.T, s stage, statements ...string) string {
	t.Helper()
	last, err := execMariaDB(t, s, statements...)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func execMariaDB(t *testing.T, s stage, statements ...string) (string, error) {
	t.Helper()
	u := s.address(t)
	config := driver.NewConfig()
	config.User, config.Net, config.Addr = u.User.Username(), "tcp", u.Host
	config.Passwd, _ = u.User.Password()
	config.Params = map[string]string{"sql_mode": "'NO_BACKSLASH_ESCAPES'"}
	connector, err := driver.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	var last sql.NullString
	for _, statement := range statements {
		rows, err := db.QueryContext(t.Context(), statement)
		if err != nil {
			return "", fmt.Errorf("%s: %w", statement, err)
		}
		if rows.Next() {
			err = rows.Scan(&last)
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return "", err
		}
	}
	return last.String, nil
}

// mariaUser is an account as SQL names it.
func mariaUser(user string) string { return literal(user) + "@'%'" }

func createMariaDB(plugin string) func(*testing.T, stage, string, string) error {
	return func(t *testing.T, s stage, user, password string) error {
		t.Helper()
		if strings.ContainsFunc(user, func(r rune) bool { return r > 0xffff }) {
			return errors.New("names are of Unicode's first plane")
		}
		statements := []string{"CREATE OR REPLACE USER " + mariaUser(user) + " IDENTIFIED VIA " + plugin + " USING PASSWORD(" + literal(password) + ")"}
		if s.own && s.params["overlap"] == true {
			statements = append(statements, "GRANT CREATE USER ON *.* TO "+mariaUser(user))
		}
		_, err := execMariaDB(t, s, statements...)
		return err
	}
}

// runRedis executes a command as the administrator.
func runRedis(t *testing.T, s stage, command ...string) reply {
	t.Helper()
	answer, err := execRedis(t, s, command...)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func execRedis(t *testing.T, s stage, command ...string) (answer reply, err error) {
	t.Helper()
	u := s.address(t)
	port, _ := strconv.Atoi(u.Port())
	r := redis{endpoint: endpoint{host: u.Hostname(), port: port, dial: new(net.Dialer).DialContext}}
	err = r.session(t.Context(), s.administrator(t), func(conn *redisConn) (err error) {
		answer, err = r.do(t.Context(), conn, command...)
		return err
	})
	return answer, err
}

func createRedis(t *testing.T, s stage, user, password string) error {
	t.Helper()
	rules := []string{"reset", "on", ">" + password, "~*", "-@all", "+get"}
	if s.own {
		rules = append(rules, "+acl", "+config")
	}
	_, err := execRedis(t, s, append([]string{"ACL", "SETUSER", user}, rules...)...)
	return err
}

// runRabbit sends a request as the administrator and returns the body.
func runRabbit(t *testing.T, s stage, method, path string, body map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	u := s.address(t)
	request, err := http.NewRequestWithContext(t.Context(), method, u.String()+"/api/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	_ = json.NewDecoder(response.Body).Decode(&answer)
	if response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	return answer
}

func createRabbit(t *testing.T, s stage, user, password string) error {
	t.Helper()
	if strings.Contains(user, ":") {
		return errors.New("nobody logs in by HTTP with a colon in the name")
	}
	tags := "custom"
	if s.own {
		tags = "administrator,custom"
	}
	runRabbit(t, s, http.MethodPut, "users/"+url.PathEscape(user), map[string]any{"password": password, "tags": tags})
	return nil
}
