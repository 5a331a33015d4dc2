// Package eventgrid emulates the publishing side of one Azure Event Grid custom topic: POST /api/events.
//
// It is strict: a publisher that the real topic might refuse is refused here. It keeps every accepted event in memory and
// delivers nothing. Wire facts: facts/keyvault.md 4.6 and the REST reference of Event Grid, api-version 2018-01-01.
package eventgrid

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	apiVersion  = "2018-01-01"
	maxRequest  = 1 << 20 // 1 MB for a request, and so for an event
	contentJSON = "application/json"
	contentCE   = "application/cloudevents+json"
	contentCEs  = "application/cloudevents-batch+json"
)

// Schema is the schema an event was published in.
type Schema string

// The schemas a topic takes.
const (
	EventGridSchema Schema = "EventGridSchema"
	CloudEvents     Schema = "CloudEventSchemaV1_0"
)

// Event is one accepted event with the names both schemas share.
type Event struct {
	Schema  Schema
	ID      string
	Type    string
	Source  string // CloudEvents source; Event Grid topic, as far as the publisher gave one
	Subject string
	Time    time.Time       // zero when a CloudEvent has none
	Data    json.RawMessage // nil when absent or in data_base64
	Raw     json.RawMessage // the event as it came
}

// Options says who may publish and what. A topic with neither Key nor Token refuses everybody.
type Options struct {
	Key    string            // header aeg-sas-key
	Token  func(string) bool // accepts a bearer token; nil: none
	Schema Schema            // the input schema of the topic, which refuses the other one; empty: takes both

	// Received is called for each event, in order, without locks held; it may be nil.
	Received func(Event)
}

// Topic is the emulator, an http.Handler. It is safe for concurrent use.
type Topic struct {
	opts   Options
	mu     sync.Mutex
	events []Event
}

// New makes an empty topic.
func New(opts Options) *Topic { return &Topic{opts: opts} }

// Events returns a copy of all accepted events in the order of their arrival.
func (t *Topic) Events() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events)
}

// Reset forgets all events.
func (t *Topic) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = nil
}

// ServeHTTP answers 200 without content for accepted events, 401 without a valid key or token, 413 above 1 MB, and 400 for
// everything malformed; a batch is accepted as a whole or not at all.
func (t *Topic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/events" {
		refuse(w, http.StatusNotFound, "NotFound", "The path is not known; want /api/events.")
		return
	}
	if r.Method != http.MethodPost {
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "Publish with POST.")
		return
	}
	if !t.allowed(r) {
		refuse(w, http.StatusUnauthorized, "Unauthorized", "The request authorization key is not authorized for the topic.")
		return
	}
	if v := r.URL.Query().Get("api-version"); v != apiVersion {
		refuse(w, http.StatusBadRequest, "BadRequest", "The api-version is not supported; want "+apiVersion+".")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, "PayloadTooLarge", "The maximum size of a request is 1048576 bytes.")
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", "The request body broke off.")
		return
	}
	events, err := decode(r.Header.Get("Content-Type"), body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	for _, e := range events {
		if t.opts.Schema != "" && e.Schema != t.opts.Schema {
			refuse(w, http.StatusBadRequest, "BadRequest", "This resource is configured to receive events in the schema "+string(t.opts.Schema)+".")
			return
		}
	}
	t.mu.Lock()
	t.events = append(t.events, events...)
	t.mu.Unlock()
	if t.opts.Received != nil {
		for _, e := range events {
			t.opts.Received(e)
		}
	}
	w.WriteHeader(http.StatusOK)
}

func (t *Topic) allowed(r *http.Request) bool {
	if key := r.Header.Get("aeg-sas-key"); key != "" {
		return t.opts.Key != "" && subtle.ConstantTimeCompare([]byte(key), []byte(t.opts.Key)) == 1
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && t.opts.Token != nil && t.opts.Token(token)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	body := map[string]map[string]string{"error": {"code": code, "message": message}}
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}
