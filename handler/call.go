package handler

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// largestCall bounds the body of an HTTP function.
const largestCall = 64 << 10

// Call is an HTTP function, made by Get, Post or PostAt. The host has checked the function key.
type Call struct {
	method string
	route  string // as in function.json; empty: the name of the function
	do     func(context.Context, *http.Request) (Answer, error)
}

// Get is a function that only reports. It is given the query without the key of the function.
func Get(do func(context.Context, url.Values) (Answer, error)) Call {
	return Call{method: http.MethodGet, do: func(ctx context.Context, r *http.Request) (Answer, error) {
		query := r.URL.Query()
		query.Del("code")
		return do(ctx, query)
	}}
}

// Post is a function that acts. Its body is one JSON object that fits T exactly, unknown names refused; no body at all is
// the zero T.
func Post[T any](do func(context.Context, T) (Answer, error)) Call {
	return Call{method: http.MethodPost, do: func(ctx context.Context, r *http.Request) (Answer, error) {
		var input T
		if err := readCall(r, &input); err != nil {
			return Answer{}, err
		}
		return do(ctx, input)
	}}
}

// PostAt is Post for a function whose route ends in a parameter, as in "rotate/{name}". do is given its text as it came.
func PostAt[T any](route string, do func(ctx context.Context, parameter string, input T) (Answer, error)) Call {
	c := Call{method: http.MethodPost, route: route}
	c.do = func(ctx context.Context, r *http.Request) (Answer, error) {
		var input T
		if err := readCall(r, &input); err != nil {
			return Answer{}, err
		}
		parameter, _ := c.matches(strings.TrimPrefix(r.URL.Path, routePrefix), "")
		return do(ctx, parameter, input)
	}
	return c
}

// matches compares a path with the route, or with the name of the function where it has none, without regard to case as
// the host does, and returns the text of a last {parameter}.
func (c Call) matches(path, name string) (parameter string, ok bool) {
	route := cmp.Or(c.route, name)
	head, open := strings.CutSuffix(route, "}")
	if !open {
		return "", strings.EqualFold(path, route)
	}
	head = head[:strings.LastIndexByte(head, '{')]
	if len(path) <= len(head) || !strings.EqualFold(path[:len(head)], head) || strings.Contains(path[len(head):], "/") {
		return "", false
	}
	return path[len(head):], true
}

// errMediaType is answered 415, which is no matter of the domain's error table.
var errMediaType = fmt.Errorf("content type is not application/json: %w", secret.ErrInvalid)

func readCall(r *http.Request, into any) error {
	body, err := readLimited(r.Body, largestCall)
	var bad errMalformed
	switch {
	case errors.As(err, &bad):
		return fmt.Errorf("body over %d bytes: %w", largestCall, secret.ErrTooLarge)
	case err != nil:
		return fmt.Errorf("body broke off: %w", secret.ErrInvalid)
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return errMediaType
	}
	return decodeCall(body, into)
}

// decodeCall is strict. Its errors name the field at fault and quote no value.
func decodeCall(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		// Before the name stand those of Go's structs.
		name := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		return fmt.Errorf("body: %q must be a %s: %w", name, wrong.Type.Kind(), secret.ErrInvalid)
	case errors.As(err, &wrong):
		return fmt.Errorf("body: not a JSON object: %w", secret.ErrInvalid)
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("body: not valid JSON: %w", secret.ErrInvalid)
	case err != nil:
		return fmt.Errorf("body: %w: %w", err, secret.ErrInvalid) // json: unknown field "x"
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("body: more than one JSON value: %w", secret.ErrInvalid)
	}
	return nil
}

// call runs an HTTP function and answers by secret's error table.
func (s *server) call(ctx context.Context, r *http.Request, c Call) reply {
	if c.do == nil {
		return notImplemented
	}
	if r.Method != c.method {
		return notAllowed(c.method)
	}
	a, err := c.do(ctx, r)
	out := reply{status: secret.HTTPStatus(err), body: a.Body}
	if errors.Is(err, errMediaType) {
		out.status = http.StatusUnsupportedMediaType
	}
	switch {
	case err != nil:
		s.logCall(ctx, out.status, err)
		if a.Body == nil {
			return failed(out.status, err)
		}
		return out
	case a.Pending:
		out.status = http.StatusAccepted
	}
	if a.Body == nil {
		out.body = struct {
			Outcome string `json:"outcome"`
			Detail  string `json:"detail,omitempty"`
		}{a.outcome(), a.Detail}
	}
	s.opts.Log.InfoContext(ctx, "call", "outcome", a.outcome(), "detail", a.Detail)
	return out
}

// logCall logs a failed call: what the caller did wrong is no news, what went wrong here is.
func (s *server) logCall(ctx context.Context, status int, err error) {
	level := slog.LevelWarn
	if status >= 500 && !secret.IsTransient(err) {
		level = slog.LevelError
	}
	s.opts.Log.Log(ctx, level, "call", "outcome", "failed", "code", secret.Code(err), "error", err.Error())
}
