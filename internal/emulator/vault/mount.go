package vault

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A mount is one KV engine. Its version is that of its secrets; options may
// leave it out.
type mount struct {
	path           string // with its closing slash
	kind           string // kv, or generic for the legacy engine
	version        int
	options        map[string]string
	description    string
	uuid, accessor string
	plugin         string // running version of the engine
	upgrading      bool   // version 2 that is still converting

	v1     tree[[]byte]  // JSON objects
	v2     tree[*secret] //
	config engineConfig  // of v2
}

// Mount enables a KV engine of version 1 or 2 with an options.version, as the
// command line does. Seeds and tests that need another kind use sys/mounts.
func (s *Server) Mount(path string, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mount(path, "kv", "", map[string]string{"version": fmt.Sprint(version)})
}

// Unmount disables an engine and forgets what it held.
func (s *Server) Unmount(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mounts, strings.Trim(path, "/")+"/")
}

// Remount replaces an engine by an empty one of the same kind at the same path:
// uuid and accessor change, versions start again.
func (s *Server) Remount(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.mounts[strings.Trim(path, "/")+"/"]; m != nil {
		s.mount(path, m.kind, m.description, m.options)
	}
}

// Upgrade turns a KV version 1 engine into version 2, as sys/mounts/<path>/tune
// does: each secret becomes version 1. Until finish is called every request to
// the engine answers 400 "Upgrading from non-versioned to versioned data"; on a
// real one that lasts from milliseconds to minutes.
func (s *Server) Upgrade(path string) (finish func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mounts[strings.Trim(path, "/")+"/"]
	if m == nil || m.version != 1 {
		return func() {}
	}
	s.upgrade(m)
	m.upgrading = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		m.upgrading = false
	}
}

func (s *Server) mount(path, kind, description string, options map[string]string) *mount {
	m := &mount{
		path: strings.Trim(path, "/") + "/", kind: kind, version: 1, options: options, description: description,
		uuid: s.uuid(), accessor: kind + "_" + hex.EncodeToString(s.bytes(4)), plugin: "v0.25.0+builtin",
	}
	if s.options.OpenBao {
		m.plugin = "v2.4.3+builtin.bao"
	}
	if kind == "kv" && options["version"] == "2" {
		m.version = 2
	}
	s.mounts[m.path] = m
	return m
}

func (s *Server) upgrade(m *mount) {
	now, by := s.now(), &attribution{Actor: "kv_upgrade", Operation: "upgrade"}
	for _, path := range m.v1.walk("") {
		value, _ := m.v1.get(path)
		m.v2.put(path, &secret{
			created: now, updated: now, current: 1, oldest: 1, updatedBy: by,
			versions: []version{{data: value, created: now, createdBy: by}},
		})
	}
	m.v1 = tree[[]byte]{}
	m.version, m.options = 2, map[string]string{"version": "2"}
}

// mountOf returns the engine a path belongs to and the path in it. The path of
// a mount without its slash belongs to it too.
func (s *Server) mountOf(path string) (*mount, string) {
	for i := range path {
		if path[i] == '/' {
			if m := s.mounts[path[:i+1]]; m != nil {
				return m, path[i+1:]
			}
		}
	}
	return s.mounts[path+"/"], ""
}

// answer passes a request to the engine.
func (m *mount) answer(s *Server, req *request, path string) *answer {
	if m.version == 1 {
		return m.answerV1(req, path)
	}
	if m.upgrading {
		return failed(http.StatusBadRequest, "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly.")
	}
	return m.answerV2(s, req, path)
}

// exists tells whether a write to the path updates: Vault asks for the
// capability "update" then, and for "create" otherwise. What has no notion of
// existence is always updated.
func (s *Server) exists(path string) bool {
	m, rest := s.mountOf(path)
	if m == nil {
		return true
	}
	if m.version == 1 {
		_, ok := m.v1.get(rest)
		return ok
	}
	endpoint, key, _ := strings.Cut(rest, "/")
	if endpoint != "data" && endpoint != "metadata" {
		return true
	}
	_, ok := m.v2.get(key)
	return ok
}

// endpoint names what a request asks for, for Calls.
func (s *Server) endpoint(req *request) string {
	m, rest := s.mountOf(req.path)
	if m == nil {
		return req.path
	}
	if m.version == 1 {
		return "kv"
	}
	endpoint, _, _ := strings.Cut(rest, "/")
	return endpoint
}

// describe is the mount in the bodies of sys/.
func (m *mount) describe(lease time.Duration) map[string]any {
	body := map[string]any{
		"accessor": m.accessor, "description": m.description, "external_entropy_access": false, "local": false,
		"config":  map[string]any{"default_lease_ttl": int(lease / time.Second), "force_no_cache": false, "max_lease_ttl": int(lease / time.Second)},
		"options": m.options, "plugin_version": "", "running_plugin_version": "v1.21.0+builtin.vault",
		"running_sha256": "", "seal_wrap": false, "type": m.kind, "uuid": m.uuid,
	}
	if m.kind == "kv" {
		body["deprecation_status"], body["running_plugin_version"] = "supported", m.plugin
	}
	return body
}
