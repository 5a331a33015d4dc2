package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyferry/keyferry/internal/emulator/eventgrid"
	functionshost "github.com/keyferry/keyferry/internal/emulator/functions"
	"github.com/keyferry/keyferry/internal/emulator/identity"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/emulator/vault"
)

// console is what somebody at a terminal has: the program, and emulators on sockets of this machine for it to call.
// Everything the program prints is kept.
type console struct {
	t        *testing.T
	dir      string
	env      map[string]string
	vault    *vault.Server
	keyVault *keyvault.Vault
	topic    *eventgrid.Topic
	hooked   *journal
	said     *journal
	trouble  atomic.Pointer[keyvault.Fault] // what Key Vault answers to every call that has a token
	secrets  []string
}

// asProgram is the setting by which TestMain makes this test binary the program.
const asProgram = "KEYFERRY_TEST_APP"

func newConsole(t *testing.T) *console {
	t.Helper()
	if _, ok := os.LookupEnv(asProgram); ok {
		t.Fatal("TestMain did not make this process the program")
	}
	root, proof, identityKey, topicKey, hookToken := rand.Text(), rand.Text(), rand.Text(), rand.Text(), rand.Text()
	c := &console{t: t, dir: t.TempDir(), hooked: &journal{}, said: &journal{}, secrets: []string{root, proof, identityKey, topicKey, hookToken}}
	ids, err := identity.New(identity.Options{Header: identityKey})
	if err != nil {
		t.Fatal(err)
	}
	c.vault = vault.New(vault.Options{RootToken: root, Logins: []vault.Login{{
		Type: "approle", Role: "keyferry", Policies: []string{"reader"},
		Verify: func(given string) error {
			if given != proof {
				return errors.New("not the secret id")
			}
			return nil
		},
	}}})
	c.vault.Policy("reader", readerPolicy)
	c.vault.Mount("secret", 2)
	c.vault.Mount("legacy", 1)
	for _, e := range estate {
		c.change(e.mount, e.path, e.fields...)
	}
	c.keyVault = keyvault.New(keyvault.Options{Name: "kv-leak", Token: ids.ValidFor("https://vault.azure.net")})
	c.topic = eventgrid.New(eventgrid.Options{Key: topicKey, Schema: eventgrid.EventGridSchema})
	hook := http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body) // a broken body is an empty one
		c.hooked.add(string(body))
	})
	app, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	keys := c.listen(httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if f := c.trouble.Load(); f != nil && req.Header.Get("Authorization") != "" {
			f.ServeHTTP(w, req)
			return
		}
		c.keyVault.ServeHTTP(w, req)
	})))
	c.env = map[string]string{
		asProgram: app, "TMPDIR": t.TempDir(), "KEYFERRY_CONFIG": "keyferry.yaml", "KEYFERRY_SYNC_SCHEDULE": "0 */15 * * * *",
		"VAULT_ADDR": c.listen(httptest.NewServer(c.vault)).URL, "VAULT_ROLE_ID": "keyferry", "VAULT_SECRET_ID": proof,
		"KEYFERRY_KEYVAULT_URL": keys.URL,
		"IDENTITY_ENDPOINT":     c.listen(httptest.NewServer(ids)).URL + "/msi/token", "IDENTITY_HEADER": identityKey,
		"KEYFERRY_ALERT_TOPIC": c.listen(httptest.NewTLSServer(c.topic)).URL + "/api/events", "KEYFERRY_ALERT_TOPIC_KEY": topicKey,
		"KEYFERRY_ALERT_WEBHOOK": c.listen(httptest.NewServer(hook)).URL + "/alerts/" + hookToken,
	}
	c.write("roots.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: keys.Certificate().Raw})))
	c.write("keyferry.yaml", consoleConfig)
	return c
}

const consoleConfig = `
vault: {auth: {method: approle}}
keyVault: {caCert: roots.pem}
state: {url: memory}
sync:
  rules:
    - {name: app, mount: secret, include: ["app/**"]}
    - {name: legacy, mount: legacy}
rotation:
  targets:
    - {name: session, type: generated, secrets: ["session-*"]}
`

func (c *console) listen(s *httptest.Server) *httptest.Server {
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that an ended program left behind
	c.t.Cleanup(s.Close)
	return s
}

func (c *console) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// change gives a secret in Vault new values.
func (c *console) change(mount, path string, fields ...string) {
	c.t.Helper()
	values := map[string]any{}
	for _, f := range fields {
		v := awkward()
		values[f], c.secrets = v, append(c.secrets, v)
	}
	if err := c.vault.Put(mount, path, values); err != nil {
		c.t.Fatal(err)
	}
}

// environ is the environment of a program, with further settings NAME=value.
func (c *console) environ(more ...string) []string {
	var env []string
	for name, value := range c.env {
		env = append(env, name+"="+value)
	}
	return append(env, more...)
}

// run runs the program to its end.
func (c *console) run(code int, more []string, args ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.environ(more...), &out, &out
	err := cmd.Run()
	c.said.add(out.String())
	if got := cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("%v ended with %d, not %d: %v\n%s", args, got, code, err, out.String())
	}
}

// commandsKeepSilent runs the program as people and the Functions host do, well and badly configured.
func commandsKeepSilent(t *testing.T) {
	c := newConsole(t)
	c.run(0, nil, "rotators")
	c.run(4, nil, "plan")
	c.run(4, nil, "plan", "--output", "json")
	c.run(0, nil, "sync", "--output", "json")
	c.run(0, nil, "sync", "--full", "--rule", "app", "--prefix", "secret/app/")
	c.change("secret", "app/db", "password")
	c.run(0, nil, "sync")
	c.failing()
	c.misconfigured()
	c.served()
	c.run(0, nil, "dev", "--exit")
	c.run(0, []string{"VAULT_TOKEN=" + c.secrets[0]}, "dev", "--exit", "--vault", c.env["VAULT_ADDR"], "--mount", "secret")

	values := slices.Concat(c.secrets, stored(c.keyVault), []string{"sk_test_"}) // the one value dev makes whose beginning is known
	out := slices.Concat(lines("what the program said", c.said.lines()), lines("the webhook's body", c.hooked.lines()), labels(c.keyVault))
	for _, e := range c.topic.Events() {
		out = append(out, leaving{"an alert on the topic", string(e.Raw)})
	}
	if len(c.topic.Events()) == 0 || len(c.hooked.lines()) == 0 {
		t.Error("nobody was told of anything, so nothing was looked at")
	}
	for _, l := range leaks(values, out) {
		t.Errorf("a value got out: %s", l)
	}
}

// failing runs commands that fail at work.
func (c *console) failing() {
	c.change("secret", "app/db", "password")
	c.run(1, []string{"VAULT_SECRET_ID=" + c.secret()}, "sync")
	c.vault.Seal(true)
	c.run(1, nil, "plan")
	c.vault.Seal(false)
	c.vault.Policy("reader", map[string][]string{"secret/metadata/*": {"read", "list"}, "legacy/*": {"read", "list"}})
	c.run(3, nil, "sync")
	c.run(3, nil, "sync", "--output", "json")
	c.vault.Policy("reader", readerPolicy)
	for _, f := range []keyvault.Fault{keyvault.TokenExpired(), keyvault.ForbiddenByRBAC("setSecret"), keyvault.Throttled(time.Second)} {
		c.trouble.Store(&f)
		c.run(1, nil, "sync")
		c.trouble.Store(nil)
	}
	c.run(1, []string{"IDENTITY_HEADER=" + c.secret()}, "sync")
}

// misconfigured puts secrets where none belong.
func (c *console) misconfigured() {
	s := c.secret()
	for _, setting := range []string{
		"KEYFERRY_SYNC_PAUSED=" + s,
		"VAULT_ADDR=https://keyferry:" + s + "@vault.example.com",
		"VAULT_ADDR=http://" + s,
		"VAULT_ADDR=" + s,
		"KEYFERRY_KEYVAULT_URL=https://kv1.vault.azure.net/?sig=" + s,
		"KEYFERRY_KEYVAULT_URL=https://" + s + ":" + s + "@kv1.vault.azure.net",
		"KEYFERRY_STATE_URL=https://account.blob.core.windows.net/keyferry?sig=" + s,
		"KEYFERRY_ALERT_TOPIC=https://topic.example.com/api/events?key=" + s,
		"KEYFERRY_ALERT_WEBHOOK=ftp://hooks.example.com/" + s,
		"KEYFERRY_CONFIG=https://account.blob.core.windows.net/conf/keyferry.yaml?sig=" + s,
	} {
		c.run(2, []string{setting}, "sync")
	}
	c.run(2, []string{"KEYFERRY_STATE_URL=https://account.blob.core.windows.net/keyferry", "KEYFERRY_STATE_CONNECTION=AccountName=a;AccountKey=" + s}, "sync")
	for i, text := range []string{
		"vault: {token: " + s + "}", "vault:\n  address: [" + s + "]", "password: " + s, "vault: {address: " + s, s, "sync: {rules: [{name: a, mount: b, token: " + s + "}]}",
	} {
		name := fmt.Sprintf("bad-%d.yaml", i)
		c.write(name, text)
		c.run(2, nil, "plan", "--config", name)
	}
}

// secret makes a value that is to be looked for.
func (c *console) secret() string {
	s := rand.Text()
	c.secrets = append(c.secrets, s)
	return s
}

// served runs the program under the Functions host through every trigger.
func (c *console) served() {
	c.t.Helper()
	manual := generated()
	manual["rotation-type"] = "manual"
	if err := c.keyVault.Seed(aged("session-key", generated()), aged("session-manual", manual)); err != nil {
		c.t.Fatal(err)
	}
	key := c.secret()
	host, err := functionshost.New(functionshost.Options{
		App: os.DirFS(".."), Executable: os.Args[0], Dir: c.dir, Env: c.environ(), Keys: functionshost.Keys{Function: key},
		Log: func(stream, line string) { c.said.add(stream + ": " + line) },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	defer host.Stop()
	if err := host.Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	told := func(what string, done functionshost.Result, ok bool) {
		c.said.add(string(done.Body))
		if (done.Err == nil) != ok {
			c.t.Errorf("%s: %v", what, done.Err)
		}
	}
	ctx := c.t.Context()
	for _, e := range c.keyVault.Tick() {
		told("event", host.Deliver(ctx, "SecretNearExpiry", e.EventGrid(keyvault.Spelling{})), true)
		told("event, as CloudEvent", host.Deliver(ctx, "SecretExpired", e.CloudEvent(keyvault.Spelling{})), true)
	}
	if s, _ := c.keyVault.Secret("session-key"); len(s.Versions) != 2 {
		c.t.Errorf("session-key has %d versions, not 2", len(s.Versions))
	}
	told("unreadable event", host.Deliver(ctx, "SecretNearExpiry", []byte(`{"id":"1"}`)), true)
	told("timer", host.Tick(ctx, "SyncFromVault"), true)
	for _, body := range []string{`{}`, `{"full":true}`, `{"rule":"app","prefix":"secret/app/prod"}`, `{"rule":"none"}`, `{`} {
		req := httptest.NewRequest(http.MethodPost, "/api/ForceSync", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("x-functions-key", key)
		answer, err := io.ReadAll(record(host, req).Body)
		if err != nil {
			c.t.Error(err)
		}
		c.said.add(string(answer))
	}
	c.vault.Seal(true)
	told("timer, Vault sealed", host.Tick(ctx, "SyncFromVault"), false)
	c.vault.Seal(false)
}
