package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/sethvargo/go-retry"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// maxPuts bounds the attempts of one write whose answers are lost.
const maxPuts = 3

// newWrite is the write of version cas+1, with these fields and no others. holds recognises its work.
func (c *Client) newWrite(m vaultsync.Mount, path string, fields vaultsync.Fields, cas int, holds func(vaultsync.Fields) bool) (*write, error) {
	where, err := versionedPath(m, path)
	if err != nil {
		return nil, err
	}
	if cas < 1 {
		return nil, fmt.Errorf("%w: there is no version %d to be succeeded", secret.ErrInvalid, cas)
	}
	text := make(map[string]json.RawMessage, len(fields))
	for key, value := range fields {
		text[key] = json.RawMessage(value.Reveal())
	}
	body, err := json.Marshal(map[string]any{"options": map[string]int{"cas": cas}, "data": text})
	if err != nil { // quoting it would quote a value
		return nil, fmt.Errorf("%w: a field is not JSON", secret.ErrInvalid)
	}
	return &write{
		client: c, mount: m, path: path, cas: cas, holds: holds, request: request{path: where, body: body, limit: maxFault},
	}, nil
}

// write is a write under way. Check-and-set makes it safe to repeat: of several attempts at most one is carried out.
type write struct {
	client  *Client
	mount   vaultsync.Mount
	path    string
	cas     int
	holds   func(vaultsync.Fields) bool
	request request
	pauses  pauses
	puts    int
	lost    error // why it is not known whether an attempt was carried out; nil when none is in doubt
}

func (w *write) run(ctx context.Context) (vaultsync.State, error) {
	s, err := retry.DoValue(ctx, w.pauses.backoff(), w.attempt)
	if err != nil && w.lost != nil && !errors.Is(err, secret.ErrConflict) {
		// Not wrapped: what the last attempt met is not what became of the write.
		return vaultsync.State{}, fmt.Errorf("%w: %v", secret.ErrAmbiguous, err)
	}
	return s, err
}

// attempt looks for the version when an answer was lost, and else, or when it is not there, writes it.
func (w *write) attempt(ctx context.Context) (vaultsync.State, error) {
	if w.lost != nil {
		if s, done, err := w.look(ctx); err != nil || done {
			return s, err
		}
		if w.puts == maxPuts {
			return vaultsync.State{}, w.lost
		}
	}
	if _, err := w.client.session.ticket(ctx); err != nil {
		return vaultsync.State{}, w.pauses.again(err)
	}
	if ctx.Err() != nil {
		return vaultsync.State{}, context.Cause(ctx)
	}
	w.puts++
	a, err := w.client.attempt(ctx, w.request)
	if err == nil && a.status == http.StatusOK {
		s, wrong := decodeWritten(a.body)
		if wrong == nil && s.Version == w.cas+1 {
			return s, nil
		}
		err = &fault{kind: secret.ErrUnavailable, text: "the answer to the write is not one of vault", passing: true, lost: true}
	}
	var f *fault
	switch {
	case err == nil:
		return w.missing(ctx, a)
	case !errors.As(err, &f):
		w.lost = err // the context ended while the call was under way
		return vaultsync.State{}, err
	case f.lost:
		w.lost = err
		w.pauses.after = f.after
		return vaultsync.State{}, retry.RetryableError(err)
	case f.kind == secret.ErrConflict && w.lost != nil: // that may be an earlier attempt of ours
		return vaultsync.State{}, retry.RetryableError(err)
	case f.kind == secret.ErrConflict:
		if s, done, now := w.look(ctx); done || errors.Is(now, secret.ErrConflict) {
			return s, now // which says what Vault holds
		}
	}
	return vaultsync.State{}, w.pauses.again(err)
}

// look reports whether the current version is the one to be made; secret.ErrConflict when it never will be.
func (w *write) look(ctx context.Context) (vaultsync.State, bool, error) {
	s, fields, err := w.client.data(ctx, w.mount, w.path)
	if err != nil {
		return vaultsync.State{}, false, gone(err)
	}
	if s.Version == w.cas+1 && w.holds(fields) {
		return s, true, nil
	}
	return vaultsync.State{}, false, succeeds(s, fields, w.cas)
}

// missing says what a 404 to a write means, which a PATCH gets for every secret without a version to be read.
func (w *write) missing(ctx context.Context, a answer) (vaultsync.State, error) {
	if decodeNotFound(a.body) == noRoute {
		return vaultsync.State{}, fmt.Errorf("%w: there is no such mount", secret.ErrUnavailable)
	}
	s, done, err := w.look(ctx)
	if err == nil && !done {
		err = malformed("404 for a version that is there")
	}
	return s, err
}
