package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/keyferry/keyferry/secret"
)

// maxAnswer is how much of an answer is read, only so that the connection can serve again.
const maxAnswer = 4 << 10

// Webhook is a sink that POSTs each alert as a JSON object with id, type, subject, time, level, text, hint and details
// to one URL. Any 2xx is delivery. It is safe for concurrent use.
type Webhook struct {
	url    secret.Value
	client *http.Client
}

// NewWebhook takes the URL, which is a secret for it often carries a token: https, or http on the loopback. A nil
// transport is http.DefaultTransport. No redirect is followed.
func NewWebhook(address secret.Value, transport http.RoundTripper) (*Webhook, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, fmt.Errorf("use alert webhook: %w: want an https URL", secret.ErrInvalid)
	}
	return &Webhook{url: address, client: client(transport)}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send implements Sink.
func (w *Webhook) Send(ctx context.Context, a Alert) error {
	err := a.check()
	if err == nil {
		err = w.post(ctx, a)
	}
	if err != nil {
		return fmt.Errorf("send alert %q to the webhook: %w", a.Type, err)
	}
	return nil
}

func (w *Webhook) post(ctx context.Context, a Alert) error {
	body, err := json.Marshal(messageOf(a))
	if err != nil {
		return fmt.Errorf("%w: it cannot be encoded", secret.ErrInvalid)
	}
	return deliver(ctx, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.Reveal(), bytes.NewReader(body))
		if err != nil {
			return secret.ErrInvalid
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "keyferry")
		resp, err := w.client.Do(r)
		if err != nil {
			return unreached(err)
		}
		defer resp.Body.Close()
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return refused(resp.StatusCode)
		}
		return nil
	})
}
