package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A policy grants capabilities (create, read, update, patch, delete, list, scan,
// deny) on paths. A path may end in * for everything below and have + for one
// whole segment.
type policy map[string][]string

// defaultPolicy is the part of Vault's policy "default" that the emulator has
// paths for, and what makes the system mounts visible to every token.
func defaultPolicy() policy {
	return policy{
		"auth/token/lookup-self": {"read"},
		"auth/token/renew-self":  {"update"},
		"auth/token/revoke-self": {"update"},
		"sys/capabilities-self":  {"update"},
		"identity/entity/id/":    {"read"},
		"cubbyhole/*":            {"create", "read", "update", "delete", "list"},
	}
}

// Policy sets what the policy of that name grants.
func (s *Server) Policy(name string, rules map[string][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[name] = maps.Clone(rules)
}

// parsePolicy reads a policy in JSON form; HCL is not understood.
func parsePolicy(text string) (policy, error) {
	var document struct {
		Path map[string]struct {
			Capabilities []string `json:"capabilities"`
		} `json:"path"`
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return nil, errors.New("failed to parse policy: the emulator reads policies as JSON only")
	}
	rules := policy{}
	for path, rule := range document.Path {
		rules[path] = rule.Capabilities
	}
	return rules, nil
}

// capabilities are what a token may do on a path: those of the most specific
// matching rule of its policies, joined where several policies have that rule.
func (s *Server) capabilities(t *token, op operation, path string) []string {
	if slices.Contains(t.policies, "root") {
		return []string{"root"}
	}
	var best string
	var granted []string
	for _, name := range t.policies {
		for rule, capabilities := range s.policies[name] {
			closed := (op == list || op == scan) && matches(rule, strings.TrimSuffix(path, "/"))
			if !closed && !matches(rule, path) {
				continue
			}
			switch {
			case rule == best:
				granted = append(granted, capabilities...)
			case granted == nil || stronger(rule, best):
				best, granted = rule, slices.Clone(capabilities)
			}
		}
	}
	if slices.Contains(granted, "deny") || len(granted) == 0 {
		return []string{"deny"}
	}
	slices.Sort(granted)
	return slices.Compact(granted)
}

// matches tells whether a rule's path covers a path.
func matches(rule, path string) bool {
	prefix, glob := strings.CutSuffix(rule, "*")
	if !strings.Contains(prefix, "+") {
		return path == prefix || glob && strings.HasPrefix(path, prefix)
	}
	want, got := strings.Split(prefix, "/"), strings.Split(path, "/")
	if len(got) < len(want) || len(got) > len(want) && !glob {
		return false
	}
	last := len(want) - 1
	for i := range want {
		open := glob && i == last && strings.HasPrefix(got[i], want[i])
		if want[i] != "+" && want[i] != got[i] && !open {
			return false
		}
	}
	return true
}

// stronger is Vault's priority of matching rules: the later the first wildcard
// the stronger, then no closing *, then fewer +, then longer, then greater.
func stronger(a, b string) bool {
	wild := func(rule string) int {
		if i := strings.IndexAny(rule, "+*"); i >= 0 {
			return i
		}
		return len(rule) + 1
	}
	if x, y := wild(a), wild(b); x != y {
		return x > y
	}
	if x, y := strings.HasSuffix(a, "*"), strings.HasSuffix(b, "*"); x != y {
		return y
	}
	if x, y := strings.Count(a, "+"), strings.Count(b, "+"); x != y {
		return x < y
	}
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

// sees tells whether a token may know of a mount: some rule of its grants
// something on the mount or below.
func (s *Server) sees(t *token, mount string) bool {
	if !slices.Contains(s.capabilities(t, read, mount), "deny") {
		return true
	}
	for _, name := range t.policies {
		for rule, capabilities := range s.policies[name] {
			if strings.HasPrefix(rule, mount) && !slices.Contains(capabilities, "deny") && len(capabilities) > 0 {
				return true
			}
			if head, _, wild := strings.Cut(rule, "+"); wild && strings.HasPrefix(mount, head) && !slices.Contains(capabilities, "deny") {
				return true
			}
		}
	}
	return false
}

// authorize finds the token and asks its policies. It is nil when all is well.
func (s *Server) authorize(req *request) *answer {
	if a := s.authenticate(req); a != nil {
		return a
	}
	needed := string(req.op)
	if req.op == update && !s.exists(req.path) {
		needed = "create"
	}
	granted := s.capabilities(req.token, req.op, req.path)
	if !slices.Contains(granted, "root") && !slices.Contains(granted, needed) {
		return wrapped(http.StatusForbidden, "permission denied")
	}
	return nil
}

// policyCall answers sys/policies/acl/<name>.
func (s *Server) policyCall(req *request, name string) *answer {
	switch req.op {
	case update:
		rules, err := parsePolicy(fmt.Sprint(req.fields["policy"]))
		if err != nil {
			return failed(http.StatusBadRequest, err.Error())
		}
		s.policies[name] = rules
	case remove:
		delete(s.policies, name)
	default:
		return unsupported()
	}
	return done()
}
