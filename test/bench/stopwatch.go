package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/keyferry/keyferry/rotation"
)

// stopwatch runs while somebody outside is waited for: a request that has no answer yet, a dial, a read, a write. What
// is computed in between, such as the proof of a log-in, is ours. Calls that overlap count once.
type stopwatch struct {
	mu              sync.Mutex
	under           int // calls under way
	since           time.Time
	outside         time.Duration
	requests, dials int
}

func (s *stopwatch) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outside, s.requests, s.dials = 0, 0, 0
}

func (s *stopwatch) read() (outside time.Duration, requests, dials int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outside, s.requests, s.dials
}

// wait starts it, and the result stops it.
func (s *stopwatch) wait() (over func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under++; s.under == 1 {
		s.since = time.Now()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.under--; s.under == 0 {
			s.outside += time.Since(s.since)
		}
	}
}

// transport watches requests and their answers.
func (s *stopwatch) transport(to http.RoundTripper) http.RoundTripper { return watchedTransport{s, to} }

type watchedTransport struct {
	*stopwatch
	to http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t watchedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	t.requests++
	t.mu.Unlock()
	defer t.wait()()
	resp, err := t.to.RoundTrip(req)
	if err == nil {
		resp.Body = watchedBody{t.stopwatch, resp.Body}
	}
	return resp, err
}

type watchedBody struct {
	*stopwatch
	io.ReadCloser
}

func (b watchedBody) Read(p []byte) (int, error) {
	defer b.wait()()
	return b.ReadCloser.Read(p)
}

// dial watches connections.
func (s *stopwatch) dial(to rotation.DialFunc) rotation.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		s.mu.Lock()
		s.dials++
		s.mu.Unlock()
		defer s.wait()()
		conn, err := to(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return watchedConn{s, conn}, nil
	}
}

type watchedConn struct {
	*stopwatch
	net.Conn
}

func (c watchedConn) Read(p []byte) (int, error) {
	defer c.wait()()
	return c.Conn.Read(p)
}

func (c watchedConn) Write(p []byte) (int, error) {
	defer c.wait()()
	return c.Conn.Write(p)
}
