// Package vault is an in-memory HashiCorp Vault 1.21 as an http.Handler: KV
// version 1 and 2, tokens with policies, the log-ins of an application, mounts
// and sealing. It answers status for status and body for body as the real
// server does, with its oddities, and TestExchanges proves that against one
// when KEYFERRY_TEST_VAULT_ADDR is set. Other engines, leases, wrapping,
// identities and audit are not there: their paths answer 404.
//
// It shares no code with Keyferry, so that it cannot share a bug.
package vault

import (
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Options say what kind of Vault New makes. The zero value is a Vault 1.21
// with the wall clock, no log-in and the root token "root".
type Options struct {
	// Now is the clock for versions, deletions and tokens; nil means time.Now.
	Now func() time.Time
	// Rand is the source of tokens, uuids and accessors; nil means crypto/rand.
	Rand io.Reader
	// RootToken may do everything and never expires; empty means "root".
	RootToken string
	// Logins are the enabled auth methods.
	Logins []Login
	// OpenBao adds what OpenBao has and Vault lacks: LIST and SCAN of
	// detailed-metadata, SCAN of metadata, after and limit. It leaves out what
	// only Vault 1.21 has, the attribution in metadata.
	OpenBao bool
	// Namespaces honours X-Vault-Namespace, as Vault Enterprise and OpenBao do:
	// the namespace stands in front of the path, so the mount "team/secret" is
	// the mount "secret" of the namespace "team". Log-ins and tokens are shared by
	// all namespaces. The community edition ignores the header.
	Namespaces bool
}

// A Server is one Vault. It is safe for concurrent use.
type Server struct {
	options Options
	mux     *http.ServeMux // cleans paths as the real one's does
	dice    sync.Mutex     // guards options.Rand

	mu       sync.Mutex // guards all below
	sealed   bool
	mounts   map[string]*mount // by path with its closing slash
	tokens   map[string]*token
	policies map[string]policy
	calls    map[string]int
}

// New returns an unsealed Vault without KV mounts.
func New(options Options) *Server {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	if options.RootToken == "" {
		options.RootToken = "root"
	}
	s := &Server{
		options:  options,
		mux:      http.NewServeMux(),
		mounts:   map[string]*mount{},
		tokens:   map[string]*token{},
		policies: map[string]policy{"default": defaultPolicy()},
		calls:    map[string]int{},
	}
	s.tokens[options.RootToken] = &token{
		id: options.RootToken, accessor: s.random(24), name: "token", policies: []string{"root"},
		path: "auth/token/root", created: s.now(), orphan: true,
	}
	s.mux.HandleFunc("/v1/", s.serve)
	s.mux.Handle("/", http.RedirectHandler("/ui/", http.StatusTemporaryRedirect))
	return s
}

// ServeHTTP answers one request. Sealed, it answers 503 on every path but
// sys/health and sys/seal-status.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !printable(r.URL.Path) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

// serve reads, decides under the lock, and writes.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	req, refusal := s.read(w, r)
	if refusal == nil {
		s.mu.Lock()
		refusal = s.answer(req)
		s.mu.Unlock()
	}
	s.write(w, r, refusal)
}

// answer finds who asks and what for.
func (s *Server) answer(req *request) *answer {
	s.calls[req.method+" "+s.endpoint(req)]++
	if a := s.public(req); a != nil {
		return a
	}
	if s.sealed {
		return failed(http.StatusServiceUnavailable, "Vault is sealed")
	}
	if writes(req.op) && len(req.path) > 0 && req.path[len(req.path)-1] == '/' {
		return failed(http.StatusBadRequest, "cannot write to a path ending in '/'")
	}
	if login := s.login(req); login != nil {
		return login
	}
	if a := s.mountsSeen(req); a != nil {
		return a
	}
	if a := s.authorize(req); a != nil {
		return a
	}
	if a := s.system(req); a != nil {
		return a
	}
	if a := s.tokenCall(req); a != nil {
		return a
	}
	m, rest := s.mountOf(req.path)
	if m == nil {
		return failed(http.StatusNotFound, `no handler for route "`+req.path+`". route entry not found.`)
	}
	return m.answer(s, req, rest)
}

// Seal shuts or opens the Vault. What it holds survives.
func (s *Server) Seal(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// Calls counts the requests since the start or ResetCalls by method and
// endpoint, whatever the answer was: "GET data", "LIST metadata" and so on for
// KV version 2, "GET kv" and "LIST kv" for version 1, otherwise the path, as in
// "POST auth/approle/login". LIST counts as LIST also when it was asked for as
// GET with list=true, SCAN likewise; POST counts as PUT does: "PUT".
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// ResetCalls makes every count of Calls zero.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
}

func (s *Server) now() time.Time { return s.options.Now().UTC() }
