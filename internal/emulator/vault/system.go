package vault

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// vaultVersion is what the emulator claims to be.
const vaultVersion = "1.21.0"

// public answers what needs no token and works sealed: sys/health and
// sys/seal-status. nil is another path.
func (s *Server) public(req *request) *answer {
	switch {
	case req.path == "sys/health" && req.op == read:
		return s.health()
	case req.path == "sys/seal-status" && req.op == read:
		body := map[string]any{
			"type": "shamir", "initialized": true, "sealed": s.sealed, "t": 1, "n": 1, "progress": 0, "nonce": "",
			"version": vaultVersion, "build_date": "2025-10-22T00:00:00Z", "migration": false, "recovery_seal": false, "storage_type": "inmem",
		}
		if !s.sealed {
			body["cluster_name"], body["cluster_id"] = "vault-cluster-emulator", "00000000-0000-0000-0000-000000000000"
		}
		return &answer{raw: body}
	}
	return nil
}

func (s *Server) health() *answer {
	replication := "disabled"
	if s.sealed {
		replication = "unknown"
	}
	body := map[string]any{
		"initialized": true, "sealed": s.sealed, "standby": s.sealed, "performance_standby": false,
		"replication_performance_mode": replication, "replication_dr_mode": replication,
		"server_time_utc": s.now().Unix(), "version": vaultVersion, "enterprise": false,
		"echo_duration_ms": 0, "clock_skew_ms": 0, "replication_primary_canary_age_ms": 0,
	}
	if s.sealed {
		return &answer{status: http.StatusServiceUnavailable, raw: body}
	}
	body["cluster_name"], body["cluster_id"] = "vault-cluster-emulator", "00000000-0000-0000-0000-000000000000"
	return &answer{raw: body}
}

// defaultLease is what a mount answers when it is not tuned.
const defaultLease = 768 * time.Hour

// mountsSeen answers sys/internal/ui/mounts, which asks no policy for itself:
// any token gets the mounts it has some right on. nil is another path.
func (s *Server) mountsSeen(req *request) *answer {
	namespace, path := s.namespaced(req.path)
	rest, ok := strings.CutPrefix(path, "sys/internal/ui/mounts")
	if !ok || req.op != read {
		return nil
	}
	wanted := namespace + strings.Trim(rest, "/")
	if rest == "" && req.bearer == "" {
		return &answer{data: map[string]any{"auth": map[string]any{}, "secret": map[string]any{}}}
	}
	if a := s.authenticate(req); a != nil {
		return a
	}
	if rest == "" {
		return s.mountsList(req.token, namespace)
	}
	m, _ := s.mountOf(wanted)
	if m == nil || !s.sees(req.token, m.path) {
		return failed(http.StatusForbidden, fmt.Sprintf("preflight capability check returned 403, please ensure client's policies grant access to path %q", strings.TrimPrefix(wanted, namespace)+"/"))
	}
	body := m.describe(defaultLease)
	body["path"] = strings.TrimPrefix(m.path, namespace)
	return &answer{data: body}
}

func (s *Server) mountsList(t *token, namespace string) *answer {
	secret, auth := map[string]any{}, map[string]any{}
	for path, m := range s.mounts {
		if name, ok := strings.CutPrefix(path, namespace); ok && s.sees(t, path) {
			secret[name] = m.describe(defaultLease)
		}
	}
	for path, m := range systemMounts() {
		secret[path] = m.describe(defaultLease)
	}
	auth["token/"] = (&mount{kind: "token", accessor: "auth_token_00000000"}).describe(defaultLease)
	return &answer{data: map[string]any{"auth": auth, "secret": secret}}
}

// systemMounts are the engines every Vault has.
func systemMounts() map[string]*mount {
	return map[string]*mount{
		"sys/":       {kind: "system", accessor: "system_00000000"},
		"identity/":  {kind: "identity", accessor: "identity_00000000"},
		"cubbyhole/": {kind: "cubbyhole", accessor: "cubbyhole_00000000"},
	}
}

// namespaced cuts the namespace off a path below sys/, which every namespace has.
func (s *Server) namespaced(path string) (namespace, rest string) {
	if i := strings.Index(path, "sys/"); s.options.Namespaces && i > 0 && path[i-1] == '/' {
		return path[:i], path[i:]
	}
	return "", path
}

// system answers the paths of sys/ that need rights. nil is another path.
func (s *Server) system(req *request) *answer {
	namespace, path := s.namespaced(req.path)
	call, ok := strings.CutPrefix(path, "sys/")
	if !ok {
		return nil
	}
	if name, ok := strings.CutPrefix(call, "policies/acl/"); ok {
		return s.policyCall(req, name)
	}
	if path, ok := strings.CutPrefix(call, "mounts/"); ok {
		return s.mountCall(req, namespace, strings.Trim(path, "/"))
	}
	switch {
	case call == "mounts" && req.op == read:
		data := map[string]any{}
		for path, m := range s.mounts {
			if name, ok := strings.CutPrefix(path, namespace); ok {
				data[name] = m.describe(0)
			}
		}
		for path, m := range systemMounts() {
			data[path] = m.describe(0)
		}
		return &answer{data: data, lifted: true, mount: "system"}
	case call == "capabilities-self" && req.op == update:
		return s.capabilitiesCall(req)
	case call == "seal" && req.op == update:
		s.sealed = true
		return done()
	}
	return wrapped(http.StatusNotFound, "unsupported path")
}

// mountCall answers sys/mounts/<path> and sys/mounts/<path>/tune.
func (s *Server) mountCall(req *request, namespace, path string) *answer {
	if path, ok := strings.CutSuffix(path, "/tune"); ok && req.op == update {
		return s.tune(req, s.mounts[namespace+path+"/"])
	}
	m := s.mounts[namespace+path+"/"]
	switch req.op {
	case read:
		if m == nil {
			return failed(http.StatusBadRequest, "No secret engine mount at "+path+"/")
		}
		return &answer{data: m.describe(0), lifted: true, mount: "system"}
	case remove:
		delete(s.mounts, namespace+path+"/")
		return done()
	case update:
		return s.enable(req, namespace+path+"/")
	}
	return unsupported()
}

// tune changes the version of a mount, upwards; other settings are ignored.
func (s *Server) tune(req *request, m *mount) *answer {
	options, _ := req.fields["options"].(map[string]any)
	after, _ := options["version"].(string)
	if m == nil {
		return failed(http.StatusBadRequest, "sysview is nil")
	}
	before := cmp.Or(m.options["version"], "0")
	if after != "1" && after != "2" || after <= before {
		return done()
	}
	m.options = map[string]string{"version": after}
	if after == "2" {
		s.upgrade(m)
	}
	return &answer{mount: "system", warnings: []string{"Upgrading mount from version " + before + " to version " + after +
		". This mount will be unavailable for a brief period and will resume service shortly."}}
}

func (s *Server) enable(req *request, path string) *answer {
	for used := range s.mounts {
		if strings.HasPrefix(path, used) || strings.HasPrefix(used, path) {
			return failed(http.StatusBadRequest, "path is already in use at "+used)
		}
	}
	kind, _ := req.fields["type"].(string)
	if kind != "kv" && kind != "kv-v2" && kind != "generic" {
		return failed(http.StatusBadRequest, "plugin not found in the catalog: "+kind)
	}
	options := map[string]string{}
	given, _ := req.fields["options"].(map[string]any)
	for name, value := range given {
		options[name] = fmt.Sprint(value)
	}
	if kind == "kv-v2" {
		kind, options["version"] = "kv", "2"
	}
	description, _ := req.fields["description"].(string)
	s.mount(path, kind, description, options)
	return done()
}

func (s *Server) capabilitiesCall(req *request) *answer {
	data := map[string]any{}
	paths, _ := req.fields["paths"].([]any)
	if path, ok := req.fields["path"].(string); ok {
		paths = append(paths, path)
	}
	for _, path := range paths {
		if path, ok := path.(string); ok {
			data[path] = s.capabilities(req.token, read, path)
			if len(paths) == 1 {
				data["capabilities"] = data[path]
			}
		}
	}
	return &answer{data: data, lifted: true, mount: "system"}
}
