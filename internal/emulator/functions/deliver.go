package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// timers remembers when each timer function last ran; the real host keeps that in a blob.
type timers struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// Deliver invokes an Event Grid function with one event, a JSON object in either schema. A function with cardinality many
// receives a batch of one, or the whole batch when event is an array. Deliver returns when the invocation has ended or ctx has.
func (h *Host) Deliver(ctx context.Context, function string, event []byte) Result {
	f, err := h.find(function, eventGrid)
	if err != nil {
		return Result{Err: err}
	}
	events := []json.RawMessage{event}
	if text := bytes.TrimSpace(event); f.many && len(text) > 0 && text[0] == '[' {
		if err := json.Unmarshal(text, &events); err != nil {
			return Result{Err: fmt.Errorf("deliver to %q: %w", function, err)}
		}
	}
	return h.deliver(ctx, f, events)
}

func (h *Host) deliver(ctx context.Context, f *function, events []json.RawMessage) Result {
	body, err := eventEnvelope(f, events, h.opts.Now())
	if err != nil {
		return Result{Err: fmt.Errorf("deliver to %q: %w", f.name, err)}
	}
	return h.invoke(ctx, f, body)
}

// Tick invokes a timer function as if an occurrence of its schedule were due now. The host has no scheduler of its own:
// whoever wants one calls Tick. A failure is not repeated (section 2.4).
func (h *Host) Tick(ctx context.Context, function string) Result { return h.tick(ctx, function, false) }

// TickPastDue is Tick as the host does it once at its start when occurrences were missed: IsPastDue is true.
func (h *Host) TickPastDue(ctx context.Context, function string) Result {
	return h.tick(ctx, function, true)
}

func (h *Host) tick(ctx context.Context, function string, pastDue bool) Result {
	f, err := h.find(function, timer)
	if err != nil {
		return Result{Err: err}
	}
	now := h.opts.Now()
	body, err := timerEnvelope(f, h.timers.swap(function, now), now, pastDue)
	if err != nil {
		return Result{Err: fmt.Errorf("tick %q: %w", function, err)}
	}
	return h.invoke(ctx, f, body)
}

func (t *timers) swap(function string, now time.Time) (last time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	last, t.last[function] = t.last[function], now
	return last
}

func (h *Host) find(name string, want kind) (*function, error) {
	f, ok := h.app.functions[name]
	if !ok || f.disabled {
		return nil, fmt.Errorf("find %q: %w", name, ErrUnknownFunction)
	}
	if f.kind != want {
		return nil, fmt.Errorf("find %q: %w: it has a %s, not a %s", name, ErrUnknownFunction, f.kind, want)
	}
	return f, nil
}
