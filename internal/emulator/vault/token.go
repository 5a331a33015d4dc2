package vault

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A token is who asks.
type token struct {
	id, accessor, name string
	policies           []string
	path               string // the login or creation path
	created            time.Time
	ttl                time.Duration // 0: never expires
	expires            time.Time
	renewable, orphan  bool
	batch              bool
	meta               map[string]string
	entity             string // of a token from a login
}

// grant is the auth part of a response.
type grant struct {
	ClientToken   string            `json:"client_token"`
	Accessor      string            `json:"accessor"`
	Policies      []string          `json:"policies"`
	TokenPolicies []string          `json:"token_policies"`
	Metadata      map[string]string `json:"metadata"`
	Lease         int               `json:"lease_duration"`
	Renewable     bool              `json:"renewable"`
	EntityID      string            `json:"entity_id"`
	TokenType     string            `json:"token_type"`
	Orphan        bool              `json:"orphan"`
	MFA           any               `json:"mfa_requirement"`
	Uses          int               `json:"num_uses"`
}

func (t *token) kind() string {
	if t.batch {
		return "batch"
	}
	return "service"
}

func (t *token) grant() *grant {
	return &grant{
		ClientToken: t.id, Accessor: t.accessor, Policies: t.policies, TokenPolicies: t.policies, Metadata: t.meta,
		Lease: int(t.ttl / time.Second), Renewable: t.renewable, TokenType: t.kind(), Orphan: t.orphan, EntityID: t.entity,
	}
}

// Token issues a token with the policies (and "default") and returns it. A ttl
// of 0 makes one that never expires.
func (s *Server) Token(ttl time.Duration, policies ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issue(token{name: "token", path: "auth/token/create", ttl: ttl, policies: policies, renewable: true}).id
}

// Revoke ends a token; an unknown one is no error.
func (s *Server) Revoke(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, id)
}

// issue completes t and remembers it.
func (s *Server) issue(t token) *token {
	prefix := "hvs."
	if t.batch {
		prefix = "hvb."
	} else {
		t.accessor = s.random(24)
	}
	if t.id == "" {
		t.id = prefix + s.random(90)
	}
	if !slices.Contains(t.policies, "root") {
		t.policies = append(slices.Clone(t.policies), "default")
	}
	slices.Sort(t.policies)
	t.policies = slices.Compact(t.policies)
	t.created = s.now()
	t.expires = t.created.Add(t.ttl)
	s.tokens[t.id] = &t
	return &t
}

// authenticate finds the token of a request. It is nil when there is one.
func (s *Server) authenticate(req *request) *answer {
	if req.bearer == "" {
		return failed(http.StatusForbidden, "permission denied")
	}
	t := s.tokens[req.bearer]
	if t != nil && t.ttl > 0 && !s.now().Before(t.expires) {
		delete(s.tokens, t.id)
		t = nil
	}
	if t == nil {
		return wrapped(http.StatusForbidden, "permission denied", "invalid token")
	}
	req.token = t
	return nil
}

// tokenCall answers auth/token/.
func (s *Server) tokenCall(req *request) *answer {
	call, ok := strings.CutPrefix(req.path, "auth/token/")
	if !ok {
		return nil
	}
	switch {
	case call == "lookup-self" && req.op == read:
		return s.lookup(req.token)
	case call == "create" && req.op == update:
		return s.create(req)
	case call == "renew-self" && req.op == update:
		req.token.expires = s.now().Add(req.token.ttl)
		return &answer{auth: req.token.grant(), mount: "token"}
	case call == "revoke-self" && req.op == update:
		delete(s.tokens, req.token.id)
		return done()
	case call == "revoke" && req.op == update:
		id, _ := req.fields["token"].(string)
		delete(s.tokens, id)
		return done()
	}
	return wrapped(http.StatusNotFound, "unsupported path")
}

func (s *Server) create(req *request) *answer {
	ttl, err := seconds(cmp.Or[any](req.fields["ttl"], "768h"))
	if err != nil {
		return failed(http.StatusBadRequest, err.Error())
	}
	t := token{name: "token", path: "auth/token/create", ttl: ttl, renewable: true}
	t.id, _ = req.fields["id"].(string)
	t.orphan, _ = req.fields["no_parent"].(bool)
	t.batch = req.fields["type"] == "batch"
	t.renewable = !t.batch && req.fields["renewable"] != false
	names, _ := req.fields["policies"].([]any)
	for _, name := range names {
		if name, ok := name.(string); ok {
			t.policies = append(t.policies, name)
		}
	}
	if len(names) == 0 {
		t.policies = slices.Clone(req.token.policies)
	}
	return &answer{auth: s.issue(t).grant(), mount: "token"}
}

func (s *Server) lookup(t *token) *answer {
	data := map[string]any{
		"accessor": t.accessor, "creation_time": t.created.Unix(), "creation_ttl": int(t.ttl / time.Second),
		"display_name": t.name, "entity_id": t.entity, "expire_time": nil, "explicit_max_ttl": 0, "id": t.id,
		"issue_time": t.created.Format(time.RFC3339Nano), "meta": t.meta, "num_uses": 0, "orphan": t.orphan,
		"path": t.path, "policies": t.policies, "renewable": t.renewable, "ttl": 0, "type": t.kind(),
	}
	if t.ttl > 0 {
		data["expire_time"] = t.expires.Format(time.RFC3339Nano)
		data["ttl"] = int(t.expires.Sub(s.now()) / time.Second)
	}
	return &answer{data: data, mount: "token"}
}
