package vault

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// maxBody is Vault's default max_request_size.
const maxBody = 32 << 20

// An operation is what Vault makes of a method.
type operation string

const (
	read   operation = "read"
	list   operation = "list"
	scan   operation = "scan"
	update operation = "update" // PUT and POST; create when nothing is there yet
	patch  operation = "patch"
	remove operation = "delete"
)

func writes(op operation) bool { return op == update || op == patch }

// A request is an HTTP request as Vault's engines see it.
type request struct {
	method string         // GET, LIST, SCAN, PUT, PATCH or DELETE, for Calls
	op     operation      //
	path   string         // below /v1/, with the namespace; LIST and SCAN close it with a slash
	fields map[string]any // the body of a write, the query of everything else
	bearer string         // the token as sent
	token  *token         // who that is; nil until authorized
}

// printable is Vault's test of a path: U+0020 is the only space.
func printable(path string) bool {
	return strings.IndexFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// read decodes a request, or says why Vault would not.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (*request, *answer) {
	req := &request{path: strings.TrimPrefix(r.URL.Path, "/v1/"), bearer: r.Header.Get("X-Vault-Token")}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && req.bearer == "" {
		req.bearer = bearer
	}
	if namespace := strings.Trim(r.Header.Get("X-Vault-Namespace"), "/"); namespace != "" {
		w.Header().Set("X-Vault-Namespace", namespace)
		if s.options.Namespaces && !strings.HasPrefix(req.path, "auth/") {
			req.path = namespace + "/" + req.path
		}
	}
	switch r.Method {
	case http.MethodGet:
		return req, s.readGet(req, r.URL.Query())
	case "LIST":
		req.as(list, r.URL.Query())
		return req, nil
	case "SCAN":
		if s.options.OpenBao {
			req.as(scan, r.URL.Query())
			return req, nil
		}
	case http.MethodDelete:
		req.as(remove, r.URL.Query())
		return req, nil
	case http.MethodPut, http.MethodPost:
		req.method, req.op = http.MethodPut, update
		return req, req.readBody(w, r)
	case http.MethodPatch:
		req.method, req.op = http.MethodPatch, patch
		return req, req.readPatch(w, r)
	case http.MethodHead:
		if req.path == "sys/health" {
			req.as(read, r.URL.Query())
			return req, nil
		}
	}
	return nil, failed(http.StatusMethodNotAllowed)
}

// readGet tells a read from a listing in disguise.
func (s *Server) readGet(req *request, query url.Values) *answer {
	op := read
	for _, disguised := range []operation{list, scan} {
		text := query.Get(string(disguised))
		if text == "" || disguised == scan && !s.options.OpenBao {
			continue
		}
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return failed(http.StatusBadRequest)
		}
		if yes {
			op = disguised
			query.Del(string(disguised))
		}
	}
	req.as(op, query)
	return nil
}

// as sets the operation of a request without a body.
func (r *request) as(op operation, query url.Values) {
	r.op, r.fields = op, map[string]any{}
	r.method = map[operation]string{read: http.MethodGet, list: "LIST", scan: "SCAN", remove: http.MethodDelete}[op]
	for name, values := range query {
		r.fields[name] = values[0]
	}
	if (op == list || op == scan) && !strings.HasSuffix(r.path, "/") {
		r.path += "/"
	}
}

func (r *request) readPatch(w http.ResponseWriter, h *http.Request) *answer {
	const want = "application/merge-patch+json"
	got, _, err := mime.ParseMediaType(h.Header.Get("Content-Type"))
	if err != nil {
		return failed(http.StatusBadRequest, err.Error())
	}
	if got != want {
		return failed(http.StatusUnsupportedMediaType, "PATCH requires Content-Type of "+want+", provided "+got)
	}
	return r.readBody(w, h)
}

func (r *request) readBody(w http.ResponseWriter, h *http.Request) *answer {
	body, err := io.ReadAll(http.MaxBytesReader(w, h.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return failed(http.StatusRequestEntityTooLarge, "error parsing JSON: http: request body too large")
	}
	if err != nil {
		return failed(http.StatusBadRequest, "error reading data")
	}
	var refusal *answer
	r.fields, refusal = decode(body)
	return refusal
}
