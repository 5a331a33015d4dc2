package handler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/keyferry/keyferry/secret"
)

// reply is an answer on its way to the wire. body must marshal to something; what is not an object is put into one.
type reply struct {
	status int
	allow  string // of a 405
	body   any
}

// failure is the body of every answer that reports an error.
type failure struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	} `json:"error"`
}

// longestMessage keeps the joined errors of a whole run from filling the answer; the log has them all.
const longestMessage = 2 << 10

func fail(status int, code, message, hint string) reply {
	var f failure
	if len(message) > longestMessage {
		message = message[:longestMessage] + "..."
	}
	f.Error.Code, f.Error.Message, f.Error.Hint = code, message, hint
	return reply{status: status, body: f}
}

// failed answers an error of a function with the given status.
func failed(status int, err error) reply {
	return fail(status, secret.Code(err), err.Error(), secret.Hint(err))
}

func notAllowed(method string) reply {
	a := fail(http.StatusMethodNotAllowed, "invalid", "this address answers "+method+" only", "")
	a.allow = method
	return a
}

// write sends the answer and returns the status sent. It is the only place that does: always JSON, always a non-empty object,
// always whole. A body that does not marshal, as one with a secret.Value inside, becomes a 500 without a trace of it, and the
// error says why.
func write(w http.ResponseWriter, a reply) (int, error) {
	text, err := marshal(a.body)
	if err != nil {
		a.status = http.StatusInternalServerError
		text, _ = marshal(fail(a.status, "failed", "the answer is not JSON; the log says why", "").body) // plain strings marshal
		err = fmt.Errorf("encode answer of %T: %w", a.body, err)
	}
	if a.allow != "" {
		w.Header().Set("Allow", a.allow)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(a.status)
	_, _ = w.Write(text) // the host may have gone
	return a.status, err
}

func marshal(body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if len(text) < 3 || text[0] != '{' { // {} is an object, but an empty one
		return json.Marshal(map[string]json.RawMessage{"result": text})
	}
	return text, nil
}

// outcome is the line an answer leaves in the host's log.
func (a Answer) outcome() string {
	if a.Outcome == "" {
		return "done"
	}
	return a.Outcome
}

func (a Answer) line(about string) string {
	line := about + ": " + a.outcome()
	if a.Detail != "" {
		line += ": " + a.Detail
	}
	return line
}

// stack is the stack of a panicking goroutine without the first line's goroutine number, which says nothing.
func stack() string {
	_, rest, _ := bytes.Cut(debug.Stack(), []byte("\n"))
	return string(rest)
}
