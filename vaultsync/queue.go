package vaultsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// Records keeps what runs tell one another: the scopes that wait, how far the run at work is, and the last report. None
// of it is needed for a run to be right. state.Blob and state.Memory implement it.
type Records interface {
	Get(ctx context.Context, key string) (state.Record, error)
	Put(ctx context.Context, key string, data []byte, etag string) (string, error)
	Delete(ctx context.Context, key, etag string) error
}

// Progress is how far the run at work is.
type Progress struct {
	Since time.Time `json:"since"`
	Done  int       `json:"done"`
	Total int       `json:"total"`
}

func (e *Engine) key(what string) string { return "sync/" + secret.FoldName(e.Name) + "/" + what }

// maxWaiting bounds the scopes that wait; what comes beyond makes the next run a whole one.
const maxWaiting = 50

// wait keeps a scope for the run that holds the lease, or for the next one.
func (e *Engine) wait(ctx context.Context, s Scope) error {
	if e.Records == nil {
		return nil
	}
	for range 5 { // somebody else may be adding too
		waiting, etag, err := e.waiting(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(waiting, s) {
			return nil
		}
		if waiting = append(waiting, s); len(waiting) > maxWaiting {
			waiting = []Scope{{}}
		}
		data, err := json.Marshal(waiting)
		if err != nil {
			return err
		}
		if _, err = e.Records.Put(ctx, e.key("waiting"), data, etag); !errors.Is(err, secret.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("keep the scope for the next run: %w", secret.ErrConflict)
}

func (e *Engine) waiting(ctx context.Context) ([]Scope, string, error) {
	if e.Records == nil {
		return nil, "", nil
	}
	record, err := e.Records.Get(ctx, e.key("waiting"))
	if errors.Is(err, secret.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the scopes that wait: %w", err)
	}
	var waiting []Scope
	if err := json.Unmarshal(record.Data, &waiting); err != nil {
		return nil, record.ETag, nil // somebody's edit: replaced by the next one
	}
	return waiting, record.ETag, nil
}

// take removes up to n of the scopes that wait, those for which ready is true, and returns them.
func (e *Engine) take(ctx context.Context, n int, ready func(Scope) bool) []Scope {
	for range 5 { // somebody else may be adding
		waiting, etag, err := e.waiting(ctx)
		if err != nil {
			return nil
		}
		var taken, left []Scope
		for _, s := range waiting {
			if len(taken) < n && ready(s) {
				taken = append(taken, s)
			} else {
				left = append(left, s)
			}
		}
		if len(taken) == 0 {
			return nil
		}
		if len(left) == 0 {
			err = e.Records.Delete(ctx, e.key("waiting"), etag)
		} else if data, bad := json.Marshal(left); bad == nil {
			_, err = e.Records.Put(ctx, e.key("waiting"), data, etag)
		}
		if err == nil {
			return taken
		}
		if !errors.Is(err, secret.ErrConflict) {
			return nil
		}
	}
	return nil
}

// runWaiting runs the scopes that others asked for meanwhile, one after another, while there is time for another run
// like the last one. They find the outcome in the last report. What is cut off waits again; what is lost because the
// process died is covered by the next timer, which runs everything.
func (e *Engine) runWaiting(ctx context.Context, took time.Duration) {
	for range maxWaiting {
		if state.Outlasts(ctx, min(took, state.MaxStep)) != nil || !hasTime(ctx, took) {
			return
		}
		next := e.take(ctx, 1, func(Scope) bool { return true })
		if len(next) == 0 {
			return
		}
		report := e.newReport(false)
		if err := e.once(ctx, next[0], nil, report); err != nil && !errors.Is(err, secret.ErrPartial) {
			e.waitAgain(ctx, next...)
			return
		}
	}
}

// waitAgain puts back what was taken and not run.
func (e *Engine) waitAgain(ctx context.Context, taken ...Scope) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	for _, s := range taken {
		_ = e.wait(ctx, s)
	}
}

// hasTime reports whether the deadline leaves so much.
func hasTime(ctx context.Context, d time.Duration) bool {
	deadline, set := ctx.Deadline()
	return !set || time.Until(deadline) > d
}

// covers reports whether a run of s does all that one of the other scope would.
func (s Scope) covers(other Scope) bool {
	return (s.Rule == "" || s.Rule == other.Rule) && strings.HasPrefix(other.Prefix, s.Prefix) &&
		(s.Full || !other.Full) && s.AllowRemovals >= other.AllowRemovals
}

// Running is how far the run at work says it is; the zero Progress when it does not say.
func (e *Engine) Running(ctx context.Context) Progress {
	var p Progress
	if e.Records == nil {
		return p
	}
	if record, err := e.Records.Get(ctx, e.key("running")); err == nil {
		_ = json.Unmarshal(record.Data, &p)
	}
	return p
}

// Last is the last report about the whole destination; secret.ErrNotFound before the first run.
func (e *Engine) Last(ctx context.Context) (*Report, error) {
	if e.Records == nil {
		return nil, fmt.Errorf("read the last report: %w", secret.ErrNotFound)
	}
	record, err := e.Records.Get(ctx, e.key("last"))
	if err != nil {
		return nil, fmt.Errorf("read the last report: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(record.Data, r); err != nil {
		return nil, fmt.Errorf("read the last report: %w", secret.ErrInvalid)
	}
	return r, nil
}

// keptItems bounds the report that is kept; the counts are always whole.
const keptItems = 1000

// keep stores the report. That it could not be stored changes nothing about the run.
func (e *Engine) keep(ctx context.Context, s Scope, r *Report) {
	if e.Records == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	what := "last"
	if !s.whole() {
		what = "last-part" // the last whole one says what is known of the rest
	}
	short := r.short(keptItems)
	data, err := json.Marshal(short)
	if err == nil && len(data) <= state.MaxRecord {
		_ = e.replace(ctx, e.key(what), data)
	}
	if etag := e.etag(ctx, e.key("running")); etag != "" {
		_ = e.Records.Delete(ctx, e.key("running"), etag)
	}
}

func (e *Engine) etag(ctx context.Context, key string) string {
	record, err := e.Records.Get(ctx, key)
	if err != nil {
		return ""
	}
	return record.ETag
}

func (e *Engine) replace(ctx context.Context, key string, data []byte) error {
	_, err := e.Records.Put(ctx, key, data, e.etag(ctx, key))
	return err
}

// tellEvery is how often a run says how far it is.
const tellEvery = 5 * time.Second

// teller tells the caller at every step, and the record now and then, how far the run is that began then.
func (e *Engine) teller(ctx context.Context, began time.Time) func(done, total int) {
	last := began
	var mu sync.Mutex
	return func(done, total int) {
		e.Progress(done, total)
		now := e.Now()
		if e.Records == nil || !mu.TryLock() {
			return
		}
		defer mu.Unlock()
		if now.Sub(last) < tellEvery {
			return
		}
		last = now
		if data, err := json.Marshal(Progress{Since: began.UTC(), Done: done, Total: total}); err == nil {
			_ = e.replace(ctx, e.key("running"), data)
		}
	}
}
