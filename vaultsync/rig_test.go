package vaultsync_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyferry/keyferry/internal/contract"
	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

const keyVaultURL = "https://kv1.vault.azure.net"

// rig is a source, a destination and what stands between them.
type rig struct {
	contract.Vault // worked directly, past all trouble
	t              *testing.T
	server         server
	toVault        *road
	toKeyVault     *road
	store          *kvemulator.Vault
	sdk            *azsecrets.Client // a person's access to Key Vault, past all trouble
	source         vaultsync.Source
	destination    vaultsync.Destination
	leases         *state.Memory
	lost           atomic.Bool // every lease, to somebody else
	began          time.Time
	passed         atomic.Int64
	v1             map[string]bool // paths of the mounts of version 1
	rules          []vaultsync.Rule
}

func newRig(t *testing.T, s server) *rig {
	t.Helper()
	r := &rig{t: t, server: s, began: time.Now(), v1: map[string]bool{}}
	direct := s.reach(r.now)
	r.Vault = contract.VaultOverHTTP(s.address, s.root, faults.Transport(direct))
	r.toVault = &road{next: direct, kind: vaultCall(func(m string) bool { return r.v1[m] }), calls: map[string]int{}}
	r.store = kvemulator.New(kvemulator.Options{Now: r.now, CreateLimit: 300, TransactionLimit: 4000})
	keyVault := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.store.ServeHTTP(w, req) })
	r.toKeyVault = &road{next: keyVault, kind: keyVaultCall, calls: map[string]int{}}
	r.leases = state.NewMemory(r.now)
	r.source = r.open(vault.Token(secret.New(s.root)))
	r.destination = r.openKeyVault()
	sdk, err := azsecrets.NewClient(keyVaultURL, bearer("a person"), &azsecrets.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: sdkTransport{faults.Transport(keyVault)}, Retry: policy.RetryOptions{MaxRetries: -1}},
	})
	r.must(err)
	r.sdk = sdk
	return r
}

// open makes a source that logs in like that.
func (r *rig) open(auth vault.Auth) vaultsync.Source {
	r.t.Helper()
	c, err := vault.New(vault.Options{Address: r.server.address, Auth: auth, Transport: faults.Transport(r.toVault), Now: r.now})
	r.must(err)
	return c
}

func (r *rig) openKeyVault() vaultsync.Destination {
	r.t.Helper()
	c, err := keyvault.New(keyvault.Options{URL: keyVaultURL, Credential: bearer("keyferry"), Transport: faults.Transport(r.toKeyVault)})
	r.must(err)
	return c
}

// leaser loses the leases on demand.
type leaser struct {
	*state.Memory
	lost *atomic.Bool
}

func (l leaser) Renew(ctx context.Context, held state.Lease) error {
	if l.lost.Load() {
		return secret.ErrLeaseLost
	}
	return l.Memory.Renew(ctx, held)
}

type bearer string

func (s bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s), ExpiresOn: time.Now().Add(1000 * time.Hour)}, nil
}

// sdkTransport gives each call a request of its own: the SDK changes the one it has as soon as the answer is there.
type sdkTransport struct{ http.RoundTripper }

// Do implements policy.Transporter.
func (s sdkTransport) Do(req *http.Request) (*http.Response, error) {
	return s.RoundTrip(req.Clone(req.Context()))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// now is the time of everything but pauses and time limits, which are the bubble's. A real Vault sees neither what
// passed in the bubble nor what the test let pass.
func (r *rig) now() time.Time {
	return r.server.clock().Add(time.Since(r.began) + time.Duration(r.passed.Load()))
}

// pass lets time go by between two runs.
func (r *rig) pass(d time.Duration) { r.passed.Add(int64(d)) }

// engine is an engine on the rig's rules as they are now.
func (r *rig) engine(edits ...func(*vaultsync.Options)) *vaultsync.Engine {
	r.t.Helper()
	o := vaultsync.Options{
		Settings:    vaultsync.Settings{Rules: slices.Clone(r.rules)},
		Sources:     map[string]vaultsync.Source{vaultsync.DefaultSource: r.source},
		Destination: r.destination,
		Now:         r.now,
		Lock:        r.lock(""),
	}
	for _, edit := range edits {
		edit(&o)
	}
	e, err := vaultsync.New(o)
	r.must(err)
	return e
}

// lock is a lease whose name begins so.
func (r *rig) lock(prefix string) func(context.Context, string, func(context.Context) error) error {
	return func(ctx context.Context, name string, fn func(context.Context) error) error {
		return state.Hold(ctx, leaser{r.leases, &r.lost}, prefix+name, "a test", fn)
	}
}

// sync runs a whole sync that must end with the error, nil for none.
func (r *rig) sync(want error) *vaultsync.Report {
	r.t.Helper()
	report, err := r.engine().Sync(r.t.Context(), vaultsync.Scope{})
	r.ended(err, want)
	return report
}

func (r *rig) plan(want error) *vaultsync.Report {
	r.t.Helper()
	report, _, err := r.engine().Plan(r.t.Context(), vaultsync.Scope{})
	r.ended(err, want)
	return report
}

func (r *rig) ended(err, want error) {
	r.t.Helper()
	if !errors.Is(err, want) {
		r.t.Fatalf("ended with %v, want %v", err, want)
	}
}

// settled checks that nothing is left to do: no changes, no failures.
func (r *rig) settled() {
	r.t.Helper()
	report := r.sync(nil)
	if report.Changes() != 0 || report.Counts[vaultsync.Failed] != 0 || !report.Complete {
		r.t.Errorf("the next sync is not without changes: %q", lines(report))
	}
}

// worksOn puts another Vault in the place of the one that is there, for us and for the test.
func (r *rig) worksOn(next http.Handler) {
	r.toVault.mu.Lock()
	defer r.toVault.mu.Unlock()
	r.toVault.next = next
	r.Vault = contract.VaultOverHTTP(r.server.address, r.server.root, faults.Transport(next))
}
