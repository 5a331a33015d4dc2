// Package faults makes a server misbehave on purpose: a Handler stands in front
// of any http.Handler, an emulator or a Proxy to a real server, and answers some
// requests itself, drops their connection, slows them or cuts their answer off.
// Transport serves a handler in-process, so that the same faults reach a client
// without a socket, also under testing/synctest.
package faults

import (
	"maps"
	"net/http"
	"strings"
	"sync"
)

// A Fault takes the place of a handler for one request. It may pass the request
// on to next, before or after it does harm.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// A Rule says which requests meet a fault. The zero value of each field but Do
// means "always".
type Rule struct {
	// Name is what Fired counts under.
	Name string
	// When picks requests by what is in their head; it must leave the body alone.
	When func(*http.Request) bool
	// Skip lets the first so many picked requests pass.
	Skip int
	// Times ends the rule after so many faults; 0 means never.
	Times int
	// Chance is the probability of a fault for a picked request; 0 means 1. A
	// request that chance spares counts neither for Skip nor for Times.
	Chance float64
	// Do is the fault.
	Do Fault
}

// On picks requests by method ("" means any) and by the start of their path.
func On(method, prefix string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.HasPrefix(r.URL.Path, prefix)
	}
}

// A Handler is a handler with faults. For each request the first rule that
// fires decides; with none the request passes unharmed. It is safe for
// concurrent use.
type Handler struct {
	next   http.Handler
	random func() float64

	mu    sync.Mutex // guards all below and random
	rules []*state
	fired map[string]int
}

type state struct {
	Rule
	picked, done int
}

// Wrap puts rules in front of next. random returns numbers in [0,1) and is
// needed only by rules with a Chance.
func Wrap(next http.Handler, random func() float64, rules ...Rule) *Handler {
	h := &Handler{next: next, random: random, fired: map[string]int{}}
	h.Add(rules...)
	return h
}

// Add appends rules; those before them come first.
func (h *Handler) Add(rules ...Rule) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, rule := range rules {
		h.rules = append(h.rules, &state{Rule: rule})
	}
}

// Clear removes all rules. Requests under way keep their fault.
func (h *Handler) Clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rules = nil
}

// Fired returns how often each rule did harm, by its name, also of rules that
// were removed.
func (h *Handler) Fired() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.fired)
}

// ServeHTTP passes the request on or lets a fault have it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if do := h.choose(r); do != nil {
		do(w, r, h.next)
		return
	}
	h.next.ServeHTTP(w, r)
}

func (h *Handler) choose(r *http.Request) Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.rules {
		if s.When != nil && !s.When(r) || s.Times > 0 && s.done >= s.Times {
			continue
		}
		if s.Chance > 0 && h.random() >= s.Chance {
			continue
		}
		if s.picked++; s.picked <= s.Skip {
			continue
		}
		s.done++
		h.fired[s.Name]++
		return s.Do
	}
	return nil
}
