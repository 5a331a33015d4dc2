package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/config"
	"github.com/keyferry/keyferry/internal/emulator/eventgrid"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
	"github.com/keyferry/keyferry/vaultsync"
)

const strifeConfig = `
vault: {address: "https://vault.example.com:8200", auth: {method: token}}
keyVault: {url: "https://kv1.vault.azure.net"}
state: {url: "https://stkeyferry.blob.core.windows.net/keyferry"}
alerts: {topic: "https://alerts.westeurope-1.eventgrid.azure.net/api/events"}
sync:
  rules:
    - {name: app, mount: secret, rotation: {type: account}, SYNC}
rotation:
  targets:
    - {name: account, type: account, secrets: ["app-*"], outage: accepted, TARGET}
`

// strife is a copy of a secret in Vault that a sync and a rotation work on at once, each a process of its own.
type strife struct {
	t        *testing.T
	config   config.Config
	vault    *vault.Server
	keyVault *keyvault.Vault
	topic    *eventgrid.Topic
	store    *state.Memory
	target   *account
}

// quarrel is what they disagree about.
type quarrel struct {
	name      string
	writeBack bool
	wrote     string // what somebody wrote to Vault after the copy; empty: nothing

	published, both, told, superseded int // how the runs ended, for people
}

func quarrels() []*quarrel {
	return []*quarrel{
		{name: "nothing new in Vault"}, {name: "same value in Vault", wrote: "one"}, {name: "other value in Vault", wrote: "two"},
		{name: "nothing new in Vault, write-back", writeBack: true}, {name: "same value in Vault, write-back", writeBack: true, wrote: "one"},
		{name: "other value in Vault, write-back", writeBack: true, wrote: "two"},
	}
}

const strifeName = "app-db"

// begin copies the secret and then lets Vault move on.
func (q *quarrel) begin(t *testing.T) *strife {
	t.Helper()
	words := []string{"SYNC", "writeBack: false", "TARGET", "rotateBeforeCutover: accept"}
	if q.writeBack {
		words = []string{"SYNC", "writeBack: true", "TARGET", "writeBack: true"}
	}
	conf, err := config.Load([]byte(strings.NewReplacer(words...).Replace(strifeConfig)), func(name string) (string, bool) {
		v, ok := map[string]string{"VAULT_TOKEN": "made-up", "KEYFERRY_ALERT_TOPIC_KEY": "made-up"}[name]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &strife{
		t: t, config: conf, store: state.NewMemory(time.Now), target: &account{valid: map[string]bool{"one": true, "two": true}},
		vault:    vault.New(vault.Options{RootToken: "made-up"}),
		keyVault: keyvault.New(keyvault.Options{Name: "kv1", IDHost: keyVaultHost}),
		topic:    eventgrid.New(eventgrid.Options{Key: "made-up", Schema: eventgrid.EventGridSchema}),
	}
	s.vault.Mount("secret", 2)
	s.put("one")
	if _, err := s.open(nil, 0).sync.Sync(t.Context(), vaultsync.Scope{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Hour)
	if q.wrote != "" {
		s.put(q.wrote)
	}
	return s
}

func (s *strife) put(password string) {
	if err := s.vault.Put("secret", "app/db", map[string]any{"password": password}); err != nil {
		s.t.Fatal(err)
	}
}

// open composes a process. Its calls come when the order says so, or at once without one.
func (s *strife) open(o *order, who int) *keyVault {
	s.t.Helper()
	azure := &road{to: map[string]http.Handler{keyVaultHost: s.keyVault, topicHost: s.topic}}
	hashi := &road{to: map[string]http.Handler{vaultHostPort: s.vault}}
	var kept store = s.store
	if o != nil {
		kept = taking{kept, o, who}
	}
	built, err := Process{Kinds: []rotation.Kind{s.target.kind()}}.compose(s.config, outside{
		azure: &http.Client{Transport: turnstile{o, who, azure}}, vault: turnstile{o, who, hashi}, credential: bearer("made-up"), store: kept,
	}, slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return built.vaults[0]
}

// TestSyncAndRotationAtOnce plays a sync and a rotation of one secret in every order of their external calls in which one
// interrupts the other a few times: as often as KEYFERRY_TEST_INTERRUPTIONS says, -1 for every order there is.
func TestSyncAndRotationAtOnce(t *testing.T) {
	most := 2
	if text := os.Getenv("KEYFERRY_TEST_INTERRUPTIONS"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range quarrels() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			runs, calls := 0, 0
			var prefix []int
			for more := true; more && !t.Failed(); runs++ {
				o := &order{most: most}
				synctest.Test(t, func(t *testing.T) { q.play(t, o, prefix) })
				calls = max(calls, len(o.trace))
				prefix, more = o.next()
			}
			t.Logf("%d orders of up to %d external calls, all those with at most %d interruptions; %d published, %d told a person why not, %d both, one after the other, %d superseded",
				runs, calls, most, q.published, q.told, q.both, q.superseded)
		})
	}
}

// play is one run, and what comes after it until nothing is left to do.
func (q *quarrel) play(t *testing.T, o *order, prefix []int) {
	defer func() {
		if t.Failed() {
			t.Logf("in this order:\n%s", strings.Join(o.trace, "\n"))
		}
	}()
	s := q.begin(t)
	rotates, syncs := s.open(o, 0), s.open(o, 1)
	seeded, _ := s.keyVault.Secret(strifeName)
	asked := rotation.Request{Name: strifeName, Version: seeded.Current, Cause: rotation.CauseNearExpiry, Force: true}
	s.target.order = o
	o.run(prefix, func() {
		_, err := rotates.rotation.Rotate(t.Context(), asked)
		s.passes("rotation", err)
	}, func() {
		_, err := syncs.sync.Sync(t.Context(), vaultsync.Scope{})
		s.passes("sync", err)
	})
	s.target.order = nil

	later := s.open(nil, 0)
	for range 4 {
		time.Sleep(20 * time.Minute)
		_, err := later.rotation.Rotate(t.Context(), asked)
		s.passes("redelivery", err)
		_, err = later.rotation.Sweep(t.Context())
		s.passes("sweep", err)
		_, err = later.sync.Sync(t.Context(), vaultsync.Scope{})
		s.passes("next sync", err)
	}
	q.judge(s)
}

// passes fails for an error that trying again does not help against.
func (s *strife) passes(what string, err error) {
	s.t.Helper()
	if err != nil && !secret.IsTransient(err) && !errors.Is(err, secret.ErrLeaseHeld) && !errors.Is(err, context.Canceled) {
		s.t.Errorf("%s: %v", what, err)
	}
}

// judge: what readers have works; what was published stays, or a person was told why not; and in the end both stores say
// the same where they are to.
func (q *quarrel) judge(s *strife) {
	s.t.Helper()
	now, _ := s.keyVault.Secret(strifeName)
	current := now.CurrentVersion()
	published := slices.DeleteFunc(slices.Clone(now.Versions), func(v keyvault.Version) bool { return v.Value == "one" || v.Value == "two" })
	told := slices.ContainsFunc(s.topic.Events(), func(e eventgrid.Event) bool {
		return slices.Contains([]string{conflict, "Keyferry.Rotation.Conflict", manual, failed}, e.Type)
	})
	if !s.target.accepts(current.Value) {
		s.t.Errorf("readers have a password that does not work")
	}
	if len(published) > 1 {
		s.t.Errorf("%d versions were published", len(published))
	}
	stays := len(published) == 1 && published[0].ID == current.ID
	if len(published) == 1 && !stays {
		s.t.Errorf("what was published was replaced (a person was told: %t)", told)
	}
	switch {
	case stays && told:
		q.both++
	case stays:
		q.published++
	case told:
		q.told++
	default:
		q.superseded++ // sync was first, and the event was about the version before
	}
	if !q.writeBack || told && !stays {
		return
	}
	if s.inVault() != current.Value {
		s.t.Error("the stores disagree")
	}
	if current.Tags[secret.TagAuthority] != secret.AuthorityVault {
		s.t.Errorf("the authority is %s", current.Tags[secret.TagAuthority])
	}
}

// inVault is the password that Vault has.
func (s *strife) inVault() string {
	s.t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/v1/secret/data/app/db", nil)
	req.Header.Set("X-Vault-Token", "made-up")
	var answer struct {
		Data struct{ Data struct{ Password string } }
	}
	if err := json.NewDecoder(record(s.vault, req).Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer.Data.Data.Password
}
