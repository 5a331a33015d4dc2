package keyvault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestConcurrentUse keeps a vault busy from many sides; the race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	var mu sync.Mutex
	raised := 0
	v := New(Options{RecoverableDays: 7, CreateLimit: 1_000_000, Events: func(Event) { mu.Lock(); raised++; mu.Unlock() }})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("/secrets/s%d", (i+w)%10)
				send(t, v, "PUT", name, `{"value":"v","tags":{"a":"b"},"attributes":{"exp":1}}`)
				send(t, v, "PATCH", name+"/", `{"attributes":{"enabled":true}}`)
				send(t, v, "GET", name+"/", "")
				send(t, v, "GET", name+"/versions", "")
				send(t, v, "GET", "/secrets?maxresults=3", "")
				if i%10 == 0 {
					send(t, v, "DELETE", name, "")
					send(t, v, "POST", "/deleted"+name[1:]+"/recover", "")
				}
				v.Tick()
				v.Secrets()
				v.Calls()
			}
		})
	}
	wg.Wait()
	if raised == 0 {
		t.Error("no events")
	}
}

func FuzzServe(f *testing.F) {
	f.Add("PUT", "/secrets/a", "api-version=7.6", `{"value":"v","tags":{"a":"b","a":"c"},"attributes":{"exp":1,"nbf":2,"enabled":false}}`)
	f.Add("PATCH", "/secrets/here/", "api-version=7.0", `{"tags":{},"contentType":""}`)
	f.Add("GET", "/secrets/here/", "api-version=7.6&maxresults=1", "")
	f.Add("GET", "/secrets", "api-version=7.4&$skiptoken="+encodeSkipToken("secret/A")+"&maxresults=1", "")
	f.Add("GET", "/secrets/here/versions", "api-version=7.4&$skiptoken="+encodeSkipToken("secret/HERE/F")+"&maxresults=1", "")
	f.Add("DELETE", "/secrets/here", "api-version=2026-04-01", "")
	f.Add("POST", "/secrets/restore", "api-version=7.6", `{"value":"KUF6"}`)
	f.Add("POST", "/secrets/here/backup", "api-version=7.6", "")
	f.Add("GET", "/deletedsecrets/../%2f%zz", "api-version", "\x00")
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		v := New(Options{Now: newClock().Now})
		if err := v.Seed(Secret{Name: "here", Versions: []Version{{Value: "v"}, {Value: "w", Tags: map[string]string{"a": "b"}}}}); err != nil {
			t.Fatal(err)
		}
		r := &http.Request{
			Method: method, Host: "kv1.vault.azure.net", Header: http.Header{"Authorization": {"Bearer x"}, "Content-Type": {"application/json"}},
			URL: &url.URL{Path: path, RawPath: path, RawQuery: query}, Body: http.NoBody,
		}
		if body != "" {
			r = r.Clone(t.Context())
			r.Body = http.MaxBytesReader(nil, readCloser{strings.NewReader(body)}, 1<<20)
		}
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		switch {
		case w.Code == http.StatusNoContent:
			if w.Body.Len() > 0 {
				t.Errorf("204 with a body")
			}
		case !json.Valid(w.Body.Bytes()):
			t.Errorf("%d: not JSON: %q", w.Code, w.Body)
		case w.Code >= 400:
			var e struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
				t.Errorf("%d: not an error answer: %s", w.Code, w.Body)
			}
		case w.Code != http.StatusOK:
			t.Errorf("status %d", w.Code)
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func BenchmarkGet(b *testing.B) {
	v := New(Options{})
	if err := v.Seed(Secret{Name: "a", Versions: []Version{{Value: "v", Expires: time.Now(), Tags: map[string]string{"a": "b"}}}}); err != nil {
		b.Fatal(err)
	}
	benchmark(b, v, "https://kv1.vault.azure.net/secrets/a/?api-version=7.6")
}

func BenchmarkListPage(b *testing.B) {
	v := New(Options{})
	for i := range 100_000 {
		if err := v.Seed(Secret{Name: fmt.Sprintf("s%06d", i), Versions: []Version{{Value: "v"}}}); err != nil {
			b.Fatal(err)
		}
	}
	benchmark(b, v, "https://kv1.vault.azure.net/secrets?api-version=7.6&$skiptoken="+encodeSkipToken("secret/S050000"))
}

func benchmark(b *testing.B, v *Vault, target string) {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer made-up")
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
