package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

const (
	hostVersion   = "4.1045.200"
	largestAnswer = 64 << 20
)

// Result is the end of one invocation.
type Result struct {
	InvocationID string
	Status       int      // of the handler's answer; 0 when there was none
	Body         []byte   // of the handler's answer, as it came
	Logs         []string // Logs of a successful answer
	// Err is nil when the invocation succeeded. Otherwise it wraps ErrFailed, ErrTimeout, ErrNotRunning or
	// ErrUnknownFunction, or the cause of the caller's context when that ended first (the invocation itself goes on).
	Err error

	outputs map[string]json.RawMessage
	value   json.RawMessage
}

// invoke posts one envelope to the handler in a goroutine of the host: a caller who goes away does not end the invocation
// (section 1.4), just as Event Grid's giving up after 30 s does not.
func (h *Host) invoke(ctx context.Context, f *function, body []byte) Result {
	done := make(chan Result, 1)
	id := guid()
	if !h.spawn(func(running context.Context) {
		begin := h.opts.Now()
		r := h.post(running, f, id, body)
		h.report(f, r, h.opts.Now().Sub(begin))
		done <- r
	}) {
		return Result{InvocationID: id, Err: fmt.Errorf("invoke %q: %w", f.name, ErrNotRunning)}
	}
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
		return Result{InvocationID: id, Err: fmt.Errorf("wait for %q: %w", f.name, context.Cause(ctx))}
	}
}

// spawn runs do in a goroutine that Stop waits for; false when the host is stopped.
func (h *Host) spawn(do func(running context.Context)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == stopped || h.running.Err() != nil {
		return false
	}
	running := h.running
	h.work.Go(func() { do(running) })
	return true
}

func (h *Host) report(f *function, r Result, took time.Duration) {
	for _, line := range r.Logs {
		h.logf("Function.%s.User: %s", f.name, line)
	}
	if r.Err != nil {
		h.logf("Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms): %v", f.name, r.InvocationID, took.Milliseconds(), r.Err)
		return
	}
	h.logf("Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)", f.name, r.InvocationID, took.Milliseconds())
}

func (h *Host) post(ctx context.Context, f *function, id string, body []byte) Result {
	r := Result{InvocationID: id}
	fail := func(err error) Result {
		r.Err = fmt.Errorf("invoke %q: %w", f.name, err)
		return r
	}
	w, err := h.await(ctx)
	if err != nil {
		return fail(err)
	}
	expired := h.deadline()
	defer expired.stop()
	req, err := http.NewRequestWithContext(w.reach, http.MethodPost, w.base+"/"+f.name, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return fail(err)
	}
	req.ContentLength = -1 // chunked, as the host sends it
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("X-Azure-Functions-InvocationId", id)
	req.Header.Set("X-Azure-Functions-HostVersion", hostVersion)
	req.Header.Set("User-Agent", "Azure-Functions-Host/"+hostVersion)
	resp, err := h.client.Do(req)
	if err == nil {
		r.Status = resp.StatusCode
		r.Body, err = io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
		_ = resp.Body.Close()
	}
	switch {
	case expired.done():
		<-expired.over
		return fail(ErrTimeout)
	case err != nil:
		return fail(fmt.Errorf("%w: %w", ErrFailed, plain(err)))
	}
	hangs, err := r.judge(resp)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrFailed, err))
	}
	if hangs {
		// Nothing in the host completes such an invocation: it lasts until functionTimeout (section 3).
		select {
		case <-expired.over:
			return fail(ErrTimeout)
		case <-ctx.Done():
			return fail(ErrNotRunning)
		}
	}
	return r
}

// judge applies the rules of section 3 to an answer that arrived whole. hangs means that the host would wait for ever.
func (r *Result) judge(resp *http.Response) (hangs bool, err error) {
	if r.Status < 200 || r.Status > 299 {
		return false, fmt.Errorf("response status code does not indicate success: %d", r.Status)
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := media == "application/json" || media == "text/json"
	text := bytes.TrimSpace(r.Body)
	if len(text) == 0 && (isJSON || resp.ContentLength == 0) {
		return true, nil
	}
	if !isJSON {
		return false, fmt.Errorf("invalid HttpResponseMessage: content type %q is not JSON", media)
	}
	if string(text) == "null" {
		return true, nil
	}
	var answer struct {
		Outputs     map[string]json.RawMessage
		Logs        []string
		ReturnValue json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return false, fmt.Errorf("invalid HttpResponseMessage: %w", err)
	}
	r.Logs, r.outputs, r.value = answer.Logs, answer.Outputs, answer.ReturnValue
	return false, nil
}

// deadline starts the clock of one invocation. When functionTimeout is over the handler is killed and replaced, and every
// other invocation in flight dies with it (section 1.4).
func (h *Host) deadline() *expiry {
	e := &expiry{fired: make(chan struct{}), over: make(chan struct{}), timer: time.NewTimer(0)}
	e.timer.Stop()
	if h.app.timeout > 0 {
		e.timer = time.AfterFunc(h.app.timeout, func() {
			close(e.fired)
			if w := h.current(); w != nil {
				h.replace(w)
			}
			close(e.over)
		})
	}
	return e
}

type expiry struct {
	fired chan struct{} // closed before the handler is killed, so that who dies of it knows why
	over  chan struct{} // closed after, so that the next invocation goes to the next handler
	timer *time.Timer
}

func (e *expiry) stop() { e.timer.Stop() }

func (e *expiry) done() bool {
	select {
	case <-e.fired:
		return true
	default:
		return false
	}
}

// plain strips the request's URL from a client error.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
