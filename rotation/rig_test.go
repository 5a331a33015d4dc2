package rotation_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/keyferry/keyferry/alert"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

const (
	day      = 24 * time.Hour
	oldValue = "value-before-0x2a"
	name     = "app-key"
)

// rig is a rotation engine on the real adapter in front of an emulated Key Vault, with real leases. Tests run it in a
// synctest bubble, so that its time is theirs.
type rig struct {
	t       *testing.T
	vault   *emulator.Vault
	road    *road
	secrets *keyvault.Client
	leases  *state.Memory
	inbox   *inbox
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, inbox: &inbox{}, leases: state.NewMemory(time.Now)}
	r.vault = emulator.New(emulator.Options{})
	r.road = &road{to: r.vault}
	var err error
	r.secrets, err = keyvault.New(keyvault.Options{URL: "https://kv1.vault.azure.net", Credential: token{}, Transport: r.road})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.secrets.Versions(t.Context(), "none"); err != nil { // the challenge
		t.Fatal(err)
	}
	r.vault.ResetCalls()
	return r
}

// seed puts a due secret into the vault and returns the id of its version.
func (r *rig) seed(change ...func(*emulator.Secret)) string {
	r.t.Helper()
	s := emulator.Secret{Name: name, Versions: []emulator.Version{{
		Value: oldValue, Created: time.Now().Add(-61 * day), Expires: time.Now().Add(29 * day),
		Tags: map[string]string{secret.TagRotationType: "generated", "owner": "shop"},
	}}}
	for _, c := range change {
		c(&s)
	}
	if err := r.vault.Seed(s); err != nil {
		r.t.Fatal(err)
	}
	return r.current(s.Name).ID
}

// version changes the seeded version.
func version(change func(*emulator.Version)) func(*emulator.Secret) {
	return func(s *emulator.Secret) { change(&s.Versions[0]) }
}

func withTag(name, value string) func(*emulator.Secret) {
	return version(func(v *emulator.Version) { v.Tags[name] = value })
}

func (r *rig) current(name string) emulator.Version {
	s, _ := r.vault.Secret(name)
	return s.CurrentVersion()
}

func (r *rig) versions(name string) []emulator.Version {
	s, _ := r.vault.Secret(name)
	return s.Versions
}

// options are those of a healthy process.
func (r *rig) options() rotation.Options {
	return rotation.Options{
		Secrets: r.secrets,
		Records: r.leases,
		List:    r.secrets.List,
		Lock: func(ctx context.Context, lease string, fn func(context.Context) error) error {
			return state.Hold(ctx, r.leases, lease, "test", fn)
		},
		Alerts: r.inbox,
		Kinds:  rotators.All(),
		Settings: rotation.Settings{Targets: []rotation.Target{
			{Name: "random", Type: "generated", Secrets: []string{"*"}, Params: map[string]any{"length": 40}},
		}},
	}
}

func (r *rig) engine(change ...func(*rotation.Options)) *rotation.Engine {
	r.t.Helper()
	o := r.options()
	for _, c := range change {
		c(&o)
	}
	e, err := rotation.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// mustNotLeak looks for the values of the vault in everything that was said.
func (r *rig) mustNotLeak(said ...any) {
	r.t.Helper()
	text := fmt.Sprintf("%+v %+v", said, r.inbox.all())
	for _, s := range r.vault.Secrets() {
		for _, v := range s.Versions {
			if strings.Contains(text, v.Value) {
				r.t.Errorf("a value of %s was said: %s", s.Name, text)
			}
		}
	}
}

// inbox takes alerts, unless it is told to fail.
type inbox struct {
	mu    sync.Mutex
	got   []alert.Alert
	fails error
}

func (i *inbox) Send(_ context.Context, a alert.Alert) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fails != nil {
		return i.fails
	}
	a.Details = maps.Clone(a.Details)
	i.got = append(i.got, a)
	return nil
}

func (i *inbox) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fails = err
}

func (i *inbox) all() []alert.Alert {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]alert.Alert(nil), i.got...)
}

// road carries requests to a handler in this process; meet may answer in its place.
type road struct {
	to   http.Handler
	mu   sync.Mutex
	meet func(*http.Request, func() *http.Response) (*http.Response, error)
}

func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	pass := func() *http.Response {
		w := httptest.NewRecorder()
		r.to.ServeHTTP(w, req)
		return w.Result()
	}
	r.mu.Lock()
	meet := r.meet
	r.mu.Unlock()
	if meet != nil {
		return meet(req, pass)
	}
	return pass(), nil
}

type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "made-up", ExpiresOn: time.Now().Add(time.Hour)}, nil
}
