package cli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	functionshost "github.com/keyferry/keyferry/internal/emulator/functions"
	"github.com/keyferry/keyferry/internal/emulator/identity"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/secret"
)

// Event Grid promises to bring an event at least once, and the platform to run as many processes as it likes.
const (
	duplicates = 100
	processes  = 4
)

const duplicatesConfig = `
keyVault: {url: "%s", caCert: "%s"}
state: {url: "https://devstoreaccount1.blob.core.windows.net/t-%s"}
rotation:
  targets:
    - {name: database, type: database-password, secrets: ["database-*"], format: url, outage: accepted,
       params: {engine: postgres, host: "%s", port: %s, database: postgres, tls: "off"}}
`

// TestDuplicates: copies of one event, near-expiry and expired mixed, come in parallel to several processes that share
// nothing but a store of leases and records. There is one new version and one change at the server, which its own log
// counts.
func TestDuplicates(t *testing.T) {
	server, store, serverLog := needs(t, "KEYFERRY_TEST_POSTGRES"), needs(t, "KEYFERRY_TEST_AZURITE"), needs(t, "KEYFERRY_TEST_POSTGRES_LOG")
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal("KEYFERRY_TEST_POSTGRES is no URL")
	}
	name, old := "database-"+strings.ToLower(rand.Text()), rand.Text()
	query(t, server, fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD '%s'", name, old))
	t.Cleanup(func() { query(t, server, fmt.Sprintf("DROP ROLE %q", name)) })

	identityKey := rand.Text()
	ids, err := identity.New(identity.Options{Header: identityKey})
	if err != nil {
		t.Fatal(err)
	}
	identities := httptest.NewServer(ids)
	t.Cleanup(identities.Close)
	vault := keyvault.New(keyvault.Options{Name: "kv-duplicates", Token: ids.ValidFor("https://vault.azure.net"), CreateLimit: 300, TransactionLimit: 4000})
	front := httptest.NewTLSServer(vault)
	t.Cleanup(front.Close)
	before := login{at, name, old}
	if err := vault.Seed(keyvault.Secret{Name: name, Versions: []keyvault.Version{{
		Value: before.value(), ContentType: "text/plain", Created: time.Now().Add(-90 * 24 * time.Hour), Expires: time.Now().Add(-time.Hour),
		Tags: map[string]string{secret.TagRotationType: "database-password", "team": "payments"},
	}}}); err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	roots, config := filepath.Join(dir, "roots.pem"), filepath.Join(dir, "keyferry.yaml")
	files := map[string]string{
		roots:  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})),
		config: fmt.Sprintf(duplicatesConfig, front.URL, roots, strings.ToLower(rand.Text()), at.Hostname(), at.Port()),
	}
	for file, text := range files {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hosts := make([]*functionshost.Host, processes)
	for i := range hosts {
		hosts[i] = startProcess(t, dir, []string{
			"KEYFERRY_CONFIG=" + config, "KEYFERRY_STATE_CONNECTION=" + store, "KEYFERRY_SYNC_SCHEDULE=0 */15 * * * *",
			"IDENTITY_ENDPOINT=" + identities.URL + "/msi/token", "IDENTITY_HEADER=" + identityKey,
		})
	}

	work := copiesOf(vault.Tick(), hosts)
	if len(work) != duplicates {
		t.Fatalf("%d deliveries, not %d", len(work), duplicates)
	}
	deliveries, refused, rounds, rotated := 0, 0, 0, 0
	for len(work) > 0 {
		if rounds++; rounds > duplicates { // who is refused is so because another is not
			t.Fatalf("%d copies are still refused after %d rounds", len(work), rounds-1)
		}
		deliveries += len(work)
		again, done := bring(t, work)
		refused, rotated, work = refused+len(again), rotated+done, again
	}
	t.Logf("%d copies, %d processes: %d deliveries in %d rounds, %d refused because another process was at work, %d rotated",
		duplicates, processes, deliveries, rounds, refused, rotated)
	if refused == 0 {
		t.Error("no delivery met another one: nothing was parallel")
	}

	if rotated != 1 {
		t.Errorf("%d deliveries say that they rotated, not 1", rotated)
	}
	now, _ := vault.Secret(name)
	if len(now.Versions) != 2 || now.CurrentVersion().Tags["team"] != "payments" {
		t.Errorf("%d versions, not 2, with tags %v", len(now.Versions), now.CurrentVersion().Tags)
	}
	if staging, _ := vault.Secret(secret.PendingName(name)); len(staging.Versions) != 1 || !staging.CurrentVersion().Disabled {
		t.Errorf("the staging secret has %d versions, not 1, or an open one", len(staging.Versions))
	}
	if n := changes(t, serverLog, name); n != 1 {
		t.Errorf("the server changed the password %d times, not once", n)
	}
	if _, err := pgconn.Connect(t.Context(), now.CurrentVersion().Value); err != nil {
		t.Error("the published password does not log in")
	}
	if _, err := pgconn.Connect(t.Context(), before.value()); err == nil {
		t.Error("the old password still logs in")
	}
}

// needs returns a setting of the servers that make test starts. Without them the test skips, but not where nothing may
// be skipped.
func needs(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	switch {
	case value != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not set", name)
	default:
		t.Skipf("%s is not set", name)
	}
	return value
}

// login is an account of PostgreSQL as a reader has it.
type login struct {
	server         *url.URL
	user, password string
}

func (l login) value() string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword(l.user, l.password), Host: l.server.Host, Path: l.server.Path}).String()
}

func query(t *testing.T, server, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it cleans up too
	conn, err := pgconn.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// changes counts in the server's log how often a role was altered.
func changes(t *testing.T, file, role string) int {
	t.Helper()
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(log, fmt.Appendf(nil, "ALTER ROLE %q", role))
}

// startProcess starts a Functions host with a keyferry serve of its own.
func startProcess(t *testing.T, dir string, env []string) *functionshost.Host {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	app, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	h, err := functionshost.New(functionshost.Options{
		App: os.DirFS(app), Executable: program, Dir: dir, Env: append(env, "KEYFERRY_TEST_APP="+app),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// delivery is a copy of an event on its way to a process.
type delivery struct {
	host     *functionshost.Host
	function string
	event    []byte
}

// copiesOf hands copies of the events out to the processes, so that each gets both kinds.
func copiesOf(events []keyvault.Event, hosts []*functionshost.Host) (all []delivery) {
	for i := range duplicates / len(events) {
		for _, e := range events {
			function := map[keyvault.EventType]string{keyvault.SecretNearExpiry: "SecretNearExpiry", keyvault.SecretExpired: "SecretExpired"}[e.Type]
			all = append(all, delivery{hosts[i%len(hosts)], function, e.EventGrid(keyvault.Spelling{})})
		}
	}
	return all
}

// bring delivers all at once. What is not taken is to be brought again, as Event Grid does.
func bring(t *testing.T, all []delivery) (again []delivery, rotated int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, d := range all {
		wg.Go(func() {
			<-begin
			done := d.host.Deliver(t.Context(), d.function, d.event)
			mu.Lock()
			defer mu.Unlock()
			if done.Err != nil {
				again = append(again, d)
			}
			if strings.Contains(string(done.Body), ": rotated: ") {
				rotated++
			}
		})
	}
	close(begin)
	wg.Wait()
	return again, rotated
}
