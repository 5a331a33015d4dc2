package vaultsync_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// outside carries requests of a synctest bubble to a real server. Its goroutines and channels belong to no bubble, so
// the bubble's clock stands still while a request is under way, and no idle connection keeps the bubble from ending.
type outside struct {
	client *http.Client
	jobs   chan job
	idle   chan chan reply
}

type job struct {
	method, url string
	header      http.Header
	body        []byte
	done        chan reply
}

type reply struct {
	at     time.Time
	status int
	header http.Header
	body   []byte
	err    error
}

// newOutside must be called outside of every bubble. What it starts lasts as long as the process.
func newOutside(calls int) *outside {
	o := &outside{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: calls}},
		jobs:   make(chan job),
		idle:   make(chan chan reply, calls),
	}
	for range calls {
		o.idle <- make(chan reply, 1)
		go func() {
			for j := range o.jobs {
				j.done <- o.send(j)
			}
		}()
	}
	return o
}

// now is the time outside of the bubble.
func (o *outside) now() time.Time { return o.ask(job{}).at }

// ask hands a job out and waits.
func (o *outside) ask(j job) reply {
	j.done = <-o.idle
	o.jobs <- j
	r := <-j.done
	o.idle <- j.done
	return r
}

// send does a job. One without a URL asks for the time only.
func (o *outside) send(j job) reply {
	if j.url == "" {
		return reply{at: time.Now()}
	}
	req, err := http.NewRequestWithContext(context.Background(), j.method, j.url, bytes.NewReader(j.body))
	if err != nil {
		return reply{err: err}
	}
	req.Header = j.header
	resp, err := o.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: body, err: err}
}

// RoundTrip implements http.RoundTripper. The end of the request's context is seen when the answer is there.
func (o *outside) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	r := o.ask(job{method: req.Method, url: req.URL.String(), header: req.Header.Clone(), body: body})
	if r.err != nil {
		return nil, r.err
	}
	return &http.Response{
		StatusCode: r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body)),
		ContentLength: int64(len(r.body)), Request: req, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}
