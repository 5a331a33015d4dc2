package vault

import (
	"fmt"
	"strings"
)

// Put writes a value as the root token would, as a new version in version 2. It
// fails when there is no such mount or the engine refuses, and panics on a value
// that JSON cannot hold.
func (s *Server) Put(mountPath, path string, value map[string]any) error {
	fields, refusal := decode(encode(value))
	if refusal != nil {
		return fmt.Errorf("put %q: %s", path, strings.Join(refusal.errors, ", "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mounts[strings.Trim(mountPath, "/")+"/"]
	if m == nil {
		return fmt.Errorf("put %q: no mount %q", path, mountPath)
	}
	req := &request{op: update, fields: fields, token: s.tokens[s.options.RootToken]}
	if m.version == 2 {
		req.fields, path = map[string]any{"data": fields}, "data/"+path
	}
	if a := m.answer(s, req, path); a.errors != nil || a.status >= 400 {
		return fmt.Errorf("put %q: status %d: %s", path, a.status, strings.Join(a.errors, ", "))
	}
	return nil
}
