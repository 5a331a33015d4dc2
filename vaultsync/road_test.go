package vaultsync_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
)

// road is the way from a client to a server. It counts the calls and can be given trouble.
type road struct {
	to      http.RoundTripper
	kind    func(*http.Request) string // names a call
	mu      sync.Mutex
	calls   map[string]int
	trouble func(call string, r *http.Request) fate
}

// fate is what happens to a call instead of, or after, its passing.
type fate func(pass func() (*http.Response, error)) (*http.Response, error)

func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	call := r.kind(req)
	r.mu.Lock()
	r.calls[call]++
	trouble := r.trouble
	r.mu.Unlock()
	pass := func() (*http.Response, error) { return r.to.RoundTrip(req) }
	if trouble != nil {
		if f := trouble(call, req); f != nil {
			resp, err := f(pass)
			if resp != nil {
				resp.Request = req
			}
			return resp, err
		}
	}
	return pass()
}

// meet sets the trouble from here on; nil ends it.
func (r *road) meet(trouble func(call string, r *http.Request) fate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

// counted returns the calls since the last time it was asked.
func (r *road) counted() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := maps.Clone(r.calls)
	clear(r.calls)
	return c
}

// inProcess carries requests to a handler without sockets.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1234"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, in)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// instead answers with the handler and never reaches the server.
func instead(h http.Handler) fate {
	return func(func() (*http.Response, error)) (*http.Response, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, nil)
		return w.Result(), nil
	}
}

// answer is a fixed answer in JSON.
func answer(status int, body string) fate {
	return instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.Copy(w, bytes.NewReader([]byte(body)))
	}))
}

// resetBefore and resetAfter break the connection before the server heard the request, and before the client heard
// the answer.
func resetBefore(func() (*http.Response, error)) (*http.Response, error) {
	return nil, syscall.ECONNRESET
}

func resetAfter(pass func() (*http.Response, error)) (*http.Response, error) {
	if _, err := pass(); err != nil {
		return nil, err
	}
	return nil, syscall.ECONNRESET
}

// after lets the call pass and then does something.
func after(do func()) fate {
	return func(pass func() (*http.Response, error)) (*http.Response, error) {
		resp, err := pass()
		do()
		return resp, err
	}
}

// every gives all calls of one kind a fate.
func every(kind string, f fate) func(string, *http.Request) fate {
	return func(call string, _ *http.Request) fate {
		if call == kind {
			return f
		}
		return nil
	}
}

// once gives the n-th call of a kind, counted from 1, a fate.
func once(kind string, n int, f fate) func(string, *http.Request) fate {
	var mu sync.Mutex
	return func(call string, _ *http.Request) fate {
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

// from gives the n-th call of a kind, and every call that begins after it, a fate.
func from(kind string, n int, f fate) func(string, *http.Request) fate {
	var mu sync.Mutex
	return func(call string, _ *http.Request) fate {
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

// keyVaultCall names a call to Key Vault: "challenge" for one without a token, "list", "versions", or its method.
func keyVaultCall(r *http.Request) string {
	path := strings.Trim(r.URL.Path, "/")
	switch {
	case r.Header.Get("Authorization") == "":
		return "challenge"
	case path == "secrets":
		return "list"
	case strings.HasSuffix(path, "/versions"):
		return "versions"
	}
	return r.Method
}
