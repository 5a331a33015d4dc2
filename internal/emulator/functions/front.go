package functions

import (
	"crypto/subtle"
	"io"
	"net/http"
	"strings"
)

// largestRequest is the real host's FUNCTIONS_REQUEST_BODY_SIZE_LIMIT default.
const largestRequest = 100 << 20

// ServeHTTP is the front end of the app: /runtime/webhooks/eventgrid, /admin/functions/<name>, and the routes of the HTTP
// functions under the route prefix. Everything answers 503 while the host does not run (section 4).
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := h.await(r.Context()); err != nil {
		http.Error(w, "Function host is not running.", http.StatusServiceUnavailable)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, largestRequest)
	route := strings.Trim(r.URL.Path, "/")
	switch lower := strings.ToLower(route); {
	case lower == "runtime/webhooks/eventgrid":
		h.serveWebhook(w, r)
	case strings.HasPrefix(lower, "admin/functions/"):
		h.serveAdmin(w, r, route[len("admin/functions/"):])
	default:
		h.serveRoute(w, r, route)
	}
}

// allowed compares the key of a request with the wanted one or the master key. Without a wanted key everybody may enter.
func (h *Host) allowed(r *http.Request, want string) bool {
	if want == "" {
		return true
	}
	got := r.Header.Get("x-functions-key")
	if got == "" {
		got = r.URL.Query().Get("code")
	}
	same := func(key string) bool {
		return key != "" && subtle.ConstantTimeCompare([]byte(got), []byte(key)) == 1
	}
	return same(want) || same(h.opts.Keys.Master)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the request body is too large or broke off", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	return body, true
}
