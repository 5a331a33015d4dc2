package functions

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// serveWebhook is what Event Grid delivers to: POST /runtime/webhooks/eventgrid?functionName=F (section 4).
//
// 202 when every invocation succeeded, 500 when one failed (Event Grid redelivers all), 404 for an unknown function, 400 for
// an unknown aeg-event-type, 401 for a wrong key. The validation handshakes are answered here; no handler sees them.
func (h *Host) serveWebhook(w http.ResponseWriter, r *http.Request) {
	if !h.allowed(r, h.opts.Keys.System) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name := r.URL.Query().Get("functionName")
	f, err := h.find(name, eventGrid)
	if err != nil {
		http.Error(w, "cannot find function: '"+name+"'", http.StatusNotFound)
		return
	}
	if r.Method == http.MethodOptions && r.Header.Get("WebHook-Request-Origin") != "" {
		w.Header().Set("WebHook-Allowed-Origin", r.Header.Get("WebHook-Request-Origin"))
		w.WriteHeader(http.StatusOK)
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	switch kind := r.Header.Get("aeg-event-type"); {
	case strings.EqualFold(kind, "Notification"):
		h.serveNotification(w, r, f)
	case strings.EqualFold(kind, "SubscriptionValidation"):
		serveValidation(w, r)
	case strings.EqualFold(kind, "Unsubscribe"):
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (h *Host) serveNotification(w http.ResponseWriter, r *http.Request, f *function) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	events, err := splitEvents(body)
	if err != nil {
		http.Error(w, "the request content should be a JSON object or array", http.StatusInternalServerError)
		return
	}
	for _, err := range h.dispatch(r, f, events) {
		if err != nil {
			http.Error(w, "Exception while executing function: Functions."+f.name, http.StatusInternalServerError)
			return
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

// dispatch runs one invocation for all events with cardinality many, and otherwise one for each, in parallel.
func (h *Host) dispatch(r *http.Request, f *function, events []json.RawMessage) []error {
	if f.many {
		return []error{h.deliver(r.Context(), f, events).Err}
	}
	errs := make([]error, len(events))
	var all sync.WaitGroup
	for i, event := range events {
		all.Go(func() { errs[i] = h.deliver(r.Context(), f, []json.RawMessage{event}).Err })
	}
	all.Wait()
	return errs
}

// splitEvents takes an array of events or a single one, which structured CloudEvents are.
func splitEvents(body []byte) ([]json.RawMessage, error) {
	var events []json.RawMessage
	if json.Unmarshal(body, &events) == nil {
		return events, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, err
	}
	return []json.RawMessage{body}, nil
}

// serveValidation answers the handshake of the Event Grid schema.
func serveValidation(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var events []struct {
		Data struct {
			ValidationCode string `json:"validationCode"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &events); err != nil || len(events) == 0 {
		http.Error(w, "not a validation event", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"validationResponse": events[0].Data.ValidationCode}) // the client may have gone
}
