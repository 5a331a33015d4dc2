package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
)

// clerk is a Vault of one secret that hands out tokens token-1, token-2 and so on.
type clerk struct {
	lifetime time.Duration
	slow     time.Duration // how long a log-in takes

	mu      sync.Mutex
	logins  int
	reads   int
	valid   map[string]bool
	closed  bool // log-ins are refused with 500
	denied  bool // the policies forbid the secret
	proof   map[string]string
	address string
}

func (c *clerk) RoundTrip(req *http.Request) (*http.Response, error) {
	return script(c.answer).RoundTrip(req)
}

func (c *clerk) answer(req *http.Request) reply {
	if strings.HasSuffix(req.URL.Path, "/login") {
		time.Sleep(c.slow)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !strings.HasSuffix(req.URL.Path, "/login"):
		c.reads++
		if !c.valid[req.Header.Get("X-Vault-Token")] {
			return refusal(403, "permission denied", "invalid token")
		}
		if c.denied {
			return refusal(403, "permission denied")
		}
		return reply{status: 200, body: plainSecret}
	case req.Header.Get("X-Vault-Token") != "":
		return refusal(400, "a log-in carries no token")
	}
	c.logins++
	if c.closed {
		return refusal(400, "invalid role")
	}
	body, _ := io.ReadAll(req.Body)
	c.proof, c.address = nil, req.URL.Path
	_ = json.Unmarshal(body, &c.proof)
	token := fmt.Sprintf("token-%d", c.logins)
	if c.valid == nil {
		c.valid = map[string]bool{}
	}
	c.valid[token] = true
	return reply{status: 200, body: fmt.Sprintf(`{"auth":{"client_token":%q,"lease_duration":%d}}`, token, int(c.lifetime.Seconds()))}
}

func (c *clerk) set(f func(*clerk)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

func approle(o *Options) { o.Auth = AppRole("", "role-for-tests", secret.New("proof-for-tests")) }

// TestSession says when a Client logs in.
func TestSession(t *testing.T) {
	type step struct {
		after  time.Duration
		change func(*clerk)
		want   error
		logins int // so far
	}
	revoke := func(c *clerk) { c.valid = nil }
	closed := func(c *clerk) { c.closed = true }
	tests := []struct {
		name     string
		lifetime time.Duration
		steps    []step
	}{
		{"at the first call and not again before two thirds of the lifetime", time.Hour, []step{
			{0, nil, nil, 1}, {39 * time.Minute, nil, nil, 1}, {time.Minute, nil, nil, 2}, {39 * time.Minute, nil, nil, 2}, {time.Minute, nil, nil, 3},
		}},
		{"once for a token without end", 0, []step{{0, nil, nil, 1}, {10_000 * time.Hour, nil, nil, 1}}},
		{"again when the token was revoked", time.Hour, []step{{0, nil, nil, 1}, {time.Second, revoke, nil, 2}, {time.Second, nil, nil, 2}}},
		{"not again at once for what its policies deny", time.Hour, []step{
			{0, nil, nil, 1}, {time.Second, func(c *clerk) { c.denied = true }, secret.ErrForbidden, 1}, {time.Second, nil, secret.ErrForbidden, 1},
		}},
		{"once a minute while it is denied, for policies may have grown", time.Hour, []step{
			{0, nil, nil, 1}, {2 * time.Minute, func(c *clerk) { c.denied = true }, secret.ErrForbidden, 2}, {time.Second, nil, secret.ErrForbidden, 2},
			{2 * time.Minute, nil, secret.ErrForbidden, 3},
		}},
		{"not at the first failure of a renewal, while the token lives", time.Hour, []step{
			{0, nil, nil, 1}, {45 * time.Minute, closed, nil, 2}, {time.Second, nil, nil, 2}, {pause, nil, nil, 3},
			{15 * time.Minute, nil, secret.ErrUnauthorized, 4},
		}},
		{"refused", time.Hour, []step{{0, closed, secret.ErrUnauthorized, 1}, {0, nil, secret.ErrUnauthorized, 2}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &clerk{lifetime: test.lifetime}
				c := newClient(t, server, approle)
				for i, s := range test.steps {
					time.Sleep(s.after)
					if s.change != nil {
						server.set(s.change)
					}
					if err := read(t.Context(), c); !errors.Is(err, s.want) {
						t.Errorf("step %d: error %v, want %v", i, err, s.want)
					}
					if server.logins != s.logins {
						t.Errorf("step %d: %d log-ins, want %d", i, server.logins, s.logins)
					}
				}
			})
		})
	}
}

func TestWorkersShareALogIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &clerk{lifetime: time.Hour, slow: time.Second}
		c := newClient(t, server, approle)
		all := func() {
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					if err := read(t.Context(), c); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		all()
		if server.logins != 1 {
			t.Errorf("%d log-ins at the start, want 1", server.logins)
		}
		server.set(func(c *clerk) { c.valid = nil })
		all()
		if server.logins != 2 {
			t.Errorf("%d log-ins after the token was revoked, want 2", server.logins)
		}
	})
}

func TestAWorkerThatLeavesDoesNotEndTheLogIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &clerk{lifetime: time.Hour, slow: 2 * time.Second}
		c := newClient(t, server, approle)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := make(chan error, 1)
		go func() { first <- read(ctx, c) }()
		synctest.Wait()
		if err := read(t.Context(), c); err != nil {
			t.Error(err)
		}
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one that left: %v", err)
		}
		if server.logins != 1 {
			t.Errorf("%d log-ins, want 1", server.logins)
		}
	})
}

func TestAGivenTokenIsNotReplaced(t *testing.T) {
	server := &clerk{}
	c := newClient(t, server)
	if err := read(t.Context(), c); !errors.Is(err, secret.ErrUnauthorized) {
		t.Errorf("error %v", err)
	}
	if server.logins != 0 || server.reads != 1 {
		t.Errorf("%d log-ins and %d reads, want 0 and 1", server.logins, server.reads)
	}
}

type credential func(policy.TokenRequestOptions) (azcore.AccessToken, error)

func (c credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return c(o)
}

func TestWhatEachLogInSends(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("file-jwt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var scopes []string
	identity := credential(func(o policy.TokenRequestOptions) (azcore.AccessToken, error) {
		scopes = o.Scopes
		return azcore.AccessToken{Token: "azure-jwt"}, nil
	})
	fixed := func(context.Context) (secret.Value, error) { return secret.New("given-jwt"), nil }
	tests := []struct {
		auth Auth
		path string
		body map[string]string
	}{
		{AppRole("", "r", secret.New("s")), "/v1/auth/approle/login", map[string]string{"role_id": "r", "secret_id": "s"}},
		{AppRole("team/a/", "r", secret.New("s")), "/v1/auth/team/a/login", map[string]string{"role_id": "r", "secret_id": "s"}},
		{JWT("", "r", fixed), "/v1/auth/jwt/login", map[string]string{"role": "r", "jwt": "given-jwt"}},
		{Azure("", "r", AzureJWT(identity, "https://management.azure.com/")), "/v1/auth/azure/login", map[string]string{"role": "r", "jwt": "azure-jwt"}},
		{Kubernetes("", "r", file), "/v1/auth/kubernetes/login", map[string]string{"role": "r", "jwt": "file-jwt"}},
	}
	for _, test := range tests {
		server := &clerk{}
		if err := read(t.Context(), newClient(t, server, func(o *Options) { o.Auth = test.auth })); err != nil {
			t.Fatal(err)
		}
		if server.address != test.path {
			t.Errorf("log-in at %q, want %q", server.address, test.path)
		}
		if diff := cmp.Diff(test.body, server.proof); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.path, diff)
		}
	}
	if diff := cmp.Diff([]string{"https://management.azure.com//.default"}, scopes); diff != "" {
		t.Errorf("scopes keep the audience to its trailing slash (-want +got)\n%s", diff)
	}

	denied := credential(func(policy.TokenRequestOptions) (azcore.AccessToken, error) {
		return azcore.AccessToken{}, errors.New("answer of the token endpoint")
	})
	for _, auth := range []Auth{Azure("", "r", AzureJWT(denied, "a")), Kubernetes("", "r", file+".missing")} {
		err := read(t.Context(), newClient(t, &clerk{}, func(o *Options) { o.Auth = auth }))
		if !errors.Is(err, secret.ErrUnauthorized) || strings.Contains(err.Error(), "endpoint") {
			t.Errorf("error %v", err)
		}
	}
}
