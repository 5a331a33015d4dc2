package keyvault

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// maxAnswer bounds the body of an answer: a page of 25 secrets with every tag at its longest is under 3 MB.
const maxAnswer = 4 << 20

// wire is the transport below the SDK. It speaks to one host only, follows no redirect, bounds time and size of an
// answer, and tells of each failure whether the request may have reached Key Vault.
type wire struct {
	base    http.RoundTripper
	host    string
	timeout time.Duration
}

// Do implements policy.Transporter. Every error is a *failure.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || canonicalHost(req.URL) != w.host {
		// A page link is the server's word, and the SDK would send the token after it.
		return nil, &failure{kind: secret.ErrPermanent, why: "a page link points to another host", known: true}
	}
	ctx, cancel := context.WithTimeout(req.Context(), w.timeout)
	defer cancel()
	var connecting atomic.Bool
	out := req.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connecting.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connecting.Store(false) },
	}))
	if err := ownBody(out); err != nil {
		return nil, &failure{kind: secret.ErrPermanent, why: "the request cannot be read", known: true}
	}
	fail := func(err error) error {
		// Without a token Key Vault does nothing but challenge.
		known := connecting.Load() || req.Header.Get("Authorization") == ""
		return &failure{kind: secret.ErrUnavailable, why: networkReason(ctx, err), known: known}
	}
	resp, err := w.base.RoundTrip(out)
	if err != nil {
		return nil, fail(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= maxAnswer {
		body.Grow(int(n) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1)); err != nil {
		return nil, fail(err)
	}
	if body.Len() > maxAnswer {
		return nil, &failure{kind: secret.ErrUnavailable, why: "the answer is too large to be Key Vault's"}
	}
	resp.Body = io.NopCloser(&body)
	dropBadChallenge(resp)
	return resp, nil
}

// ownBody gives the request a body of its own: a transport may still read it after it returned, while the SDK rewinds
// the shared one for the next try.
func ownBody(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	req.Body, err = req.GetBody()
	return err
}

var authority = regexp.MustCompile(`authorization="?([^" ,]*)`)

// dropBadChallenge removes a challenge whose authority names no tenant: the SDK panics on it (facts/keyvault.md 4.2).
func dropBadChallenge(resp *http.Response) {
	for _, m := range authority.FindAllStringSubmatch(resp.Header.Get("WWW-Authenticate"), -1) {
		if strings.Count(m[1], "/") < 3 {
			resp.Header.Del("WWW-Authenticate")
			return
		}
	}
}

// networkReason says in our words what happened.
func networkReason(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "no answer in time"
	}
	why, _ := secret.NoAnswer(err)
	return why
}
