package vault

import (
	"net/http"
	"strings"
)

// answerV2 answers for KV version 2: it finds the endpoint of a path.
func (m *mount) answerV2(s *Server, req *request, path string) *answer {
	endpoint, key, slash := strings.Cut(path, "/")
	if path == "config" {
		return m.configCall(req)
	}
	if !slash {
		return invalidPath(req.op, path)
	}
	c := &call{Server: s, mount: m, req: req}
	switch endpoint {
	case "data":
		if key == "" || strings.HasSuffix(key, "/") {
			return invalidPath(req.op, path)
		}
		return c.data(key)
	case "metadata":
		return c.metadata(key)
	case "subkeys":
		return c.subkeys(strings.TrimSuffix(key, "/"))
	case "delete", "undelete", "destroy":
		return c.versions(endpoint, strings.TrimSuffix(key, "/"))
	case "detailed-metadata":
		if s.options.OpenBao {
			return c.detailed(key)
		}
	}
	return invalidPath(req.op, path)
}

// A call is one request to a version 2 engine.
type call struct {
	*Server
	mount *mount
	req   *request
}

// invalidPath is the answer to a path that is none of version 2: 404 with a
// warning and without errors. A path of version 1 gets it.
func invalidPath(op operation, path string) *answer {
	switch path {
	case "metadata", "data", "delete", "undelete", "destroy":
		return &answer{status: http.StatusNotFound, bare: true,
			warnings: []string{"Non-listing operations on the root of a K/V v2 mount are not supported."}}
	}
	verb := map[operation]string{update: "put", patch: "patch", read: "get", list: "list", scan: "scan", remove: "delete"}[op]
	return &answer{status: http.StatusNotFound, bare: true, warnings: []string{
		"Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the Vault CLI, use 'vault kv " +
			verb + "' for this operation."}}
}
