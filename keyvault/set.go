package keyvault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/sethvargo/go-retry"

	"github.com/keyferry/keyferry/secret"
)

const (
	maxPuts   = 3               // of one Set whose answers are lost
	busyPause = 2 * time.Second // recordings show deletion and recovery take about ten seconds
	busyTime  = 30 * time.Second
)

// Set writes a new version and returns what Key Vault made of it.
//
// A call is repeated after a 429, while the name is being deleted or recovered (for half a minute, then
// secret.ErrBusy), and after a lost answer. Before the latter the current version is read: when it equals the draft
// it is the result, so one Set makes one version unless Key Vault commits a write after the read. When the reading
// fails too the error is secret.ErrAmbiguous: the version may be there or not. A draft over the limits of Key Vault
// is secret.ErrInvalid or secret.ErrTooLarge before any call. secret.ErrDeleted when the name is held by a deleted
// secret, secret.ErrManaged when it belongs to a certificate.
func (c *Client) Set(ctx context.Context, name string, d secret.Draft) (secret.Meta, error) {
	if err := checkDraft(name, d); err != nil {
		return secret.Meta{}, fmt.Errorf("set secret %q: %w", name, err)
	}
	m, err := (&write{client: c, name: name, draft: d}).run(ctx)
	if err != nil {
		return secret.Meta{}, fmt.Errorf("set secret %q: %w", name, err)
	}
	return m, nil
}

// write is one Set under way.
type write struct {
	client  *Client
	name    string
	draft   secret.Draft
	puts    int
	last    *failure // of the last PUT
	waiting bool     // between two attempts
}

func (w *write) run(ctx context.Context) (secret.Meta, error) {
	busy := retry.WithMaxDuration(busyTime, retry.NewConstant(busyPause))
	lost := pauses(maxPuts)
	pause := retry.BackoffFunc(func() (time.Duration, bool) {
		w.waiting = true
		if w.last.known {
			return busy.Next()
		}
		return lost.Next()
	})
	m, err := retry.DoValue(ctx, pause, w.attempt)
	if err != nil && w.waiting && ctx.Err() != nil {
		// The time ran out in a pause: what the pause was for is the better half of the story.
		err = fmt.Errorf("%w, waiting after: %w", err, w.last)
		if !w.last.known {
			err = fmt.Errorf("%w: %w", secret.ErrAmbiguous, err)
		}
	}
	return m, err
}

// attempt looks for the version when the last answer was lost, and else, or when it is not there, writes it.
func (w *write) attempt(ctx context.Context) (secret.Meta, error) {
	w.waiting = false
	if w.last != nil && !w.last.known {
		m, written, err := w.find(ctx)
		if err != nil || written {
			return m, err
		}
		if w.puts == maxPuts {
			return secret.Meta{}, w.last
		}
	}
	w.puts++
	resp, err := w.client.api.SetSecret(ctx, w.name, parameters(w.draft), nil)
	if err == nil {
		m, ok := namedMeta(w.name, resp.Secret)
		if ok {
			return m, nil
		}
		err = malformed()
	}
	w.last = explain(err)
	switch {
	case errors.Is(w.last, secret.ErrBusy):
		return secret.Meta{}, retry.RetryableError(w.last)
	case w.last.known:
		return secret.Meta{}, w.last
	case ctx.Err() != nil:
		return secret.Meta{}, fmt.Errorf("%w: %w", secret.ErrAmbiguous, w.last)
	}
	return secret.Meta{}, retry.RetryableError(w.last)
}

// find reports whether the current version is what was to be written. Absent and disabled mean no: what is written
// here is enabled.
func (w *write) find(ctx context.Context) (secret.Meta, bool, error) {
	v, m, err := w.client.get(ctx, w.name, "")
	switch {
	case errors.Is(err, secret.ErrNotFound), errors.Is(err, secret.ErrDisabled):
		return secret.Meta{}, false, nil
	case err != nil && ctx.Err() != nil:
		return secret.Meta{}, false, fmt.Errorf("%w: %w", secret.ErrAmbiguous, err)
	case err != nil:
		// Not wrapped: what the reading met is not what became of the write.
		return secret.Meta{}, false, fmt.Errorf("%w: %v, and reading it back: %v", secret.ErrAmbiguous, w.last, err)
	}
	return m, v.Equal(w.draft.Value) && wrote(w.draft, m), nil
}

// wrote reports whether a version has everything of the draft but the value.
func wrote(d secret.Draft, m secret.Meta) bool {
	sameExpiry := d.Expires.IsZero() && m.Expires.IsZero() || d.Expires.Unix() == m.Expires.Unix()
	return sameExpiry && m.ContentType == d.ContentType && maps.Equal(m.Tags, d.Tags)
}

func parameters(d secret.Draft) azsecrets.SetSecretParameters {
	p := azsecrets.SetSecretParameters{
		Value:            to.Ptr(d.Value.Reveal()),
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(true)},
		Tags:             pointers(d.Tags),
	}
	if d.ContentType != "" {
		p.ContentType = to.Ptr(d.ContentType)
	}
	if !d.Expires.IsZero() {
		p.SecretAttributes.Expires = to.Ptr(d.Expires)
	}
	return p
}

// pointers keeps nil apart from empty, as Patch does.
func pointers(tags map[string]string) map[string]*string {
	if tags == nil {
		return nil
	}
	p := make(map[string]*string, len(tags))
	for k, v := range tags {
		p[k] = to.Ptr(v)
	}
	return p
}
