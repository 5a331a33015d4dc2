package keyvault_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

var _ vaultsync.Destination = (*keyvault.Client)(nil)

const vaultURL = "https://kv1.vault.azure.net"

// road leads to a handler in this process, without sockets, so that time in a synctest bubble is ours. The first
// token-less request of a Client, which only fetches the challenge, meets no trouble.
type road struct {
	to http.Handler
	mu sync.Mutex
	// trouble is asked for each request with a token: nil lets it pass.
	trouble func(*http.Request) faults.Fault
}

func (r *road) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	trouble := r.trouble
	r.mu.Unlock()
	if trouble != nil && req.Header.Get("Authorization") != "" {
		if f := trouble(req); f != nil {
			f(w, req, r.to)
			return
		}
	}
	r.to.ServeHTTP(w, req)
}

// meet sets the trouble from here on.
func (r *road) meet(trouble func(*http.Request) faults.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

// answer is an error of the service in place of its answer.
func answer(f emulator.Fault) faults.Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) { f.ServeHTTP(w, r) }
}

func status(code int) faults.Fault { return answer(emulator.Fault{Status: code, Code: "x"}) }

// commitThen does what is asked and answers with another status.
func commitThen(code int) faults.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		done := httptest.NewRecorder()
		next.ServeHTTP(done, r)
		w.WriteHeader(code)
		_, _ = w.Write(done.Body.Bytes())
	}
}

// reply is an answer with that body whatever was asked.
func reply(body string, header ...string) faults.Fault { return faults.Answer(200, body, header...) }

// queue gives the n-th request of the method the n-th fault, and nil when the queue is empty.
func queue(method string, list ...faults.Fault) func(*http.Request) faults.Fault {
	var mu sync.Mutex
	return func(r *http.Request) faults.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != method || len(list) == 0 {
			return nil
		}
		f := list[0]
		list = list[1:]
		return f
	}
}

// every gives all requests of the method one fault.
func every(method string, f faults.Fault) func(*http.Request) faults.Fault {
	return func(r *http.Request) faults.Fault {
		if r.Method == method {
			return f
		}
		return nil
	}
}

func times(n int, f faults.Fault) (all []faults.Fault) {
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
	c, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: token("made-up"), Transport: faults.Transport(r)})
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
