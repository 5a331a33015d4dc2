package cli

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/keyferry/keyferry/config"
	"github.com/keyferry/keyferry/handler"
	"github.com/keyferry/keyferry/internal/emulator/eventgrid"
	functionshost "github.com/keyferry/keyferry/internal/emulator/functions"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

const (
	vaultHostPort = "vault.example.com:8200"
	keyVaultHost  = "kv1.vault.azure.net"
	topicHost     = "alerts.westeurope-1.eventgrid.azure.net"
	hookHost      = "hooks.example.com"
	serveHost     = "handler.local"
)

const rigConfig = `
vault: {address: "https://vault.example.com:8200", auth: {method: approle}}
keyVault: {url: "https://kv1.vault.azure.net"}
state: {url: "https://stkeyferry.blob.core.windows.net/keyferry"}
alerts: {topic: "https://alerts.westeurope-1.eventgrid.azure.net/api/events"}
sync:
  rules:
    - {name: app, mount: secret, include: ["app/**"]}
    - {name: legacy, mount: legacy}
rotation:
  targets:
    - {name: session, type: generated, secrets: ["session-*"], params: {length: 48}}
    - {name: talkative, type: talkative, secrets: ["talkative-*"]}
`

// rig is the whole of keyferry serve as main composes it, between an emulated Functions host, Vault, Key Vault, Event
// Grid topic and webhook. There are no sockets, so in a synctest bubble it runs in time of its own. The Key Vault has
// its real address, as the check for events of other vaults needs.
type rig struct {
	t         *testing.T
	vault     *vault.Server
	keyVault  *keyvault.Vault
	topic     *eventgrid.Topic
	host      *functionshost.Host
	handler   http.Handler
	functions *functions
	store     *state.Memory
	settings  map[string]string
	hashi     *road // to Vault
	azure     *road // to Key Vault and those who get alerts
	held      known
	shut      atomic.Bool // Vault refuses every log-in
	logged    *journal
	answers   []string // bodies the outside got
	hooked    *journal // bodies the webhook got
	want      copies
	before    []keyvault.Secret // what may not change
	seeded    map[string]bool   // versions that are not Keyferry's
	told      int               // events of the topic that were listened to
	read      int               // lines of the log, likewise
}

// known is every secret the rig makes up: none may be seen anywhere.
type known struct {
	roleProof, bearer, topicKey, hookToken, functionKey string
	values                                              []string // fields in Vault, versions in Key Vault
}

// awkward is a value that looks different in every encoding.
func awkward() string { return `kf"` + rand.Text() + "\\<&>%+/= é\n" + rand.Text() }

// start brings everything up with the seeds of Vault and an empty Key Vault. Call it in a bubble.
func start(t *testing.T) *rig {
	t.Helper()
	k := known{roleProof: rand.Text(), bearer: rand.Text(), topicKey: rand.Text(), hookToken: rand.Text(), functionKey: rand.Text()}
	r := &rig{t: t, held: k, logged: &journal{}, hooked: &journal{}, store: state.NewMemory(time.Now)}
	r.keyVault = keyvault.New(keyvault.Options{
		Name: "kv1", IDHost: keyVaultHost, CreateLimit: 300, TransactionLimit: 4000,
		Token: func(token string) bool { return token == k.bearer },
	})
	r.vault = vault.New(vault.Options{RootToken: rand.Text(), Logins: []vault.Login{{
		Type: "approle", Role: "keyferry", Policies: []string{"reader"}, TTL: 24 * time.Hour,
		Verify: func(given string) error {
			if given != k.roleProof || r.shut.Load() {
				return errors.New("not the secret id")
			}
			return nil
		},
	}}})
	r.topic = eventgrid.New(eventgrid.Options{Key: k.topicKey, Schema: eventgrid.EventGridSchema})
	hook := http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body) // a reader of memory
		r.hooked.add(string(body))
	})
	r.azure = &road{to: map[string]http.Handler{keyVaultHost: r.keyVault, topicHost: r.topic, hookHost: hook}}
	r.hashi = &road{to: map[string]http.Handler{vaultHostPort: r.vault}}
	r.seedVault()
	r.serve()
	return r
}

// serve composes keyferry serve and starts the host.
func (r *rig) serve() {
	r.settings = map[string]string{
		"VAULT_ROLE_ID": "keyferry", "VAULT_SECRET_ID": r.held.roleProof,
		"KEYFERRY_ALERT_TOPIC_KEY": r.held.topicKey,
		"KEYFERRY_ALERT_WEBHOOK":   "https://" + hookHost + "/alerts/" + r.held.hookToken + "?sig=" + r.held.hookToken,
	}
	log := handler.NewLog(r.logged, slog.LevelDebug)
	process := Process{Kinds: append(rotators.All(), talkativeKind())}
	r.functions = &functions{log: log, open: func(context.Context) (*system, error) {
		conf, err := config.Load([]byte(rigConfig), func(name string) (string, bool) { v, ok := r.settings[name]; return v, ok })
		if err != nil {
			return nil, err
		}
		return process.compose(conf, outside{
			azure: &http.Client{Transport: r.azure}, vault: r.hashi, credential: bearer(r.held.bearer), store: r.store,
		}, log, nil)
	}}
	r.handler = handler.New(r.functions.triggers(), handler.Options{Log: log})
	var err error
	if r.host, err = functionshost.New(functionshost.Options{
		App: os.DirFS(".."), Env: []string{"KEYFERRY_SYNC_SCHEDULE=0 */15 * * * *"}, Keys: functionshost.Keys{Function: r.held.functionKey},
		URL: "http://" + serveHost, Transport: &road{to: map[string]http.Handler{serveHost: r.handler}},
		Log: func(_, line string) { r.logged.add(line) },
	}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.host.Stop)
	if err := r.host.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// bearer is a signed-in identity.
type bearer string

// GetToken implements azcore.TokenCredential.
func (b bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(24 * time.Hour)}, nil
}

// answer is what an invocation or a call got.
type answer struct {
	status int
	body   string
}

func (r *rig) note(status int, body []byte) answer {
	r.answers = append(r.answers, string(body))
	return answer{status, string(body)}
}

// deliver brings an event as Event Grid would, through the host.
func (r *rig) deliver(function string, event []byte) answer {
	r.t.Helper()
	done := r.host.Deliver(r.t.Context(), function, event)
	if (done.Err == nil) != (done.Status == http.StatusOK) {
		r.t.Errorf("status %d, and the host says: %v", done.Status, done.Err)
	}
	return r.note(done.Status, done.Body)
}

// tick is one occurrence of the sync's timer.
func (r *rig) tick() answer {
	r.t.Helper()
	done := r.host.Tick(r.t.Context(), "SyncFromVault")
	if (done.Err == nil) != (done.Status == http.StatusOK) {
		r.t.Errorf("status %d, and the host says: %v", done.Status, done.Err)
	}
	return r.note(done.Status, done.Body)
}

// force calls ForceSync as an operator would, through the host.
func (r *rig) force(body string) answer {
	req := httptest.NewRequest(http.MethodPost, "/api/ForceSync", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("x-functions-key", r.held.functionKey)
	return r.answered(record(r.host, req.WithContext(r.t.Context())))
}

// post sends bytes to the handler past the host, as anything on this machine may.
func (r *rig) post(method, path, contentType, body string) answer {
	req := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(r.t.Context())
	req.Header.Set("Content-Type", contentType)
	req.ContentLength = -1
	resp := record(r.handler, req)
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		r.t.Errorf("%s %s is answered as %q", method, path, got)
	}
	return r.answered(resp)
}

func (r *rig) answered(resp *http.Response) answer {
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) < 3 || body[0] != '{' {
		r.t.Errorf("the answer is no object with something in it: %q, %v", body, err)
	}
	return r.note(resp.StatusCode, body)
}

// journal keeps lines.
type journal struct {
	mu   sync.Mutex
	kept []string
}

// Write implements io.Writer for a logger, which writes a line at a time.
func (j *journal) Write(p []byte) (int, error) {
	j.add(string(p))
	return len(p), nil
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = append(j.kept, line)
}

// lines returns what was kept since the mark, which len of an earlier result is.
func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.kept)
}

// talkativeKind is a rotator whose target repeats passwords in its errors, as drivers and servers do.
func talkativeKind() rotation.Kind {
	return rotation.Define("talkative", "a target that quotes what it refuses",
		func(rotation.Deps, struct{}) (rotation.Rotator, error) { return &talkative{}, nil })
}

type talkative struct{ refused secret.Value }

func (t *talkative) Verify(_ context.Context, c rotation.Credential) error {
	if c.Secret.Equal(t.refused) {
		return rotation.ErrDenied
	}
	return nil
}

func (*talkative) Retire(context.Context, rotation.Credential, rotation.Credential) error { return nil }

func (t *talkative) Set(_ context.Context, now, next rotation.Credential) error {
	t.refused = next.Secret
	return fmt.Errorf("%w: ALTER USER app PASSWORD %q: syntax error at db://app:%s@host, was %s or %q; Authorization: Basic %s",
		secret.ErrPermanent, next.Secret.Reveal(), url.QueryEscape(now.Secret.Reveal()), now.Secret.Reveal(), now.Secret.Reveal(),
		base64.StdEncoding.EncodeToString([]byte("app:"+now.Secret.Reveal())))
}
