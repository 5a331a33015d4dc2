package functions

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// recorder is a listening handler that keeps what it was sent and answers {}.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
	if r.URL.Path == "/" {
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.requests, rec.bodies = append(rec.requests, r), append(rec.bodies, string(body))
}

func (rec *recorder) last(t *testing.T) (*http.Request, envelope) {
	t.Helper()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.bodies) == 0 {
		t.Fatal("the handler was not called")
	}
	var e envelope
	if err := json.Unmarshal([]byte(rec.bodies[len(rec.bodies)-1]), &e); err != nil {
		t.Fatalf("envelope: %v", err)
	}
	return rec.requests[len(rec.requests)-1], e
}

// attach starts a host in front of a handler that listens already.
func attach(t *testing.T, handler http.Handler, more ...func(*Options)) *Host {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	opts := Options{App: appFS(), URL: server.URL, Env: []string{}, Now: func() time.Time { return noon }}
	for _, change := range more {
		change(&opts)
	}
	h, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

func TestValuesOfTheEnvelope(t *testing.T) {
	for value, want := range map[string]string{
		`{ "a": 1.50, "b": "<&>" }`: `{"a":1.50,"b":"<&>"}`,
		`"abc"`:                     `"\"abc\""`,
		`4`:                         `"4"`,
		`true`:                      `"true"`,
		`[1, {"a": 2}]`:             `"[1,{\"a\":2}]"`,
	} {
		got, err := wrap(json.RawMessage(value))
		if err != nil || string(got) != want {
			t.Errorf("%s is wrapped as %s, %v; want %s", value, got, err, want)
		}
	}
}

func TestInvocationRequest(t *testing.T) {
	rec := &recorder{}
	h := attach(t, rec)
	event := `{"id":"1","eventType":"T","data":{"EXP":1767324245,"big":12345678901234567890}, "eventTime":"2026-01-02T03:04:05.1234567Z"}`
	if r := h.Deliver(t.Context(), "Near", []byte(event)); r.Err != nil || r.Status != 200 || string(r.Body) != "{}" {
		t.Fatalf("result = %+v", r)
	}
	r, e := rec.last(t)
	if r.Method != "POST" || r.URL.Path != "/Near" || r.ContentLength != -1 || strings.Join(r.TransferEncoding, "") != "chunked" {
		t.Errorf("request = %s %s, length %d, %v", r.Method, r.URL.Path, r.ContentLength, r.TransferEncoding)
	}
	for key, want := range map[string]string{"Content-Type": "application/json; charset=utf-8", "User-Agent": "Azure-Functions-Host/", "X-Azure-Functions-Hostversion": "4."} {
		if got := r.Header.Get(key); !strings.HasPrefix(got, want) {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if id := r.Header.Get("X-Azure-Functions-InvocationId"); len(id) != 36 {
		t.Errorf("invocation id = %q", id)
	}
	if diff := cmp.Diff(strings.ReplaceAll(event, " ", ""), string(e.Data["event"])); diff != "" {
		t.Errorf("Data.event: %s", diff)
	}
	if got := string(e.Metadata["data"]); got != `{"EXP":1767324245,"big":12345678901234567890}` {
		t.Errorf("Metadata.data = %s", got)
	}
	var sys map[string]string
	if err := json.Unmarshal(e.Metadata["sys"], &sys); err != nil || sys["MethodName"] != "Near" || len(sys["RandGuid"]) != 36 {
		t.Errorf("Metadata.sys = %v, %v", sys, err)
	}
}

func TestManyEventsAreOneString(t *testing.T) {
	rec := &recorder{}
	h := attach(t, rec)
	for event, want := range map[string]string{
		`{"id":"1","data":{"x":1}}`:                 `[{"id":"1","data":{"x":1}}]`,
		`[{"id":"1","data":{"x":1}}, {"id": "2"} ]`: `[{"id":"1","data":{"x":1}},{"id":"2"}]`,
	} {
		if r := h.Deliver(t.Context(), "Batch", []byte(event)); r.Err != nil {
			t.Fatal(r.Err)
		}
		_, e := rec.last(t)
		var text string
		if err := json.Unmarshal(e.Data["events"], &text); err != nil || text != want {
			t.Errorf("Data.events = %s, %v; want the string %s", e.Data["events"], err, want)
		}
		var datas string
		if err := json.Unmarshal(e.Metadata["data"], &datas); err != nil || !strings.HasPrefix(datas, `[{"x":1}`) {
			t.Errorf("Metadata.data = %s, %v", e.Metadata["data"], err)
		}
	}
}

func TestTimerInfo(t *testing.T) {
	rec := &recorder{}
	h := attach(t, rec)
	want := []string{
		`{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"0001-01-01T00:00:00","Next":"2026-01-02T12:05:00+00:00","LastUpdated":"0001-01-01T00:00:00"},"IsPastDue":false}`,
		`{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"2026-01-02T12:00:00+00:00","Next":"2026-01-02T12:05:00+00:00","LastUpdated":"2026-01-02T12:00:00+00:00"},"IsPastDue":true}`,
	}
	for i, tick := range []func(context.Context, string) Result{h.Tick, h.TickPastDue} {
		if r := tick(t.Context(), "Sweep"); r.Err != nil {
			t.Fatal(r.Err)
		}
		_, e := rec.last(t)
		if got := string(e.Data["timer"]); got != want[i] {
			t.Errorf("Data.timer = %s\nwant %s", got, want[i])
		}
	}
}

func TestUnsuitableCallsAreRefused(t *testing.T) {
	rec := &recorder{}
	h := attach(t, rec)
	for name, r := range map[string]Result{
		"unknown":        h.Deliver(t.Context(), "near", []byte(`{}`)),
		"timer as event": h.Deliver(t.Context(), "Sweep", []byte(`{}`)),
		"event as timer": h.Tick(t.Context(), "Near"),
		"array":          h.Deliver(t.Context(), "Near", []byte(`[{}]`)),
		"null":           h.Deliver(t.Context(), "Near", []byte(`null`)),
		"not JSON":       h.Deliver(t.Context(), "Near", []byte(`{`)),
	} {
		if r.Err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if len(rec.bodies) != 0 {
		t.Errorf("the handler was called: %q", rec.bodies)
	}
}
