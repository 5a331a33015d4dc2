package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

var versioned = vaultsync.Mount{Path: "kv", Version: 2, ID: "u/a"}

// held is a version 2 secret at kv/data/p that loses answers as a test wants.
type held struct {
	mu      sync.Mutex
	version int
	value   string   // of the field "a"; "" when the version is deleted
	writes  []string // what happens to each write, the last one for ever
	reads   []string // likewise
	seen    []string // methods, in their order
}

const heldState = `"created_time":"2026-01-01T00:00:00Z","deletion_time":"","destroyed":false,"custom_metadata":null`

// turn takes the next of the fates; none is "ok".
func turn(fates *[]string) string {
	if len(*fates) == 0 {
		return "ok"
	}
	fate := (*fates)[0]
	if len(*fates) > 1 {
		*fates = (*fates)[1:]
	}
	return fate
}

func (h *held) RoundTrip(req *http.Request) (*http.Response, error) {
	return script(h.answer).RoundTrip(req)
}

func (h *held) answer(req *http.Request) reply {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, req.Method)
	reset := reply{err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}
	fates := &h.writes
	if req.Method == http.MethodGet {
		fates = &h.reads
	}
	fate := turn(fates)
	switch fate {
	case "reset before":
		return reset
	case "refused":
		return reply{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	case "403":
		return refusal(403, "permission denied")
	case "405":
		return refusal(405, "unsupported operation")
	case "429":
		return refusal(429, "rate limit")
	case "sealed":
		return refusal(503, "Vault is sealed")
	case "somebody else first":
		h.version, h.value = h.version+1, `"another"`
	}
	if req.Method == http.MethodGet {
		if h.value == "" {
			return reply{status: 404, body: `{"data":{"data":null,"metadata":{"version":` + number(h.version) + `,"created_time":"2026-01-01T00:00:00Z","deletion_time":"2026-01-01T00:00:00Z","destroyed":false}}}`}
		}
		if fate == "stale" {
			return reply{status: 200, body: `{"data":{"data":{"a":"old"},"metadata":{"version":1,` + heldState + `}}}`}
		}
		return reply{status: 200, body: `{"data":{"data":{"a":` + h.value + `,"b":2},"metadata":{"version":` + number(h.version) + `,` + heldState + `}}}`}
	}
	var body struct {
		Options struct{ CAS int }
		Data    map[string]json.RawMessage
	}
	raw, _ := io.ReadAll(req.Body)
	if err := json.Unmarshal(raw, &body); err != nil {
		return refusal(400, "not JSON")
	}
	if body.Options.CAS != h.version {
		return refusal(400, "check-and-set parameter did not match the current version")
	}
	if h.value == "" && req.Method == http.MethodPatch {
		return reply{status: 404}
	}
	h.version, h.value = h.version+1, string(body.Data["a"])
	switch fate {
	case "reset after":
		return reset
	case "500 after":
		return refusal(500, "internal error")
	case "page after":
		return reply{status: 200, body: "<html>"}
	case "204 after":
		return reply{status: 204}
	case "somebody else after":
		h.version, h.value = h.version+1, `"another"`
		return reset
	case "deleted after":
		h.value = ""
		return reset
	}
	return reply{status: 200, body: `{"data":{"version":` + number(h.version) + `,` + heldState + `}}`}
}

func number(n int) string { return string(rune('0' + n)) }

// TestLostAnswers: whatever happens to its answers, a write is carried out once or not at all, and the outcome is told
// as far as it can be seen.
func TestLostAnswers(t *testing.T) {
	const get, patch, put = http.MethodGet, http.MethodPatch, http.MethodPut
	for _, c := range []struct {
		name          string
		writes, reads []string
		value         string // written; "" for `"new"`
		deleted       bool   // before
		want          error
		version       int // then
		seen          []string
	}{
		{name: "answered", version: 2, seen: []string{patch}},
		{name: "a structure", value: `{"new":1}`, version: 2, seen: []string{get, put}},
		{name: "the write was lost", writes: []string{"reset before", "ok"}, version: 2, seen: []string{patch, get, patch}},
		{name: "the answer was lost", writes: []string{"reset after"}, version: 2, seen: []string{patch, get}},
		{name: "the answer was lost, of a structure", value: `[1.0]`, writes: []string{"reset after"}, version: 2, seen: []string{get, put, get}},
		{name: "an error that lies", writes: []string{"500 after"}, version: 2, seen: []string{patch, get}},
		{name: "an answer of somebody else", writes: []string{"page after"}, version: 2, seen: []string{patch, get}},
		{name: "an empty answer", writes: []string{"204 after"}, version: 2, seen: []string{patch, get}},
		{name: "lost for ever", writes: []string{"reset before"}, want: secret.ErrAmbiguous, version: 1, seen: []string{patch, get, patch, get, patch, get}},
		{name: "lost, and reading it back too", writes: []string{"reset after"}, reads: []string{"reset before"}, want: secret.ErrAmbiguous, version: 2,
			seen: []string{patch, get, get, get, get, get}},
		{name: "lost, and the token too", writes: []string{"reset after"}, reads: []string{"403"}, want: secret.ErrAmbiguous, version: 2, seen: []string{patch, get}},
		{name: "lost, then throttled for ever", writes: []string{"reset before", "429"}, want: secret.ErrAmbiguous, version: 1,
			seen: []string{patch, get, patch, get, patch, get}},
		{name: "lost, and a node that has not caught up", writes: []string{"reset after", "ok"}, reads: []string{"stale", "ok"}, version: 2,
			seen: []string{patch, get, patch, get}},
		{name: "never sent", writes: []string{"refused", "ok"}, version: 2, seen: []string{patch, patch}},
		{name: "never sent for ever", writes: []string{"refused"}, want: secret.ErrUnavailable, version: 1, seen: []string{patch, patch, patch, patch, patch}},
		{name: "throttled", writes: []string{"429", "ok"}, version: 2, seen: []string{patch, patch}},
		{name: "sealed", writes: []string{"sealed"}, want: secret.ErrUnavailable, version: 1, seen: []string{patch}},
		{name: "patch denied", writes: []string{"403", "ok"}, version: 2, seen: []string{patch, get, put}},
		{name: "patch not known", writes: []string{"405", "ok"}, version: 2, seen: []string{patch, get, put}},
		{name: "patch denied, then lost", writes: []string{"403", "reset after"}, version: 2, seen: []string{patch, get, put, get}},
		{name: "all denied", writes: []string{"403"}, want: secret.ErrForbidden, version: 1, seen: []string{patch, get, put}},
		{name: "patch denied, and somebody was first", writes: []string{"403", "somebody else first"}, want: secret.ErrConflict, version: 2,
			seen: []string{patch, get, put, get}},
		{name: "somebody was first", writes: []string{"somebody else first"}, want: secret.ErrConflict, version: 2, seen: []string{patch, get}},
		{name: "somebody was first, and who cannot be seen", writes: []string{"somebody else first"}, reads: []string{"403"}, want: secret.ErrConflict, version: 2,
			seen: []string{patch, get}},
		{name: "lost, and somebody was first", writes: []string{"reset before", "ok"}, reads: []string{"somebody else first", "ok"}, want: secret.ErrConflict, version: 2,
			seen: []string{patch, get}},
		{name: "lost, and succeeded by somebody", writes: []string{"somebody else after"}, want: secret.ErrConflict, version: 3, seen: []string{patch, get}},
		{name: "lost, and deleted by somebody", writes: []string{"deleted after"}, want: secret.ErrConflict, version: 2, seen: []string{patch, get}},
		{name: "deleted", deleted: true, want: secret.ErrConflict, version: 1, seen: []string{patch, get}},
		{name: "deleted, a structure", deleted: true, value: `{"new":1}`, want: secret.ErrConflict, version: 1, seen: []string{get}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &held{version: 1, value: `"old"`, writes: c.writes, reads: c.reads}
				if c.deleted {
					h.value = ""
				}
				if c.value == "" {
					c.value = `"new"`
				}
				s, err := newClient(t, h).WriteField(t.Context(), versioned, "p", "a", secret.New(c.value), 1)
				if !errors.Is(err, c.want) {
					t.Fatalf("ended with %v, want %v", err, c.want)
				}
				if err == nil && s.Version != 2 {
					t.Errorf("told version %d", s.Version)
				}
				if c.want != secret.ErrAmbiguous && errors.Is(err, secret.ErrAmbiguous) {
					t.Errorf("%v is no doubt", err)
				}
				if err != nil && (strings.Contains(err.Error(), "new") || strings.Contains(err.Error(), "vault.test")) {
					t.Errorf("error %q says too much", err)
				}
				if h.version != c.version {
					t.Errorf("version is %d, want %d", h.version, c.version)
				}
				if diff := cmp.Diff(c.seen, h.seen); diff != "" {
					t.Errorf("calls (-want +got)\n%s", diff)
				}
			})
		})
	}
}

// TestWriteThatIsCutOff: when the context ends while a write is under way its outcome is unknown; before that it is not.
func TestWriteThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the lease is lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		h := script(func(r *http.Request) reply {
			cancel(cause)
			return reply{err: r.Context().Err()}
		})
		_, err := newClient(t, h).WriteField(ctx, versioned, "p", "a", secret.New(`"new"`), 1)
		if !errors.Is(err, secret.ErrAmbiguous) || !strings.Contains(err.Error(), cause.Error()) {
			t.Errorf("cut off under way: %v", err)
		}
		_, err = newClient(t, h).WriteField(ctx, versioned, "p", "a", secret.New(`"new"`), 1)
		if errors.Is(err, secret.ErrAmbiguous) || !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
			t.Errorf("cut off before: %v", err)
		}
	})
}

func TestCapabilities(t *testing.T) {
	for _, c := range []struct {
		reply reply
		want  error
	}{
		{reply{status: 200, body: `{"data":{"kv/data/p":["root"],"capabilities":["root"]}}`}, nil},
		{reply{status: 200, body: `{"data":{"kv/data/p":["read","update"]}}`}, nil},
		{reply{status: 200, body: `{"data":{"kv/data/p":["deny"]}}`}, secret.ErrForbidden},
		{reply{status: 200, body: `{"data":{"kv/data/p":[]}}`}, secret.ErrForbidden},
		{reply{status: 200, body: `{"data":{"capabilities":["root"]}}`}, secret.ErrUnavailable},
		{refusal(403, "permission denied"), nil},
		{refusal(404), secret.ErrUnavailable},
		{refusal(503, "Vault is sealed"), secret.ErrUnavailable},
	} {
		err := newClient(t, script(func(*http.Request) reply { return c.reply })).MayWrite(t.Context(), versioned, "p")
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.reply.body, err, c.want)
		}
	}
}
