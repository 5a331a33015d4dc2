package vaultsync_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/keyferry/keyferry/internal/faults"
)

// road is the way from a client to a server. It counts the calls and can be given trouble.
type road struct {
	next    http.Handler
	kind    func(*http.Request) string // names a call
	mu      sync.Mutex
	calls   map[string]int
	trouble trouble
}

// trouble is asked for each call and says what happens to it; nil lets it pass.
type trouble func(call string, r *http.Request) faults.Fault

// ServeHTTP implements http.Handler.
func (r *road) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	call := r.kind(req)
	r.mu.Lock()
	r.calls[call]++
	meets := r.trouble
	r.mu.Unlock()
	if meets != nil {
		if f := meets(call, req); f != nil {
			f(w, req, r.next)
			return
		}
	}
	r.next.ServeHTTP(w, req)
}

// meet sets the trouble from here on; nil ends it.
func (r *road) meet(t trouble) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = t
}

// counted returns the calls since the last time it was asked.
func (r *road) counted() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := maps.Clone(r.calls)
	clear(r.calls)
	return c
}

// instead answers with the handler and never reaches the server.
func instead(h http.Handler) faults.Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) { h.ServeHTTP(w, r) }
}

// answer is a fixed answer in JSON.
func answer(status int, body string) faults.Fault {
	return faults.Answer(status, body, "Content-Type", "application/json")
}

// after does something when the server has done its work, before the client hears of it.
func after(do func()) faults.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		heard := httptest.NewRecorder()
		next.ServeHTTP(heard, r)
		do()
		maps.Copy(w.Header(), heard.Header())
		w.WriteHeader(heard.Code)
		_, _ = w.Write(heard.Body.Bytes())
	}
}

// every gives all calls of one kind a fault.
func every(kind string, f faults.Fault) trouble {
	return func(call string, _ *http.Request) faults.Fault {
		if call == kind {
			return f
		}
		return nil
	}
}

// once gives the n-th call of a kind, counted from 1, a fault.
func once(kind string, n int, f faults.Fault) trouble {
	var mu sync.Mutex
	return func(call string, _ *http.Request) faults.Fault {
		mu.Lock()
		defer mu.Unlock()
		if call == kind {
			if n--; n == 0 {
				return f
			}
		}
		return nil
	}
}

// from gives the n-th call of a kind, and every call that begins after it, a fault.
func from(kind string, n int, f faults.Fault) trouble {
	var mu sync.Mutex
	return func(call string, _ *http.Request) faults.Fault {
		mu.Lock()
		defer mu.Unlock()
		if n > 0 && call == kind {
			n--
		}
		if n == 0 {
			return f
		}
		return nil
	}
}

// vaultCall names a call to Vault: "LIST", "metadata", "data" and "kv1" for reads, "mounts" and "other".
func vaultCall(version1 func(path string) bool) func(*http.Request) string {
	return func(r *http.Request) string {
		path := strings.TrimPrefix(r.URL.Path, "/v1/")
		switch {
		case r.Method == "LIST" || r.URL.Query().Get("list") == "true":
			return "LIST"
		case strings.HasPrefix(path, "sys/internal/ui/mounts"):
			return "mounts"
		case strings.Contains(path, "/login"):
			return "login"
		}
		mount, rest, _ := strings.Cut(path, "/")
		switch {
		case version1(mount):
			return "kv1"
		case strings.HasPrefix(rest, "data/"):
			return "data"
		case strings.HasPrefix(rest, "metadata/"):
			return "metadata"
		}
		return "other"
	}
}

// keyVaultCall names a call to Key Vault: "challenge" for one without a token, "list", "deleted", "versions", or its method.
func keyVaultCall(r *http.Request) string {
	path := strings.Trim(r.URL.Path, "/")
	switch {
	case r.Header.Get("Authorization") == "":
		return "challenge"
	case path == "secrets":
		return "list"
	case path == "deletedsecrets":
		return "deleted"
	case strings.HasSuffix(path, "/versions"):
		return "versions"
	}
	return r.Method
}
