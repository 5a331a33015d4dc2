package handler

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
)

// invocation is what the lines of a log are joined by: the host does not tie console lines to invocations itself.
type invocation struct {
	function, id, trace, event, secret string
}

type invocationKey struct{}

var (
	invocationID = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)
	traceParent  = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}`)
)

// withInvocation puts the ids of a request into its context. Ids of another form than the host's are left out.
func withInvocation(r *http.Request, function string) context.Context {
	in := invocation{function: function}
	if id := r.Header.Get("X-Azure-Functions-InvocationId"); invocationID.MatchString(id) {
		in.id = id
	}
	if m := traceParent.FindStringSubmatch(r.Header.Get("traceparent")); m != nil {
		in.trace = m[1]
	}
	return context.WithValue(r.Context(), invocationKey{}, in)
}

func withEvent(ctx context.Context, e Event) context.Context {
	in, _ := ctx.Value(invocationKey{}).(invocation)
	in.event = e.ID
	if e.Kind != Other {
		in.secret = e.Name
	}
	return context.WithValue(ctx, invocationKey{}, in)
}

// NewLog writes JSON, a line for each record, and adds to every record that is logged with the context of an invocation:
// function, invocationId, traceId, eventId and secret (its name), as far as they are known. Give it os.Stdout: the host takes
// each line on stderr for an error.
func NewLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(inContext{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

// inContext adds the ids of the invocation. After WithGroup they stand in the group.
type inContext struct{ slog.Handler }

func (h inContext) Handle(ctx context.Context, r slog.Record) error {
	if in, ok := ctx.Value(invocationKey{}).(invocation); ok {
		for _, a := range []slog.Attr{
			slog.String("function", in.function), slog.String("invocationId", in.id), slog.String("traceId", in.trace),
			slog.String("eventId", in.event), slog.String("secret", in.secret),
		} {
			if a.Value.String() != "" {
				r.AddAttrs(a)
			}
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h inContext) WithAttrs(attrs []slog.Attr) slog.Handler {
	return inContext{h.Handler.WithAttrs(attrs)}
}

func (h inContext) WithGroup(name string) slog.Handler {
	return inContext{h.Handler.WithGroup(name)}
}
