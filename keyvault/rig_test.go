package keyvault_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

var _ vaultsync.Destination = (*keyvault.Client)(nil)

const vaultURL = "https://kv1.vault.azure.net"

// road carries requests to a handler in this process, without sockets, so that time in a synctest bubble is ours. The
// first token-less request of a Client, which only fetches the challenge, meets no trouble.
type road struct {
	to http.Handler
	mu sync.Mutex
	// trouble is asked for each request with a token: nil lets it pass.
	trouble func(*http.Request) fate
}

// fate is what happens to a request in place of, or after, its passing.
type fate func(pass func() *http.Response) (*http.Response, error)

func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	pass := func() *http.Response {
		w := httptest.NewRecorder()
		r.to.ServeHTTP(w, req)
		return w.Result()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	trouble := r.trouble
	r.mu.Unlock()
	if trouble != nil && req.Header.Get("Authorization") != "" {
		if f := trouble(req); f != nil {
			return f(pass)
		}
	}
	return pass(), nil
}

// meet sets the trouble from here on.
func (r *road) meet(trouble func(*http.Request) fate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

func answer(f emulator.Fault) fate {
	return func(func() *http.Response) (*http.Response, error) {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, nil)
		return w.Result(), nil
	}
}

func status(code int) fate { return answer(emulator.Fault{Status: code, Code: "x"}) }

func resetBefore(func() *http.Response) (*http.Response, error) { return nil, syscall.ECONNRESET }

func resetAfter(pass func() *http.Response) (*http.Response, error) {
	pass()
	return nil, syscall.ECONNRESET
}

// queue gives the n-th request of the method the n-th fate, and nil when the queue is empty.
func queue(method string, fates ...fate) func(*http.Request) fate {
	var mu sync.Mutex
	return func(r *http.Request) fate {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != method || len(fates) == 0 {
			return nil
		}
		f := fates[0]
		fates = fates[1:]
		return f
	}
}

// every gives all requests of the method one fate.
func every(method string, f fate) func(*http.Request) fate {
	return func(r *http.Request) fate {
		if r.Method == method {
			return f
		}
		return nil
	}
}

func times(n int, f fate) (all []fate) {
	for range n {
		all = append(all, f)
	}
	return all
}

type token string

func (s token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// rig is a Client in front of an emulated vault. The Client has made its first call, so that calls can be counted.
func rig(t *testing.T, o emulator.Options) (*keyvault.Client, *emulator.Vault, *road) {
	t.Helper()
	v := emulator.New(o)
	r := &road{to: v}
	c, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: token("made-up"), Transport: r})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Versions(t.Context(), "none"); err != nil {
		t.Fatal(err)
	}
	v.ResetCalls()
	return c, v, r
}

func draft(value string) secret.Draft {
	return secret.Draft{
		Value:       secret.New(value),
		ContentType: "text/plain",
		Expires:     time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		Tags:        map[string]string{"migrated-from": "vault", "path": "secret/ä"},
	}
}

// versions is how many versions the vault holds of a secret.
func versions(v *emulator.Vault, name string) int {
	s, _ := v.Secret(name)
	return len(s.Versions)
}
