package functions

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// serveRoute finds the HTTP function for a path and method, checks its key and runs it, proxied or enveloped (section 3.1).
// No match, a wrong method included, is 404.
func (h *Host) serveRoute(w http.ResponseWriter, r *http.Request, path string) {
	f, params := h.route(r.Method, path)
	if f == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	want := map[string]string{"function": h.opts.Keys.Function, "admin": h.opts.Keys.Master}[f.authLevel]
	if !h.allowed(r, want) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	// Only a function with one input and one output, both HTTP, is proxied; all others get the envelope.
	if h.app.proxying && f.output != "" {
		h.proxy(w, r, f)
		return
	}
	h.envelop(w, r, f, params)
}

// route matches without regard to case, as ASP.NET does. A literal route beats one with parameters.
func (h *Host) route(method, path string) (*function, map[string]string) {
	var found *function
	var params map[string]string
	for _, name := range slices.Sorted(maps.Keys(h.app.functions)) {
		f := h.app.functions[name]
		if f.kind != httpCall || f.disabled || (len(f.methods) > 0 && !slices.Contains(f.methods, method)) {
			continue
		}
		template := strings.Trim(h.app.routePrefix+"/"+f.route, "/")
		p, ok := match(template, path)
		if ok && (found == nil || len(p) < len(params)) {
			found, params = f, p
		}
	}
	return found, params
}

// match compares a path with a template of literals, {name}, {name?}, {name:constraint} (the constraint is not checked) and a
// last {*rest}.
func match(template, path string) (map[string]string, bool) {
	params := map[string]string{}
	parts := strings.Split(path, "/")
	segments := strings.Split(template, "/")
	for i, segment := range segments {
		name, isParam := strings.CutPrefix(segment, "{")
		name = strings.TrimSuffix(name, "}")
		switch {
		case isParam && strings.HasPrefix(name, "*"):
			params[strings.TrimLeft(name, "*")] = strings.Join(parts[min(i, len(parts)):], "/")
			return params, true
		case i >= len(parts):
			if isParam && strings.HasSuffix(name, "?") && i == len(segments)-1 {
				return params, true
			}
			return nil, false
		case isParam:
			name, _, _ = strings.Cut(strings.TrimSuffix(name, "?"), ":")
			if parts[i] == "" {
				return nil, false
			}
			params[name] = parts[i]
		case !strings.EqualFold(segment, parts[i]):
			return nil, false
		}
	}
	return params, len(parts) <= len(segments)
}
