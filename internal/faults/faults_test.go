package faults_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/keyferry/keyferry/internal/faults"
)

// A counter is a handler that commits something: it counts what reached it.
type counter struct{ served int }

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.served++
	_, _ = io.WriteString(w, "got "+r.Method+" "+r.RequestURI+" "+string(body))
}

// client asks over h, in-process.
func client(h http.Handler) *http.Client { return &http.Client{Transport: faults.Transport(h)} }

func post(t *testing.T, c *http.Client) (string, error) {
	t.Helper()
	resp, err := c.Post("https://kv.example/secrets/a?x=1", "text/plain", strings.NewReader("body"))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.Status + " " + string(body), err
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  faults.Fault
		served int
		answer string
		err    error
	}{
		{"answer", faults.Answer(503, "no", "X-Why", "test"), 0, "503 Service Unavailable no", nil},
		{"throttle", faults.Throttle(0, "{}"), 0, "429 Too Many Requests {}", nil},
		{"reset before", faults.ResetBefore(), 0, "", syscall.ECONNRESET},
		{"reset after", faults.ResetAfter(), 1, "", syscall.ECONNRESET},
		{"truncate", faults.Truncate(5), 1, "200 OK got P", io.ErrUnexpectedEOF},
		{"truncate nothing", faults.Truncate(99), 1, "200 OK got POST /secrets/a?x=1 body", io.ErrUnexpectedEOF},
		{"delay", faults.Delay(time.Second, func(context.Context, time.Duration) error { return nil }), 1, "200 OK got POST /secrets/a?x=1 body", nil},
		{"delay refused", faults.Delay(time.Second, func(context.Context, time.Duration) error { return context.Canceled }), 0, "", syscall.ECONNRESET},
	} {
		t.Run(c.name, func(t *testing.T) {
			inner := &counter{}
			answer, err := post(t, client(faults.Wrap(inner, nil, faults.Rule{Do: c.fault})))
			if answer != c.answer || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v; want %q, %v", answer, err, c.answer, c.err)
			}
			if inner.served != c.served {
				t.Errorf("the handler served %d, want %d", inner.served, c.served)
			}
		})
	}
}

func TestThrottleNamesTheSeconds(t *testing.T) {
	resp, err := client(faults.Wrap(&counter{}, nil, faults.Rule{Do: faults.Throttle(7*time.Second, "{}")})).Get("http://x/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After %q", got)
	}
}

func TestRulesPickRequests(t *testing.T) {
	chances := []float64{0.9, 0.1, 0.2, 0.8}
	random := func() float64 { next := chances[0]; chances = chances[1:]; return next }
	for _, c := range []struct {
		name string
		rule faults.Rule
		want string // a letter per request: . passed, x harmed
	}{
		{"all", faults.Rule{}, "xxxx"},
		{"skip", faults.Rule{Skip: 1}, ".xxx"},
		{"times", faults.Rule{Times: 2}, "xx.."},
		{"skip and times", faults.Rule{Skip: 1, Times: 2}, ".xx."},
		{"chance", faults.Rule{Chance: 0.5}, ".xx."},
		{"path", faults.Rule{When: faults.On("GET", "/b")}, ".x.x"},
		{"method", faults.Rule{When: faults.On("PUT", "")}, "...."},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.Name, c.rule.Do = c.name, faults.Answer(500, "")
			h := faults.Wrap(&counter{}, random, c.rule)
			got := ""
			for _, path := range []string{"/a", "/b", "/a", "/b"} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				got += map[int]string{200: ".", 500: "x"}[w.Code]
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			want := map[string]int{c.name: strings.Count(c.want, "x")}
			maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
			if diff := cmp.Diff(want, h.Fired()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheFirstRuleThatFiresDecides(t *testing.T) {
	h := faults.Wrap(&counter{}, nil, faults.Rule{Times: 1, Do: faults.Answer(500, "")})
	h.Add(faults.Rule{Do: faults.Answer(503, "")})
	for _, want := range []int{500, 503, 503} {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil)); w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
	h.Clear()
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil)); w.Code != 200 {
		t.Errorf("after Clear: status %d", w.Code)
	}
}

func TestHangEndsWithTheClient(t *testing.T) {
	for name, c := range map[string]struct {
		fault  faults.Fault
		served int
	}{"hang": {faults.Hang(), 0}, "hang after": {faults.HangAfter(), 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &counter{}
				cl := client(faults.Wrap(inner, nil, faults.Rule{Do: c.fault}))
				cl.Timeout = 30 * time.Second
				begin := time.Now()
				if _, err := post(t, cl); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if waited := time.Since(begin); waited != 30*time.Second {
					t.Errorf("waited %v", waited)
				}
				synctest.Wait()
				if inner.served != c.served {
					t.Errorf("the handler served %d", inner.served)
				}
			})
		})
	}
}

func TestDelayUsesTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleep := func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		cl := client(faults.Wrap(&counter{}, nil, faults.Rule{Do: faults.Delay(10*time.Second, sleep)}))
		begin := time.Now()
		if _, err := post(t, cl); err != nil || time.Since(begin) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		cl.Timeout = time.Second
		if _, err := post(t, cl); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// TestFaultsOverSockets: the same faults through a real server.
func TestFaultsOverSockets(t *testing.T) {
	for name, c := range map[string]struct {
		fault  faults.Fault
		served int
	}{
		"reset before": {faults.ResetBefore(), 0}, "reset after": {faults.ResetAfter(), 1},
		"truncate": {faults.Truncate(5), 1}, "hang": {faults.Hang(), 0}, "hang after": {faults.HangAfter(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			inner := &counter{}
			server := httptest.NewServer(faults.Wrap(inner, nil, faults.Rule{Do: c.fault}))
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/x", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := server.Client().Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Error("no error")
			}
			server.Close() // waits for the handler
			if inner.served != c.served {
				t.Errorf("the handler served %d, want %d", inner.served, c.served)
			}
		})
	}
}

func TestProxyPassesEverythingAsItIs(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Header.Get("X-Vault-Token")+" "+string(body))
	}))
	defer backend.Close()
	proxy, err := faults.Proxy(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	cl := client(proxy)
	cl.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequest("LIST", "http://vault/v1/kv/a%2Fb//c?x=%20y", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", "t")
	resp, err := cl.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if got, want := string(body), "LIST /v1/kv/a%2Fb//c?x=%20y t body"; got != want || resp.StatusCode != 307 {
		t.Errorf("got %d %q, want 307 %q", resp.StatusCode, got, want)
	}

	backend.Close()
	if _, err := cl.Get("http://vault/"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a dead backend: %v", err)
	}
	if _, err := faults.Proxy("not a url"); err == nil {
		t.Error("a base without a host was accepted")
	}
}
