package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Answer answers instead of the handler, which never sees the request. The
// header is given as names and values in turn.
func Answer(status int, body string, header ...string) Fault {
	if len(header)%2 != 0 {
		panic("faults: a header name without a value")
	}
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Throttle answers 429 with that body, and with Retry-After unless after is 0.
func Throttle(after time.Duration, body string) Fault {
	if after == 0 {
		return Answer(http.StatusTooManyRequests, body, "Content-Type", "application/json")
	}
	return Answer(http.StatusTooManyRequests, body, "Content-Type", "application/json",
		"Retry-After", strconv.Itoa(int(after/time.Second)))
}

// ResetBefore drops the connection; the handler never sees the request. Over
// real sockets net/http itself repeats a GET that was sent on a used connection.
func ResetBefore() Fault {
	return func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }
}

// ResetAfter lets the handler do its work and drops the connection instead of
// its answer: what was asked for is done, and the client cannot know.
func ResetAfter() Fault {
	return func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(newRecorder(), r)
		panic(http.ErrAbortHandler)
	}
}

// Delay waits before the handler gets the request. When sleep returns an error,
// as it should with the request's context, the connection is dropped.
func Delay(d time.Duration, sleep func(context.Context, time.Duration) error) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if sleep(r.Context(), d) != nil {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	}
}

// Hang holds the request until the client gives up; the handler never sees it.
func Hang() Fault {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { hang(r) }
}

// HangAfter lets the handler do its work, then holds the answer until the client
// gives up.
func HangAfter() Fault {
	return func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(newRecorder(), r)
		hang(r)
	}
}

// hang reads the body first: a server sees its client go only after that.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// Truncate lets the handler answer, sends the whole head but only the first n
// bytes of the body, and drops the connection.
func Truncate(n int) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := newRecorder()
		next.ServeHTTP(rec, r)
		body := rec.body.Bytes()
		for name, values := range rec.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(max(len(body), n+1)))
		w.WriteHeader(rec.status)
		_, _ = w.Write(body[:min(n, len(body))])
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(fmt.Sprintf("faults: truncate: %v", err))
		}
		panic(http.ErrAbortHandler)
	}
}
