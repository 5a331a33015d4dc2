package vault

import (
	"fmt"
	"net/http"
	"time"
)

// A Login is an enabled auth method with one role.
type Login struct {
	// Type is approle, jwt, azure or kubernetes.
	Type string
	// Path is where the method is mounted, below auth/; empty means Type.
	Path string
	// Role is the accepted role, for approle the role_id.
	Role string
	// Verify judges what proves the role: the secret_id or the jwt. An error is
	// a refusal; its text goes into the answer of jwt and azure. It runs while the server
	// is locked and must not call it.
	Verify func(credential string) error
	// Policies of the tokens it issues, besides "default".
	Policies []string
	// TTL of those tokens by the clock; 0 means an hour.
	TTL time.Duration
	// Batch issues batch tokens, which cannot be renewed.
	Batch bool
}

// login answers auth/<path>/login, which needs no token; nil is another path.
func (s *Server) login(req *request) *answer {
	for _, l := range s.options.Logins {
		path := l.Path
		if path == "" {
			path = l.Type
		}
		if req.path != "auth/"+path+"/login" {
			continue
		}
		if refusal := l.refuse(req.fields); refusal != nil {
			return refusal
		}
		ttl := l.TTL
		if ttl == 0 {
			ttl = time.Hour
		}
		t := s.issue(token{
			name: path, path: req.path, policies: l.Policies, ttl: ttl, orphan: true, renewable: !l.Batch, batch: l.Batch,
			meta: map[string]string{"role": l.Role}, entity: s.uuid(),
		})
		if l.Type == "approle" {
			t.meta = map[string]string{"role_name": "role"}
		}
		return &answer{auth: t.grant()}
	}
	return nil
}

// refuse says why the fields do not prove the role, in the words of the method.
func (l Login) refuse(fields map[string]any) *answer {
	text := func(name string) string { s, _ := fields[name].(string); return s }
	verify := l.Verify
	if verify == nil {
		verify = func(string) error { return nil }
	}
	if l.Type == "approle" {
		return l.refuseAppRole(text("role_id"), text("secret_id"), verify)
	}
	return l.refuseJWT(text("role"), text("jwt"), verify)
}

func (l Login) refuseAppRole(role, secret string, verify func(string) error) *answer {
	switch {
	case role == "":
		return failed(http.StatusInternalServerError, "failed to determine alias name from login request")
	case role != l.Role:
		return failed(http.StatusBadRequest, "invalid role or secret ID")
	case secret == "":
		return failed(http.StatusBadRequest, "missing secret_id")
	case verify(secret) != nil:
		return failed(http.StatusBadRequest, "invalid role or secret ID")
	}
	return nil
}

// refuseJWT is the refusal of jwt, azure and kubernetes. A bad token is 400 to
// the first, 500 to azure (path_login.go returns the verifier's error as it is)
// and 403 to kubernetes.
func (l Login) refuseJWT(role, jwt string, verify func(string) error) *answer {
	noRole, unknown, noJWT := "missing role", fmt.Sprintf("invalid role name %q", role), "missing jwt"
	switch l.Type {
	case "jwt":
		unknown, noJWT = fmt.Sprintf("role %q could not be found", role), "missing token"
	case "azure":
		noRole, noJWT = "role is required", "jwt is required"
	}
	switch {
	case role == "":
		return failed(http.StatusBadRequest, noRole)
	case role != l.Role:
		return failed(http.StatusBadRequest, unknown)
	case jwt == "":
		return failed(http.StatusBadRequest, noJWT)
	}
	err := verify(jwt)
	switch {
	case err == nil:
		return nil
	case l.Type == "jwt":
		return failed(http.StatusBadRequest, "error validating token: "+err.Error())
	case l.Type == "azure":
		return failed(http.StatusInternalServerError, err.Error())
	}
	return failed(http.StatusForbidden, "permission denied")
}
