package functions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// proxy streams the request to the handler as it is, path with route prefix, query and Host included, and the answer back.
// A 5xx of the handler is an answer like any other (section 3.1).
func (h *Host) proxy(w http.ResponseWriter, r *http.Request, f *function) {
	result := Result{InvocationID: guid()}
	begin := h.opts.Now()
	wk, err := h.await(r.Context())
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	base, err := url.Parse(wk.base)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	expired := h.deadline()
	defer expired.stop()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(wk.reach, func() { cancel(errEnded) })()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(base)
			p.Out.Host = p.In.Host
			p.Out.Header.Set("X-Azure-Functions-InvocationId", result.InvocationID)
			p.Out.Header.Set("X-Azure-Functions-HostVersion", hostVersion)
			p.Out.Header.Set("x-ms-invocation-id", result.InvocationID)
		},
		Transport:     patient{h.client.Transport},
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			result.Status = resp.StatusCode
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			result.Err = fmt.Errorf("proxy to %q: %w: %w", f.name, ErrFailed, plain(err))
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	// A connection that breaks in the middle of an answer panics with ErrAbortHandler; the log line is owed all the same.
	defer func() { h.report(f, result, h.opts.Now().Sub(begin)) }()
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// patient repeats a request whose connection was refused, up to ten times with 50 to 250 ms between.
type patient struct{ inner http.RoundTripper }

func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		out := r
		if r.Body != nil && r.Body != http.NoBody {
			// A transport closes the body even when it never connected; the caller closes the real one.
			out = r.Clone(r.Context())
			out.Body = io.NopCloser(r.Body)
		}
		resp, err := p.inner.RoundTrip(out)
		var op *net.OpError
		if err == nil || try > 10 || !errors.As(err, &op) || op.Op != "dial" {
			return resp, err
		}
		select {
		case <-time.After(min(time.Duration(try)*50*time.Millisecond, 250*time.Millisecond)):
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	}
}
