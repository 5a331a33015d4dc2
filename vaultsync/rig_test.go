package vaultsync_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/internal/contract"
	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	vaultemulator "github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

const keyVaultURL = "https://kv1.vault.azure.net"

// server is a Vault to run scenarios on.
type server struct {
	name, address, root string
	clock               func() time.Time // to which the time is added that passes in the bubble
	reach               func(now func() time.Time) http.Handler
	logIn               func(r *rig, g contract.Grants) vault.Auth // that can be repeated
}

// emulated is a new Vault for each rig.
func emulated() server {
	return server{
		name: "emulator", address: "http://127.0.0.1:8200", root: "root",
		clock: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
		reach: func(now func() time.Time) http.Handler {
			return vaultemulator.New(vaultemulator.Options{
				Now: now, Logins: []vaultemulator.Login{{Type: "approle", Role: "sync", Policies: []string{"sync"}}},
			})
		},
		logIn: func(r *rig, g contract.Grants) vault.Auth {
			r.policy("sync", g)
			return vault.AppRole("", "sync", secret.New("made up"))
		},
	}
}

// servers are the emulated Vault and, where one was started, the real one. Call it outside of every bubble.
func servers() []server {
	all := []server{emulated()}
	if address := os.Getenv("KEYFERRY_TEST_VAULT_ADDR"); address != "" {
		way := realVault()
		all = append(all, server{
			name: "real", address: address, root: os.Getenv("KEYFERRY_TEST_VAULT_TOKEN"), clock: way.now,
			reach: func(func() time.Time) http.Handler { return way },
			logIn: func(r *rig, g contract.Grants) vault.Auth { return r.AppRole(r.t, g).Auth },
		})
	}
	return all
}

var realVault = sync.OnceValue(func() *outside { return newOutside(os.Getenv("KEYFERRY_TEST_VAULT_ADDR"), 64) })

// scenario runs a test on each Vault, in a bubble of its own: time passes only where the test says so, or where
// everything waits for it.
func scenario(t *testing.T, run func(t *testing.T, r *rig)) {
	t.Helper()
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, newRig(t, s)) })
		})
	}
}

// onEmulator is scenario for what no Vault makes a difference to.
func onEmulator(t *testing.T, run func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, newRig(t, emulated())) })
}

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
	r.toKeyVault = &road{next: r.store, kind: keyVaultCall, calls: map[string]int{}}
	r.leases = state.NewMemory(r.now)
	r.source = r.open(vault.Token(secret.New(s.root)))
	r.destination = r.openKeyVault()
	sdk, err := azsecrets.NewClient(keyVaultURL, token("a person"), &azsecrets.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: faults.Transport(r.store)}, Retry: policy.RetryOptions{MaxRetries: -1}},
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

// policy writes the grants down under a name.
func (r *rig) policy(name string, g contract.Grants) {
	r.t.Helper()
	rules := map[string]map[string][]string{}
	for path, capabilities := range g {
		rules[path] = map[string][]string{"capabilities": capabilities}
	}
	text, err := json.Marshal(map[string]any{"path": rules})
	r.must(err)
	body, err := json.Marshal(map[string]string{"policy": string(text)})
	r.must(err)
	if status, raw := r.Do(r.t, http.MethodPut, "sys/policies/acl/"+name, string(body)); status/100 != 2 {
		r.t.Fatalf("policy %s: status %d, %s", name, status, raw)
	}
}

func (r *rig) openKeyVault() vaultsync.Destination {
	r.t.Helper()
	c, err := keyvault.New(keyvault.Options{URL: keyVaultURL, Credential: token("keyferry"), Transport: faults.Transport(r.toKeyVault)})
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

type token string

func (s token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s), ExpiresOn: time.Now().Add(1000 * time.Hour)}, nil
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

// mount is a KV mount of the rig.
type mount struct {
	r       *rig
	path    string
	version int
}

// mount makes a KV mount and a rule of the same name that selects all of it; edits bend the rule.
func (r *rig) mount(version int, edits ...func(*vaultsync.Rule)) mount {
	r.t.Helper()
	m := mount{r: r, path: strings.ToLower(rand.Text()), version: version}
	m.enable()
	r.t.Cleanup(func() { r.Do(r.t, http.MethodDelete, "sys/mounts/"+m.path, "") })
	rule := vaultsync.Rule{Name: fmt.Sprintf("rule-%d", len(r.rules)+1), Mount: m.path}
	for _, edit := range edits {
		edit(&rule)
	}
	r.rules = append(r.rules, rule)
	return m
}

func (m mount) enable() {
	m.r.t.Helper()
	m.r.v1[m.path] = m.version == 1
	m.call(http.MethodPost, "sys/mounts/"+m.path, fmt.Sprintf(`{"type":"kv","options":{"version":"%d"}}`, m.version))
	for m.version == 2 { // a new mount of version 2 answers "upgrading" for a moment
		if status, _ := m.r.Do(m.r.t, http.MethodGet, m.path+"/config", ""); status == http.StatusOK {
			return
		}
	}
}

func (m mount) disable() { m.call(http.MethodDelete, "sys/mounts/"+m.path, "") }

// call makes a raw call that has to succeed. The path begins after /v1/.
func (m mount) call(method, path, body string) {
	m.r.t.Helper()
	if status, raw := m.r.Do(m.r.t, method, path, body); status/100 != 2 {
		m.r.t.Fatalf("%s %s: status %d, %s", method, path, status, raw)
	}
}

// put writes a secret, its fields as a JSON object.
func (m mount) put(path, fields string) {
	m.r.t.Helper()
	if m.version == 1 {
		m.call(http.MethodPost, m.path+"/"+escape(path), fields)
		return
	}
	m.call(http.MethodPost, m.path+"/data/"+escape(path), `{"data":`+fields+`}`)
}

// remove deletes the current version softly; on version 1 the secret is gone.
func (m mount) remove(path string) {
	m.r.t.Helper()
	if m.version == 1 {
		m.call(http.MethodDelete, m.path+"/"+escape(path), "")
		return
	}
	m.call(http.MethodDelete, m.path+"/data/"+escape(path), "")
}

func (m mount) undelete(path string, version int) {
	m.r.t.Helper()
	m.call(http.MethodPost, m.path+"/undelete/"+escape(path), fmt.Sprintf(`{"versions":[%d]}`, version))
}

func (m mount) destroy(path string, version int) {
	m.r.t.Helper()
	m.call(http.MethodPut, m.path+"/destroy/"+escape(path), fmt.Sprintf(`{"versions":[%d]}`, version))
}

// wipe removes a secret of version 2 with its metadata.
func (m mount) wipe(path string) {
	m.r.t.Helper()
	m.call(http.MethodDelete, m.path+"/metadata/"+escape(path), "")
}

// describe writes metadata, as a JSON object.
func (m mount) describe(path, metadata string) {
	m.r.t.Helper()
	m.call(http.MethodPost, m.path+"/metadata/"+escape(path), metadata)
}

// engine is an engine on the rig's rules as they are now.
func (r *rig) engine(edits ...func(*vaultsync.Options)) *vaultsync.Engine {
	r.t.Helper()
	o := vaultsync.Options{
		Settings:    vaultsync.Settings{Rules: slices.Clone(r.rules)},
		Sources:     map[string]vaultsync.Source{vaultsync.DefaultSource: r.source},
		Destination: r.destination,
		Now:         r.now,
		Lock: func(ctx context.Context, name string, fn func(context.Context) error) error {
			return state.Hold(ctx, leaser{r.leases, &r.lost}, name, "a test", fn)
		},
	}
	for _, edit := range edits {
		edit(&o)
	}
	e, err := vaultsync.New(o)
	r.must(err)
	return e
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
	report, err := r.engine().Plan(r.t.Context(), vaultsync.Scope{})
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

// lines is a report as "verb name reason", what is unchanged as a count at the end. A line without a name has its
// place in Vault instead.
func lines(report *vaultsync.Report) []string {
	out := []string{}
	for _, i := range report.Items {
		if i.Verb == vaultsync.Unchanged {
			continue
		}
		name := i.Name
		if name == "" {
			name = i.Source
		}
		out = append(out, fmt.Sprintf("%s %s %s", i.Verb, name, i.Reason))
	}
	slices.Sort(out)
	if n := report.Counts[vaultsync.Unchanged]; n > 0 {
		out = append(out, fmt.Sprintf("unchanged %d", n))
	}
	return out
}

// wants compares a report with the lines it should have.
func (r *rig) wants(report *vaultsync.Report, want ...string) {
	r.t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, lines(report)); diff != "" {
		r.t.Errorf("report (-want +got)\n%s", diff)
	}
}

// wantsUnordered is wants for lines in any order.
func (r *rig) wantsUnordered(report *vaultsync.Report, want []string) {
	r.t.Helper()
	want = slices.Clone(want)
	slices.Sort(want)
	r.wants(report, want...)
}

// value reads a secret through the SDK; "" and false when there is none that can be read.
func (r *rig) value(name string) (string, bool) {
	r.t.Helper()
	resp, err := r.sdk.GetSecret(r.t.Context(), name, "", nil)
	var refused *azcore.ResponseError
	if errors.As(err, &refused) && (refused.StatusCode == http.StatusNotFound || refused.StatusCode == http.StatusForbidden) {
		return "", false
	}
	r.must(err)
	return *resp.Value, true
}

// holds checks value and number of versions of a secret in Key Vault.
func (r *rig) holds(name, value string, versions int) {
	r.t.Helper()
	if got, _ := r.value(name); got != value {
		r.t.Errorf("%s is %q in Key Vault, want %q", name, got, value)
	}
	if got := r.versions(name); got != versions {
		r.t.Errorf("%s has %d versions in Key Vault, want %d", name, got, versions)
	}
}

// versions is how many versions Key Vault has of a secret.
func (r *rig) versions(name string) int {
	s, _ := r.store.Secret(name)
	return len(s.Versions)
}

// copied is the current version of a secret in Key Vault, past every rule.
func (r *rig) copied(name string) kvemulator.Version {
	s, _ := r.store.Secret(name)
	return s.CurrentVersion()
}

// escape makes a path fit for a URL, its slashes kept.
func escape(path string) string { return strings.ReplaceAll(url.PathEscape(path), "%2F", "/") }
