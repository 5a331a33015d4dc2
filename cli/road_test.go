package cli

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// road carries requests to handlers by host, in this process and without sockets, so that time in a synctest bubble is
// ours. It can be given trouble, and remembers what could be read on the way: request lines and headers that are
// not credentials.
type road struct {
	to map[string]http.Handler

	mu      sync.Mutex
	trouble trouble
	seen    []string
	tokens  map[string]bool // of Vault
}

// trouble says what happens to a request; nil lets it pass.
type trouble func(*http.Request) fate

// fate is what happens to a request instead of, or after, its passing.
type fate func(req *http.Request, pass func() *http.Response) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	h, ok := r.to[req.URL.Host]
	if !ok {
		return nil, fmt.Errorf("no route to %s: %w", req.URL.Host, syscall.ECONNREFUSED)
	}
	r.mu.Lock()
	meets := r.trouble
	r.seen = append(r.seen, line(req))
	if token := req.Header.Get("X-Vault-Token"); token != "" {
		if r.tokens == nil {
			r.tokens = map[string]bool{}
		}
		r.tokens[token] = true
	}
	r.mu.Unlock()
	pass := func() *http.Response {
		in := req.Clone(req.Context())
		in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1234"
		if in.Body == nil {
			in.Body = http.NoBody
		}
		return record(h, in)
	}
	if meets != nil {
		if f := meets(req); f != nil {
			return f(req, pass)
		}
	}
	return pass(), nil
}

func record(h http.Handler, req *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	resp := w.Result()
	resp.Request = req
	return resp
}

// line is what of a request may be known to proxies and their logs. The address of a webhook is a secret, and whoever
// carries the request knows it.
func line(req *http.Request) string {
	h := req.Header.Clone()
	for _, credential := range []string{"Authorization", "X-Vault-Token", "Aeg-Sas-Key"} {
		h.Del(credential)
	}
	address := req.URL.String()
	if req.URL.Host == hookHost {
		address = hookHost
	}
	return fmt.Sprint(req.Method, " ", address, " ", h)
}

// meet sets the trouble from here on; nil ends it.
func (r *road) meet(t trouble) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = t
}

func (r *road) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// credentials are the tokens of Vault that passed.
func (r *road) credentials() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.tokens))
}

// instead answers with h, and the request arrives nowhere.
func instead(h http.Handler) fate {
	return func(req *http.Request, _ func() *http.Response) (*http.Response, error) { return record(h, req), nil }
}

// after lets the request do its work and answers with h all the same.
func after(h http.Handler) fate {
	return func(req *http.Request, pass func() *http.Response) (*http.Response, error) {
		pass()
		return record(h, req), nil
	}
}

// resetBefore breaks the connection before the request arrives, resetAfter when it has done its work.
func resetBefore(*http.Request, func() *http.Response) (*http.Response, error) {
	return nil, syscall.ECONNRESET
}

func resetAfter(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
	pass()
	return nil, syscall.ECONNRESET
}

// hang answers nothing until the caller goes away.
func hang(req *http.Request, _ func() *http.Response) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// status answers with a status and nothing else.
func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// on gives a fate to the requests whose method and path match; an empty method matches all. The first request of a
// client of Key Vault, which has no token and fetches the challenge, always passes.
func on(method, path string, f fate) trouble {
	return func(r *http.Request) fate {
		challenged := r.Header.Get("Authorization") != "" || r.Header.Get("X-Vault-Token") != "" || r.Header.Get("Aeg-Sas-Key") != "" || r.URL.Host == hookHost
		if challenged && (method == "" || r.Method == method) && strings.Contains(r.URL.Path, path) {
			return f
		}
		return nil
	}
}

// times ends a trouble after n requests, from ends it after the n-th and begins it only then.
func times(n int, t trouble) trouble { return counted(t, func(at int) bool { return at <= n }) }

func from(n int, t trouble) trouble { return counted(t, func(at int) bool { return at >= n }) }

func counted(t trouble, in func(at int) bool) trouble {
	var mu sync.Mutex
	n := 0
	return func(r *http.Request) fate {
		f := t(r)
		if f == nil {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if n++; in(n) {
			return f
		}
		return nil
	}
}

// each tries troubles in turn: the first that has a fate for the request decides.
func each(all ...trouble) trouble {
	return func(r *http.Request) fate {
		for _, t := range all {
			if f := t(r); f != nil {
				return f
			}
		}
		return nil
	}
}
