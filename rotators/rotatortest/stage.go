package rotatortest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/keyferry/keyferry/alert"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// stage is an emulated Key Vault with the subject's secret in it, due to be rotated, and a clock.
type stage struct {
	s     Subject
	vault *emulator.Vault
	keys  *keyvault.Client
	store *state.Memory
	old   string // the version that is due

	mu     sync.Mutex
	now    time.Time
	alerts []alert.Alert
}

const (
	name  = "rotatortest"
	day   = 24 * time.Hour
	grace = time.Hour
)

func newStage(t *testing.T, s Subject) (*stage, error) {
	g := &stage{s: s, now: time.Now().UTC().Truncate(time.Second)}
	g.vault, g.store = emulator.New(emulator.Options{Now: g.clock}), state.NewMemory(g.clock)
	tags := map[string]string{secret.TagRotationType: s.Kind.Type, "owner": "rotatortest"}
	if s.Current.ID != "" {
		tags[secret.TagCredentialID] = s.Current.ID
	}
	err := g.vault.Seed(emulator.Secret{Name: name, Versions: []emulator.Version{{
		Value: s.value(), Created: g.now.Add(-61 * day), Expires: g.now.Add(29 * day), Tags: tags,
	}}})
	if err != nil {
		return nil, err
	}
	g.old = g.current().ID
	g.keys, err = keyvault.New(keyvault.Options{URL: "https://kv1.vault.azure.net", Credential: token{}, Transport: g})
	return g, err
}

// value is what the secret holds at first.
func (s Subject) value() string {
	if s.Value == nil {
		return s.Current.Secret.Reveal()
	}
	return s.Value(s.Current)
}

func (g *stage) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *stage) advance(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

func (g *stage) current() emulator.Version {
	s, _ := g.vault.Secret(name)
	return s.CurrentVersion()
}

func (g *stage) versions() int {
	s, _ := g.vault.Secret(name)
	return len(s.Versions)
}

// RoundTrip carries a request of the Key Vault client.
func (g *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	g.vault.ServeHTTP(w, r)
	return w.Result(), nil
}

// Send takes an alert.
func (g *stage) Send(_ context.Context, a alert.Alert) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alerts = append(g.alerts, a)
	return nil
}

type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "made-up", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// engine rotates through p, whose accidents hit the calls of the rotator.
func (g *stage) engine(p *process) (*rotation.Engine, error) {
	kind := rotation.Define(g.s.Kind.Type, g.s.Kind.Doc, func(_ rotation.Deps, _ struct{}) (rotation.Rotator, error) {
		r, err := g.s.open()
		if err != nil {
			return nil, err
		}
		return through(p, r), nil
	})
	e, err := rotation.New(rotation.Options{
		Secrets: g.keys, List: g.keys.List, Records: g.store, Alerts: g, Now: g.clock,
		Lock: func(ctx context.Context, lease string, fn func(context.Context) error) error {
			return state.Hold(ctx, lasting{g.store, p}, lease, "rotatortest", fn)
		},
		Kinds: []rotation.Kind{kind},
		Settings: rotation.Settings{Targets: []rotation.Target{{
			Name: "subject", Type: g.s.Kind.Type, Secrets: []string{name}, User: g.s.Current.User, Format: g.s.Format,
			Outage: true, Grace: grace,
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("make an engine: %w", err)
	}
	return e, nil
}

// lasting is the leases as a process sees them: one that was killed gives nothing back.
type lasting struct {
	state.Leaser
	p *process
}

func (l lasting) Release(ctx context.Context, lease state.Lease) error {
	if l.p.dead() {
		return errStopped
	}
	return l.Leaser.Release(ctx, lease)
}
