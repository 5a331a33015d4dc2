package handler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Functions holds what each trigger does, by the exact name of the function's folder. A name with a nil function answers 501.
// The functions are called from many goroutines; their context ends with the deadline of the trigger's kind or when the
// host drops the connection. An error is answered by its class in secret, so it must wrap a sentinel of that package to be
// final; alerts about it are the function's own affair.
type Functions struct {
	Events map[string]func(context.Context, Event) (Answer, error)
	Timers map[string]func(context.Context, Timer) (Answer, error)
	HTTP   map[string]Call

	// Malformed is told of everything that was answered 200 because it could not be read, so that somebody learns of it.
	// The reason holds no foreign text. nil: only logged.
	Malformed func(ctx context.Context, function, reason string)
}

// Timer is one tick. The host's own times are not passed on: they are known to be odd, and the engines have a clock.
type Timer struct {
	PastDue bool // an occurrence was missed while the host was down
}

// Answer is what a function did. Its text reaches logs and people and must be free of secrets.
type Answer struct {
	Outcome string // one word for counting: rotated, not-due; empty means "done"
	Detail  string // a sentence for people, may be empty
	// Body is the JSON of an HTTP answer, also of one that comes with an error; nil means outcome and detail, or the error.
	Body any
	// Pending says that the work goes on after the answer: an HTTP function answers 202.
	Pending bool
}

// Options has a useful zero value except for Vault.
type Options struct {
	Vault string       // name of the Key Vault whose events are ours, in any case; empty: all are
	Log   *slog.Logger // see NewLog; nil: nothing is logged

	// How long one call may take. Event Grid gives up after 30 s, the HTTP front end after 230 s, and functionTimeout of
	// host.json kills the process; each deadline stays below its limit.
	EventDeadline time.Duration // 0: 25 s
	HTTPDeadline  time.Duration // 0: 200 s
	TimerDeadline time.Duration // 0: 9.5 min

	// Concurrency bounds the events at work at the same time; others wait within their deadline. 0: 16.
	Concurrency int
}

// routePrefix is host.json's default, under which proxied HTTP functions arrive.
const routePrefix = "/api/"

type server struct {
	Functions
	opts Options
	busy chan struct{}
}

// New returns the handler for all requests of the host. It starts nothing and touches no network.
func New(f Functions, opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.EventDeadline = cmp.Or(opts.EventDeadline, 25*time.Second)
	opts.HTTPDeadline = cmp.Or(opts.HTTPDeadline, 200*time.Second)
	opts.TimerDeadline = cmp.Or(opts.TimerDeadline, 9*time.Minute+30*time.Second)
	opts.Concurrency = cmp.Or(opts.Concurrency, 16)
	s := &server{Functions: f, opts: opts, busy: make(chan struct{}, opts.Concurrency)}
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		s.ready(w, r)
		return
	}
	if call, ok := strings.CutPrefix(r.URL.Path, routePrefix); ok {
		if name, ok := s.called(call); ok {
			s.serve(w, r, name, s.opts.HTTPDeadline, func(ctx context.Context) reply { return s.call(ctx, r, s.HTTP[name]) })
			return
		}
		s.unknown(w, r)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if do, ok := s.Events[name]; ok {
		s.serve(w, r, name, s.opts.EventDeadline, func(ctx context.Context) reply { return s.events(ctx, r, name, do) })
		return
	}
	if do, ok := s.Timers[name]; ok {
		s.serve(w, r, name, s.opts.TimerDeadline, func(ctx context.Context) reply { return s.timer(ctx, r, do) })
		return
	}
	if _, ok := s.HTTP[name]; ok {
		s.serve(w, r, name, s.opts.HTTPDeadline, func(context.Context) reply { return enveloped })
		return
	}
	s.unknown(w, r)
}

// called finds the HTTP function of a path below the route prefix.
func (s *server) called(path string) (name string, ok bool) {
	for name, c := range s.HTTP {
		if _, ok := c.matches(path, name); ok {
			return name, true
		}
	}
	return "", false
}

// unknown answers what no route knows. The host asks only for functions it found, so the app and this binary do not match.
func (s *server) unknown(w http.ResponseWriter, r *http.Request) {
	s.opts.Log.WarnContext(r.Context(), "unknown function", "path", fmt.Sprintf("%.128s", r.URL.Path))
	_, _ = write(w, fail(http.StatusNotFound, "not-found", "no function has this name", "the folders of function.json and this version of keyferry do not match"))
}

// ready answers the host's probe, which comes every 25 ms at the start and now and then later: cheap and never logged.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		_, _ = write(w, notAllowed(http.MethodGet)) // plain strings marshal
		return
	}
	_, _ = write(w, reply{status: http.StatusOK, body: map[string]string{"keyferry": "ready"}})
}

// serve runs one invocation: its context with deadline and ids, panics, the answer and the line in the log.
func (s *server) serve(w http.ResponseWriter, r *http.Request, name string, limit time.Duration, do func(context.Context) reply) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(withInvocation(r, name), limit)
	defer cancel()
	a := s.guard(ctx, do)
	status, err := write(w, a)
	if err != nil {
		s.opts.Log.ErrorContext(ctx, "answer", "error", err.Error())
	}
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelWarn
	}
	s.opts.Log.Log(ctx, level, "invocation", "status", status, "ms", time.Since(begin).Milliseconds())
}

// guard turns a panic into a 500. The text of a panic may quote anything, so only its type and the stack are logged.
func (s *server) guard(ctx context.Context, do func(context.Context) reply) (a reply) {
	defer func() {
		switch p := recover(); {
		case p == http.ErrAbortHandler:
			panic(p)
		case p != nil:
			s.opts.Log.ErrorContext(ctx, "panic", "type", fmt.Sprintf("%T", p), "stack", stack())
			a = fail(http.StatusInternalServerError, "failed", "internal error; the log has the stack", "")
		}
	}()
	return do(ctx)
}
