package faults

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// Transport serves requests by calling h in-process: no socket, no TLS, no
// connection. To h a request looks as it does in a server, to the client an
// answer looks as it does from one: the body streams, its length is known when
// it is small, the context of either side ends the other, and
// panic(http.ErrAbortHandler) is a connection that was reset. Any other panic of
// h is not caught. An https URL sets Request.TLS without a certificate. It is
// safe for concurrent use, and its goroutines end with the exchange, as
// testing/synctest wants.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

// RoundTrip returns when the head of the answer is there.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Context().Err() != nil {
		closeBody(req.Body)
		return nil, context.Cause(req.Context())
	}
	ctx, cancel := context.WithCancel(req.Context())
	served, err := arrive(ctx, req)
	if err != nil {
		cancel()
		closeBody(req.Body)
		return nil, err
	}
	w := newResponse(req, cancel)
	body := req.Body // a client may change its request once it has the whole answer, as azcore does after a challenge
	go func() {
		defer cancel()
		defer closeBody(body)
		aborted := true
		defer func() {
			if r := recover(); r != nil && r != http.ErrAbortHandler {
				panic(r)
			}
			w.finish(aborted)
		}()
		t.handler.ServeHTTP(w, served)
		aborted = false
	}()
	select {
	case <-w.headed:
		if !w.reset {
			return w.answer, nil
		}
		if req.Context().Err() == nil {
			return nil, reset()
		}
	case <-req.Context().Done():
	}
	w.abandon(context.Cause(req.Context()))
	return nil, context.Cause(req.Context())
}

// reset is the error of a connection that the other side dropped.
func reset() error { return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET} }

// arrive makes the request that a server would hand to its handler.
func arrive(ctx context.Context, req *http.Request) (*http.Request, error) {
	uri := req.URL.RequestURI()
	target, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, err
	}
	served := req.Clone(ctx)
	served.URL, served.RequestURI = target, uri
	served.Proto, served.ProtoMajor, served.ProtoMinor = "HTTP/1.1", 1, 1
	served.RemoteAddr = "127.0.0.1:1"
	served.GetBody, served.Response = nil, nil
	if served.Host == "" {
		served.Host = req.URL.Host
	}
	if req.URL.Scheme == "https" {
		served.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: req.URL.Hostname()}
	}
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		served.Body, served.ContentLength = http.NoBody, 0
	case req.ContentLength > 0:
		served.Body = io.NopCloser(io.LimitReader(req.Body, req.ContentLength))
	default:
		served.Body, served.ContentLength = io.NopCloser(req.Body), -1
		served.TransferEncoding = []string{"chunked"}
	}
	return served, nil
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}
