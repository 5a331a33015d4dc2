package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/keyferry/keyferry/handler"
	"github.com/keyferry/keyferry/internal/emulator/functions"
	"github.com/keyferry/keyferry/secret"
)

// With this variable set the test binary is a custom handler: the whole package between a real socket and the emulated host.
const asHandler = "HANDLER_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(asHandler) != "" {
		os.Exit(serve())
	}
	os.Exit(m.Run())
}

func serve() int {
	log := handler.NewLog(os.Stdout, slog.LevelInfo)
	l, err := handler.Listen(os.Getenv(handler.PortSetting))
	if err != nil {
		log.Error("listen", "error", err.Error())
		return 1
	}
	event := func(_ context.Context, e handler.Event) (handler.Answer, error) {
		switch e.Name {
		case "hangs":
			log.Info("hanging")
			select {}
		case "throttled":
			return handler.Answer{}, fmt.Errorf("read %q: %w", e.Name, secret.ErrThrottled)
		case "broken":
			return handler.Answer{}, fmt.Errorf("rotate %q: %w", e.Name, secret.ErrPermanent)
		case "panics":
			panic("out of order")
		}
		return handler.Answer{Outcome: "rotated", Detail: "by " + strconv.Itoa(os.Getpid())}, nil
	}
	h := handler.New(handler.Functions{
		Events: map[string]func(context.Context, handler.Event) (handler.Answer, error){"Near": event, "Batch": event},
		Timers: map[string]func(context.Context, handler.Timer) (handler.Answer, error){
			"Sync": func(_ context.Context, t handler.Timer) (handler.Answer, error) {
				return handler.Answer{Outcome: "synced", Detail: fmt.Sprint(t.PastDue)}, nil
			},
		},
		HTTP: map[string]handler.Call{
			"Force": handler.Post(func(_ context.Context, f force) (handler.Answer, error) { return handler.Answer{Body: f}, nil }),
			"Bare":  handler.Post(func(context.Context, force) (handler.Answer, error) { return handler.Answer{}, nil }),
		},
	}, handler.Options{Vault: "kv1", Log: log})
	if err := handler.Serve(context.Background(), l, h, log); err != nil {
		log.Error("serve", "error", err.Error())
	}
	return 1
}

var emulatedApp = fstest.MapFS{
	"host.json": {Data: []byte(`{"version":"2.0","functionTimeout":"00:00:20","customHandler":{"description":{"defaultExecutablePath":"x"},"enableProxyingHttpRequest":true},
		"extensionBundle":{"id":"Microsoft.Azure.Functions.ExtensionBundle","version":"[4.*, 5.0.0)"}}`)},
	"Near/function.json":    {Data: []byte(`{"bindings":[{"type":"eventGridTrigger","name":"event","direction":"in"}]}`)},
	"Batch/function.json":   {Data: []byte(`{"bindings":[{"type":"eventGridTrigger","name":"events","direction":"in","cardinality":"many"}]}`)},
	"Unknown/function.json": {Data: []byte(`{"bindings":[{"type":"eventGridTrigger","name":"event","direction":"in"}]}`)},
	"Sync/function.json":    {Data: []byte(`{"bindings":[{"type":"timerTrigger","name":"timer","direction":"in","schedule":"0 */5 * * * *"}]}`)},
	"Force/function.json":   {Data: []byte(`{"bindings":[{"type":"httpTrigger","name":"req","direction":"in","methods":["post"]},{"type":"http","name":"res","direction":"out"}]}`)},
	"Bare/function.json":    {Data: []byte(`{"bindings":[{"type":"httpTrigger","name":"req","direction":"in"}]}`)},
}

// journal keeps the lines of the child.
type journal struct {
	mu     sync.Mutex
	stdout []string
	stderr []string
	hangs  chan struct{}
}

func (j *journal) log(stream, line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch stream {
	case functions.StreamStdout:
		j.stdout = append(j.stdout, line)
		if strings.Contains(line, "hanging") {
			close(j.hangs)
		}
	case functions.StreamStderr:
		j.stderr = append(j.stderr, line)
	}
}

func startHost(t *testing.T) (*functions.Host, *journal) {
	t.Helper()
	j := &journal{hangs: make(chan struct{})}
	h, err := functions.New(functions.Options{App: emulatedApp, Executable: os.Args[0], Env: []string{asHandler + "=1"}, Log: j.log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, j
}

func named(name string) []byte { return []byte(strings.ReplaceAll(gridEvent, "db-password", name)) }

func TestUnderTheFunctionsHost(t *testing.T) {
	h, j := startHost(t)
	for _, c := range []struct {
		name   string
		result functions.Result
		status int
		want   string
	}{
		{"event", h.Deliver(t.Context(), "Near", named("a")), 200, "near-expiry a: rotated"},
		{"CloudEvent", h.Deliver(t.Context(), "Near", []byte(cloudEvent)), 200, "expired db-password: rotated"},
		{"batch", h.Deliver(t.Context(), "Batch", []byte("["+string(named("a"))+","+string(named("b"))+"]")), 200, "near-expiry b: rotated"},
		{"permanent", h.Deliver(t.Context(), "Near", named("broken")), 200, "refused"},
		{"passing", h.Deliver(t.Context(), "Near", named("throttled")), 500, "throttled"},
		{"panic", h.Deliver(t.Context(), "Near", named("panics")), 500, "internal error"},
		{"undecodable", h.Deliver(t.Context(), "Near", []byte(`{"id":"1"}`)), 200, "has no type"},
		{"another vault", h.Deliver(t.Context(), "Near", bytes.ReplaceAll(named("a"), []byte("kv1"), []byte("kv9"))), 200, "not-ours"},
		{"far too large", h.Deliver(t.Context(), "Near", []byte(`{"x":"`+strings.Repeat("x", 20<<20)+`"}`)), 200, "too large"},
		{"no such function here", h.Deliver(t.Context(), "Unknown", named("a")), 404, "not-found"},
		{"tick", h.Tick(t.Context(), "Sync"), 200, "synced: false"},
		{"late tick", h.TickPastDue(t.Context(), "Sync"), 200, "synced: true"},
	} {
		if c.result.Status != c.status || (c.status == 200) != (c.result.Err == nil) || !strings.Contains(string(c.result.Body), c.want) {
			t.Errorf("%s: %d %s %v; want %d, %q", c.name, c.result.Status, c.result.Body, c.result.Err, c.status, c.want)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.stderr) > 0 {
		t.Errorf("stderr: %q", j.stderr)
	}
	for _, line := range j.stdout {
		if !json.Valid([]byte(line)) {
			t.Errorf("stdout line is no JSON: %s", line)
		}
	}
}

func TestHTTPUnderTheFunctionsHost(t *testing.T) {
	h, _ := startHost(t)
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/api/force", `{"rule":"web"}`, 200, `"rule":"web"`},
		{"/api/Force", `{"rule":`, 400, "not valid JSON"},
		{"/api/Bare", `{}`, 500, ""}, // no http output, so the host envelopes it, and the hint is in the log
	} {
		// The reader hides its length: the host must proxy a chunked body too.
		r := httptest.NewRequest("POST", c.path, io.MultiReader(strings.NewReader(c.body)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s = %d %s, want %d %s", c.path, c.body, w.Code, w.Body, c.status, c.want)
		}
	}
}

func TestKilledHandlerComesBack(t *testing.T) {
	h, j := startHost(t)
	before := h.Deliver(t.Context(), "Near", named("a"))
	broken := make(chan error)
	go func() { broken <- h.Deliver(context.Background(), "Near", named("hangs")).Err }()
	<-j.hangs
	h.Kill()
	if err := <-broken; !errors.Is(err, functions.ErrFailed) {
		t.Errorf("killed in the middle: %v", err)
	}
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := h.Deliver(t.Context(), "Near", named("a"))
	if after.Err != nil || bytes.Equal(before.Body, after.Body) {
		t.Errorf("before %s, after %s, %v", before.Body, after.Body, after.Err)
	}
}

func TestListenRefusesABadPort(t *testing.T) {
	for _, port := range []string{"", "0", "-1", "65536", "http", "80 "} {
		if l, err := handler.Listen(port); !errors.Is(err, secret.ErrUsage) {
			t.Errorf("port %q: %v, %v", port, l, err)
		}
	}
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	if _, err := handler.Listen(port); err == nil || errors.Is(err, secret.ErrUsage) {
		t.Errorf("taken port: %v", err)
	}
}

func TestServeEndsWithItsContextAndOtherwiseWithAnError(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	open := func() (net.Listener, string) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l, "http://" + l.Addr().String()
	}
	l, _ := open()
	_ = l.Close()
	if err := handler.Serve(t.Context(), l, http.NotFoundHandler(), quiet); err == nil {
		t.Error("a closed listener ended Serve without an error")
	}

	l, base := open()
	ctx, cancel := context.WithCancel(t.Context())
	entered, finish := make(chan struct{}), make(chan struct{})
	ended, answered := make(chan error, 1), make(chan int, 1)
	go func() {
		ended <- handler.Serve(ctx, l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-finish
			if r.Context().Err() != nil {
				t.Error("the end of ctx cut a request off at once")
			}
		}), quiet)
	}()
	go func() {
		resp, err := http.Get(base)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-entered
	cancel()
	close(finish)
	if status := <-answered; status != 200 {
		t.Errorf("request in flight = %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}
