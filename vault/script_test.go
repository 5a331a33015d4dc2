package vault

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// reply is what a script answers to one call. An err breaks the connection instead.
type reply struct {
	status int
	body   string
	header http.Header
	err    error
}

// script is a Vault that answers what the test wrote down: for every situation a server cannot be brought into.
type script func(*http.Request) reply

func (s script) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	r := s(req)
	if r.err != nil {
		return nil, r.err
	}
	if r.header == nil {
		r.header = http.Header{}
	}
	return &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(strings.NewReader(r.body)), Request: req}, nil
}

// inTurn answers one reply after the other and the last one for ever, and tells when the calls came.
func inTurn(calls *[]time.Time, replies ...reply) script {
	var mu sync.Mutex
	return func(*http.Request) reply {
		mu.Lock()
		defer mu.Unlock()
		r := replies[min(len(*calls), len(replies)-1)]
		*calls = append(*calls, time.Now())
		return r
	}
}

const (
	plainSecret = `{"data":{"a":"1"}}`
	testToken   = "token-for-tests-only"
)

var plainMount = vaultsync.Mount{Path: "kv", Version: 1, ID: "u/a"}

func newClient(t *testing.T, transport http.RoundTripper, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Address: "https://vault.test:8200", Auth: Token(secret.New(testToken)), Transport: transport}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(ctx context.Context, c *Client) error {
	_, _, err := c.Read(ctx, plainMount, "app/db")
	return err
}
