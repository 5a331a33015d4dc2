package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/keyferry/keyferry/internal/faults"
)

// TestTransportLooksLikeAServer asks the same over a socket and in-process.
func TestTransportLooksLikeAServer(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %q %q %d %v %q %v", r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery,
			r.ContentLength, r.TransferEncoding, body, err))
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/small":
			_, _ = io.WriteString(w, "<html>small")
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("large", 1000))
		case "/flushed":
			_, _ = io.WriteString(w, "one")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Late", "no")
			_, _ = io.WriteString(w, "two")
		case "/declared":
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "12345")
			if _, err := io.WriteString(w, "6"); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("writing too much: %v", err)
			}
		case "/short":
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "123")
		case "/nothing":
		case "/twice":
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK)
		}
	})
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	ask := func(rt http.RoundTripper, method, target string, body io.Reader) map[string]any {
		req, err := http.NewRequest(method, target, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			return map[string]any{"error": err.Error()}
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		return map[string]any{"status": resp.Status, "header": resp.Header, "length": resp.ContentLength,
			"encoding": resp.TransferEncoding, "body": string(text), "read": fmt.Sprint(err), "proto": resp.Proto}
	}
	real := &http.Transport{DisableCompression: true}
	defer real.CloseIdleConnections()
	for _, c := range []struct{ method, path string }{
		{"GET", "/empty"}, {"GET", "/small?a=b&c=%20"}, {"HEAD", "/small"}, {"GET", "/large"}, {"GET", "/flushed"},
		{"GET", "/declared"}, {"GET", "/short"}, {"HEAD", "/declared"}, {"GET", "/nothing"}, {"GET", "/twice"},
		{"GET", "/a%2Fb//c/../d"}, {"LIST", "/small"},
	} {
		want := ask(real, c.method, server.URL+c.path, nil)
		got := ask(faults.Transport(handler), c.method, server.URL+c.path, nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s: socket -, in-process +\n%s", c.method, c.path, diff)
		}
	}
	for name, body := range map[string]func() io.Reader{
		"sized":   func() io.Reader { return strings.NewReader("body") },
		"chunked": func() io.Reader { return io.MultiReader(strings.NewReader("bo"), strings.NewReader("dy")) },
	} {
		want := ask(real, "PUT", server.URL+"/small", body())
		got := ask(faults.Transport(handler), "PUT", server.URL+"/small", body())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s body: socket -, in-process +\n%s", name, diff)
		}
	}
}

func TestTransportStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := faults.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := range 3 {
				fmt.Fprint(w, i)
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
		}))
		resp, err := (&http.Client{Transport: rt}).Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		begin, one := time.Now(), make([]byte, 1)
		for i := range 3 {
			if _, err := io.ReadFull(resp.Body, one); err != nil || string(one) != fmt.Sprint(i) || time.Since(begin) != time.Duration(i)*time.Second {
				t.Errorf("%q, %v after %v", one, err, time.Since(begin))
			}
		}
		if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil || time.Since(begin) != 3*time.Second {
			t.Errorf("then %q, %v after %v", rest, err, time.Since(begin))
		}
		resp.Body.Close()
	})
}

func TestClosingTheBodyEndsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended bool
		rt := faults.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			ended = true
		}))
		resp, err := (&http.Client{Transport: rt}).Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		synctest.Wait()
		if !ended {
			t.Error("the handler still runs")
		}
	})
}

func TestTheContextEndsTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := faults.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "start")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", "http://x/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(resp.Body); string(text) != "start" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q, %v", text, err)
		}
		resp.Body.Close()
		if _, err := rt.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request after its deadline: %v", err)
		}
	})
}

func TestTransportClosesTheRequestBody(t *testing.T) {
	closed := make(chan struct{})
	body := closer{strings.NewReader("x"), closed}
	req, err := http.NewRequest("PUT", "http://x/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := faults.Transport(&counter{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-closed
}

type closer struct {
	io.Reader
	closed chan struct{}
}

func (c closer) Close() error { close(c.closed); return nil }

func TestHTTPSHasTLS(t *testing.T) {
	var seen bool
	cl := client(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.TLS != nil && r.Host == "kv.example" }))
	resp, err := cl.Get("https://kv.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !seen {
		t.Error("the handler saw no TLS or another host")
	}
}

// TestRequestIsTheClientsAgain changes a request as soon as its answer has been read, as azcore does when it answers a
// challenge; the race detector is the judge.
func TestRequestIsTheClientsAgain(t *testing.T) {
	road := faults.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "challenge")
	}))
	req := httptest.NewRequest(http.MethodPost, "https://kv1.vault.azure.net/", strings.NewReader("first"))
	for range 100 {
		resp, err := road.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		req.Body = io.NopCloser(strings.NewReader("again"))
	}
}
