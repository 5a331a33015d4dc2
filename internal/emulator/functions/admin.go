package functions

import (
	"context"
	"encoding/json"
	"net/http"
)

// serveAdmin triggers a function by hand: POST /admin/functions/<name> with {"input":"..."}, where input is the event as
// JSON text for an Event Grid function and ignored for a timer (section 7). It answers 202 at once; how the invocation ended
// is in the log.
func (h *Host) serveAdmin(w http.ResponseWriter, r *http.Request, name string) {
	if !h.allowed(r, h.opts.Keys.Master) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f, ok := h.app.functions[name]
	if !ok || f.disabled {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var call struct {
		Input *string `json:"input"`
	}
	if err := json.Unmarshal(body, &call); err != nil || call.Input == nil {
		http.Error(w, `want {"input":"..."}`, http.StatusBadRequest)
		return
	}
	var run func(context.Context)
	switch f.kind {
	case timer:
		run = func(ctx context.Context) { h.Tick(ctx, name) }
	case eventGrid:
		if !json.Valid([]byte(*call.Input)) {
			http.Error(w, "input is not the JSON text of an event", http.StatusBadRequest)
			return
		}
		run = func(ctx context.Context) { h.Deliver(ctx, name, []byte(*call.Input)) }
	default:
		http.Error(w, "call an HTTP function by its route", http.StatusBadRequest)
		return
	}
	if !h.spawn(run) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
