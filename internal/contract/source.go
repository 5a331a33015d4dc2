package contract

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// Vault is a server for the Source suite, real or emulated, with root rights on it. VaultOverHTTP makes one of any
// server that speaks Vault's own API.
type Vault struct {
	// Do makes one call with the root token. path begins after /v1/ and is escaped.
	Do func(t *testing.T, method, path, body string) (status int, answer []byte)
	// Open makes the source under test.
	Open func(t *testing.T, auth vault.Auth) vaultsync.Source
	// Root is the token of Do.
	Root string
	// Token makes a token that may do what the grants say.
	Token func(t *testing.T, g Grants) string
	// AppRole and JWT make a way to log in, of that kind, to the grants. Nil: the server has no such method.
	AppRole, JWT func(t *testing.T, g Grants) Login
	// OpenBao says that the server is one.
	OpenBao bool
}

// Grants are capabilities by path, as in a policy; a path may end in '*'.
type Grants map[string][]string

// Login is a way to log in, for tests.
type Login struct {
	Auth    vault.Auth
	Wrong   vault.Auth         // the same with a proof that Vault refuses
	Revoke  func(t *testing.T) // ends every token that Auth has obtained
	Secrets []string           // what must not be in an error
}

// Source checks that a source tells every state of KV version 1 and 2 apart (facts/vault-sync.md A2 to A9). open is
// called once for each test; tests on one server do not meet, for each takes mounts of its own.
func Source(t *testing.T, open func(t *testing.T) Vault) {
	for _, rule := range []struct {
		name  string
		check func(sourceTest, *testing.T)
	}{
		{"mounts", sourceTest.mounts},
		{"listing", sourceTest.listing},
		{"absence needs the mount", sourceTest.absence},
		{"upgrade", sourceTest.upgrade},
		{"states of version 2", sourceTest.statesOfVersion2},
		{"states of version 1", sourceTest.statesOfVersion1},
		{"number text", sourceTest.numberText},
		{"odd names", sourceTest.oddNames},
		{"refused paths", sourceTest.refusedPaths},
		{"policies", sourceTest.policies},
		{"revoked token", sourceTest.revokedToken},
		{"writes", sourceTest.writes},
		{"refused writes", sourceTest.refusedWrites},
		{"policies for writes", sourceTest.writePolicies},
		{"listing with metadata", sourceTest.detailed},
		{"log-in by approle", func(f sourceTest, t *testing.T) { f.logIn(t, f.AppRole) }},
		{"log-in by jwt", func(f sourceTest, t *testing.T) { f.logIn(t, f.JWT) }},
	} {
		t.Run(rule.name, func(t *testing.T) {
			rule.check(newSourceTest(t, open(t)), t)
		})
	}
}

// SourceSealed checks what a source says of a Vault that is sealed in the middle of a walk. The server is of no use
// afterwards.
func SourceSealed(t *testing.T, v Vault, seal func()) { newSourceTest(t, v).sealed(t, seal) }

// sourceTest is a server with a source that holds the root token.
type sourceTest struct {
	Vault
	src vaultsync.Source
}

func newSourceTest(t *testing.T, v Vault) sourceTest {
	src := v.Open(t, vault.Token(secret.New(v.Root)))
	return sourceTest{Vault: v, src: &watched{Source: src, t: t, forbidden: []string{v.Root}}}
}

// must makes a call that has to succeed.
func (f sourceTest) must(t *testing.T, method, path, body string) {
	t.Helper()
	if status, answer := f.Do(t, method, path, body); status/100 != 2 {
		t.Fatalf("%s %s: status %d, %s", method, path, status, answer)
	}
}

// mount makes a mount of its own for the test and returns it as the source sees it.
func (f sourceTest) mount(t *testing.T, version int) vaultsync.Mount {
	t.Helper()
	path := strings.ToLower(rand.Text())
	f.enable(t, path, version)
	t.Cleanup(func() { f.Do(t, http.MethodDelete, "sys/mounts/"+path, "") })
	return f.find(t, path)
}

// enable mounts KV.
func (f sourceTest) enable(t *testing.T, path string, version int) {
	t.Helper()
	f.must(t, http.MethodPost, "sys/mounts/"+path, fmt.Sprintf(`{"type":"kv","options":{"version":"%d"}}`, version))
	if version == 2 {
		f.ready(t, path)
	}
}

// ready asks a mount of version 2 until it no longer answers that it is being upgraded.
func (f sourceTest) ready(t *testing.T, path string) {
	t.Helper()
	for t.Context().Err() == nil {
		if status, _ := f.Do(t, http.MethodGet, path+"/config", ""); status == http.StatusOK {
			return
		}
	}
	t.Fatalf("mount %s does not become ready", path)
}

// find returns the mount of the path, or fails.
func (f sourceTest) find(t *testing.T, path string) vaultsync.Mount {
	t.Helper()
	all, err := f.src.Mounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.Path == path {
			return m
		}
	}
	t.Fatalf("mount %s is not among %v", path, all)
	return vaultsync.Mount{}
}

// put writes a secret, data as JSON.
func (f sourceTest) put(t *testing.T, m vaultsync.Mount, path, data string) {
	t.Helper()
	if m.Version == 1 {
		f.must(t, http.MethodPost, m.Path+"/"+escapePath(path), data)
		return
	}
	f.must(t, http.MethodPost, m.Path+"/data/"+escapePath(path), `{"data":`+data+`}`)
}

// escapePath makes a path fit for a URL, its slashes kept.
func escapePath(path string) string { return strings.ReplaceAll(url.PathEscape(path), "%2F", "/") }

// fieldText reveals the JSON text of fields; nil stays nil.
func fieldText(fields vaultsync.Fields) map[string]string {
	if fields == nil {
		return nil
	}
	m := make(map[string]string, len(fields))
	for key, v := range fields {
		if m[key] = v.Reveal(); !json.Valid([]byte(m[key])) {
			m[key] = "not JSON"
		}
	}
	return m
}

// quote makes a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func wantKind(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want one that is %q", err, want)
	}
	if want != secret.ErrNotFound && errors.Is(err, secret.ErrNotFound) {
		t.Errorf("error %q claims that absence is proven", err)
	}
}

func wantNames(t *testing.T, src vaultsync.Source, m vaultsync.Mount, dir string, want ...string) {
	t.Helper()
	got, err := src.List(t.Context(), m, dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("folder %q (-want +got)\n%s", dir, diff)
	}
}
