package vault

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keyferry/keyferry/secret"
)

func TestNewTellsEveryFaultAtOnce(t *testing.T) {
	token := Token(secret.New(testToken))
	tests := []struct {
		name    string
		options Options
		want    []string // in the error; none: no error
	}{
		{"https", Options{Address: "https://vault.test", Auth: token}, nil},
		{"a prefix", Options{Address: "https://gateway.test/vault/", Auth: token}, nil},
		{"http to this machine", Options{Address: "http://127.0.0.1:8200", Auth: token}, nil},
		{"http to this machine by name", Options{Address: "http://localhost:8200", Auth: token}, nil},
		{"http to another host", Options{Address: "http://vault.test:8200", Auth: token}, []string{"plain http"}},
		{"http to another host, wanted", Options{Address: "http://vault.test:8200", PlainHTTP: true, Auth: token}, nil},
		{"nothing", Options{}, []string{"address is not", "log-in is not set"}},
		{"a socket", Options{Address: "unix:///run/vault.sock", Auth: token}, []string{"address is not"}},
		{"no host", Options{Address: "https://", Auth: token}, []string{"address is not"}},
		{"a password in the address", Options{Address: "https://user:hidden@vault.test", Auth: token}, []string{"more than scheme"}},
		{"a query in the address", Options{Address: "https://vault.test?token=hidden", Auth: token}, []string{"more than scheme"}},
		{"not PEM, and more", Options{Address: "x", CACert: []byte("x"), Auth: token, Workers: -1, Timeout: -1}, []string{"not PEM", "address is not", "workers", "timeout"}},
		{"empty token", Options{Address: "https://vault.test", Auth: Token(secret.Value{})}, []string{"token is empty"}},
		{"empty role", Options{Address: "https://vault.test", Auth: JWT("", "", nil)}, []string{"jwt", "not set"}},
		{"empty secret id", Options{Address: "https://vault.test", Auth: AppRole("", "r", secret.Value{})}, []string{"approle", "empty"}},
		{"a mount that would be cleaned", Options{Address: "https://vault.test", Auth: AppRole("../sys", "r", secret.New("s"))}, []string{"approle", "segment"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.options)
			if len(test.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, secret.ErrUsage) {
				t.Fatalf("error %v, want one that is %q", err, secret.ErrUsage)
			}
			for _, s := range test.want {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error %q does not say %q", err, s)
				}
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("error %q quotes the address", err)
			}
		})
	}
}

// serve starts a server on TLS and returns its certificate as PEM. httptest has one certificate for all servers.
func serve(t *testing.T, answer http.HandlerFunc) (*httptest.Server, []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// TestTheEnvironmentSteersNothing sets every variable that the API module reads to something that would redirect,
// unprotect, slow down or change a call.
func TestTheEnvironmentSteersNothing(t *testing.T) {
	var mu sync.Mutex
	var got http.Header
	stray, ca := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a stray address was called") })
	server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = r.Header.Clone()
		mu.Unlock()
		_, _ = w.Write([]byte(plainSecret))
	})
	hostile := map[string]string{
		api.EnvVaultAddress: stray.URL, api.EnvVaultAgentAddr: stray.URL, api.EnvVaultCACert: "", api.EnvVaultCACertBytes: string(ca),
		api.EnvVaultCAPath: t.TempDir(), api.EnvVaultClientCert: "", api.EnvVaultClientKey: "", api.EnvVaultClientTimeout: "1ns",
		api.EnvVaultHeaders: `{"X-Stray":"stray"}`, api.EnvVaultSRVLookup: "true", api.EnvVaultSkipVerify: "true", api.EnvVaultNamespace: "stray",
		api.EnvVaultTLSServerName: "stray.test", api.EnvVaultWrapTTL: "5m", api.EnvVaultMaxRetries: "9", api.EnvVaultToken: "stray-token",
		api.EnvRateLimit: "0.0001:1", api.EnvHTTPProxy: stray.URL, api.EnvVaultProxyAddr: stray.URL, api.EnvVaultDisableRedirects: "false",
	}
	for _, name := range environment {
		value, listed := hostile[name]
		if !listed {
			t.Errorf("no hostile value for %s", name)
		}
		t.Setenv(name, value)
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"} {
		t.Setenv(name, stray.URL)
	}
	here := func(o *Options) { o.Address, o.Transport, o.CACert = server.URL, nil, ca }

	for range 3 {
		if err := read(t.Context(), newClient(t, nil, here)); err != nil {
			t.Fatal(err)
		}
	}
	if got.Get("X-Vault-Token") != testToken {
		t.Error("the call carries another token than the one of the options")
	}
	for _, name := range []string{"X-Stray", "X-Vault-Namespace", "X-Vault-Wrap-Ttl"} {
		if got.Get(name) != "" {
			t.Errorf("the call carries header %s: %q", name, got.Get(name))
		}
	}
	if got.Get("X-Vault-Request") != "true" {
		t.Error("the call lacks the header that a proxying agent asks for")
	}
	if err := read(t.Context(), newClient(t, nil, here, func(o *Options) { o.Namespace = "team/a" })); err != nil {
		t.Fatal(err)
	}
	if got.Get("X-Vault-Namespace") != "team/a" {
		t.Errorf("namespace is %q", got.Get("X-Vault-Namespace"))
	}

	// Neither the CA of the environment, which would do, nor its wish to check nothing counts.
	err := read(t.Context(), newClient(t, nil, here, func(o *Options) { o.CACert = nil }))
	if !errors.Is(err, secret.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with the CAs of the system: %v", err)
	}
}

func TestAnEnvironmentThatCannotBeParsedIsNamed(t *testing.T) {
	t.Setenv(api.EnvVaultClientTimeout, "planted-value")
	_, err := New(Options{Address: "https://vault.test", Auth: Token(secret.New(testToken))})
	if !errors.Is(err, secret.ErrUsage) || !strings.Contains(err.Error(), api.EnvVaultClientTimeout) || strings.Contains(err.Error(), "planted") {
		t.Errorf("error %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	stray, _ := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		server, ca := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, stray.URL+r.URL.Path, status) })
		err := read(t.Context(), newClient(t, nil, func(o *Options) { o.Address, o.Transport, o.CACert = server.URL, nil, ca }))
		if !errors.Is(err, secret.ErrUnavailable) || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d: error %v", status, err)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	const workers, rounds = 16, 20
	var mu sync.Mutex
	clients := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		clients[r.RemoteAddr] = true
		mu.Unlock()
		_, _ = w.Write([]byte(plainSecret))
	}))
	defer server.Close()
	c := newClient(t, nil, func(o *Options) { o.Address, o.Transport, o.Workers = server.URL, nil, workers })
	for range rounds {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				if err := read(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	// With the idle connections of a transport left alone, two a host, nearly each call would dial.
	if len(clients) > 2*workers {
		t.Errorf("%d connections for %d workers in %d rounds", len(clients), workers, rounds)
	}
}
