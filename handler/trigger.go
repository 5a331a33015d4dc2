package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/keyferry/keyferry/secret"
)

// logs is the host's answer to an envelope. Each line is logged in the scope of the invocation.
type logs struct {
	Logs []string
}

var enveloped = fail(http.StatusInternalServerError, "unsupported", "this HTTP function arrived in an envelope",
	"set customHandler.enableProxyingHttpRequest to true in host.json, and give the function an http output binding")

var notImplemented = fail(http.StatusNotImplemented, "unsupported", "this function has no implementation in this build", "")

// events runs an Event Grid function for each event of an envelope, one after the other. One that may pass later makes the
// whole answer a 500, since the host knows no half success: the others are repeated and must bear it.
func (s *server) events(ctx context.Context, r *http.Request, function string, do func(context.Context, Event) (Answer, error)) reply {
	switch {
	case r.Method != http.MethodPost:
		return notAllowed(http.MethodPost)
	case do == nil:
		return notImplemented
	}
	value, err := readEnvelope(r)
	if err != nil {
		return s.unreadable(ctx, function, err)
	}
	raws, err := splitEvents(value)
	if err != nil {
		return s.unreadable(ctx, function, err)
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return failed(http.StatusInternalServerError, fmt.Errorf("wait for a free place: %w", context.Cause(ctx)))
	}
	var done logs
	var later *reply
	for _, raw := range raws {
		e, err := ParseEvent(raw)
		if err != nil {
			s.malformed(ctx, function, err)
			done.Logs = append(done.Logs, err.Error())
			continue
		}
		line, err := s.event(withEvent(ctx, e), e, do)
		if err != nil && later == nil {
			a := failed(http.StatusInternalServerError, err)
			later = &a
		}
		done.Logs = append(done.Logs, line)
	}
	if later != nil {
		return *later
	}
	return reply{status: http.StatusOK, body: done}
}

// event runs one event and logs its outcome. The error is one that may pass.
func (s *server) event(ctx context.Context, e Event, do func(context.Context, Event) (Answer, error)) (string, error) {
	about := string(e.Kind) + " " + e.Name
	if reason := e.NotOurs(s.opts.Vault); reason != "" {
		// The name of such an object is not checked, so it stays out of the lines for people.
		a := Answer{Outcome: "not-ours", Detail: reason}
		s.opts.Log.InfoContext(ctx, "event", "outcome", a.Outcome, "detail", a.Detail)
		return a.line(string(e.Kind)), nil
	}
	a, err := do(ctx, e)
	if err != nil {
		return s.trouble(ctx, "event", about, err)
	}
	s.opts.Log.InfoContext(ctx, "event", "outcome", a.outcome(), "detail", a.Detail)
	return a.line(about), nil
}

// trouble logs an error and returns it if it may pass; one that will not is answered by its line alone.
func (s *server) trouble(ctx context.Context, what, about string, err error) (string, error) {
	code := secret.Code(err)
	if secret.IsTransient(err) {
		s.opts.Log.WarnContext(ctx, what, "outcome", "failed", "code", code, "error", err.Error())
		return "", err
	}
	s.opts.Log.ErrorContext(ctx, what, "outcome", "refused", "code", code, "error", err.Error())
	return Answer{Outcome: "refused", Detail: code}.line(about), nil
}

// timer runs a timer function. Nothing in the envelope of a timer is needed for its work, so a tick counts even if the
// envelope cannot be read.
func (s *server) timer(ctx context.Context, r *http.Request, do func(context.Context, Timer) (Answer, error)) reply {
	switch {
	case r.Method != http.MethodPost:
		return notAllowed(http.MethodPost)
	case do == nil:
		return notImplemented
	}
	var info struct{ IsPastDue bool }
	value, err := readEnvelope(r)
	if err == nil {
		err = json.Unmarshal(value, &info)
	}
	if err != nil {
		s.opts.Log.WarnContext(ctx, "timer envelope not understood, running all the same")
	}
	a, err := do(ctx, Timer{PastDue: info.IsPastDue})
	if err != nil {
		line, err := s.trouble(ctx, "timer", "timer", err)
		if err != nil {
			return failed(http.StatusInternalServerError, err)
		}
		return reply{status: http.StatusOK, body: logs{[]string{line}}}
	}
	s.opts.Log.InfoContext(ctx, "timer", "outcome", a.outcome(), "detail", a.Detail)
	return reply{status: http.StatusOK, body: logs{[]string{a.line("timer")}}}
}

// unreadable answers an envelope that could not be read: a broken connection may mend, malformed bytes will not.
func (s *server) unreadable(ctx context.Context, function string, err error) reply {
	if bad := errMalformed(""); !errors.As(err, &bad) {
		s.opts.Log.WarnContext(ctx, "request broke off")
		return fail(http.StatusInternalServerError, "unavailable", "the request body broke off", "")
	}
	s.malformed(ctx, function, err)
	return reply{status: http.StatusOK, body: logs{[]string{err.Error()}}}
}

func (s *server) malformed(ctx context.Context, function string, reason error) {
	s.opts.Log.ErrorContext(ctx, "malformed", "error", reason.Error())
	if s.Malformed != nil {
		s.Malformed(ctx, function, reason.Error())
	}
}
