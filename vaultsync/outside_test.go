package vaultsync_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"time"
)

// outside carries requests of a synctest bubble to a real server. Its goroutines and channels belong to no bubble, so
// the bubble's clock stands still while a request is under way, and no idle connection keeps the bubble from ending.
type outside struct {
	base   string
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
func newOutside(base string, calls int) *outside {
	o := &outside{
		base:   base,
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

// ServeHTTP implements http.Handler. The end of the request's context is seen when the answer is there.
func (o *outside) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r := o.ask(job{method: req.Method, url: o.base + req.RequestURI, header: req.Header.Clone(), body: body})
	if r.err != nil {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
}
