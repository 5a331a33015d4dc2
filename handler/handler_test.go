package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/handler"
	"github.com/keyferry/keyferry/secret"
)

// app is a set of functions that keep what they were called with. Each fails with the error a test put in.
type app struct {
	mu        sync.Mutex
	events    []handler.Event
	timers    []handler.Timer
	calls     []force
	malformed []string
	answer    handler.Answer
	err       error
	log       bytes.Buffer
}

type force struct {
	Rule   string `json:"rule"`
	Prefix string `json:"prefix"`
	Full   bool   `json:"full"`
}

func (a *app) handler() http.Handler {
	event := func(_ context.Context, e handler.Event) (handler.Answer, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = append(a.events, e)
		return a.answer, a.err
	}
	return handler.New(handler.Functions{
		Events: map[string]func(context.Context, handler.Event) (handler.Answer, error){"SecretNearExpiry": event, "SecretExpired": event},
		Timers: map[string]func(context.Context, handler.Timer) (handler.Answer, error){
			"SyncFromVault": func(_ context.Context, t handler.Timer) (handler.Answer, error) {
				a.timers = append(a.timers, t)
				return a.answer, a.err
			},
			"SweepRotations": nil,
		},
		HTTP: map[string]handler.Call{
			"ForceSync": handler.Post(func(_ context.Context, f force) (handler.Answer, error) {
				a.calls = append(a.calls, f)
				return a.answer, a.err
			}),
			"Status": handler.Get(func(_ context.Context, q url.Values) (handler.Answer, error) {
				return handler.Answer{Body: map[string]string{"query": q.Encode()}}, nil
			}),
			"RotateSecret": {},
		},
		Malformed: func(_ context.Context, function, reason string) {
			a.malformed = append(a.malformed, function+": "+reason)
		},
	}, handler.Options{Vault: "kv1", Log: handler.NewLog(&a.log, slog.LevelDebug)})
}

// post sends a body and checks what holds for every answer.
func post(t *testing.T, h http.Handler, method, path, media, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	r.Header.Set("X-Azure-Functions-InvocationId", "0f0f-1")
	r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var object map[string]json.RawMessage
	if err := json.Unmarshal(w.Body.Bytes(), &object); err != nil || len(object) == 0 {
		t.Errorf("%s %s: body %q is not a non-empty object", method, path, w.Body)
	}
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("%s %s: content type %q", method, path, got)
	}
	return w.Code, w.Body.String()
}

const mediaJSON = "application/json; charset=utf-8"

func envelope(binding string) string {
	return `{"Data":{"event":` + binding + `},"Metadata":{"sys":{"MethodName":"x"}}}`
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

func TestEventsReachTheirFunction(t *testing.T) {
	for name, c := range map[string]struct {
		binding string
		want    int
	}{
		"object":             {gridEvent, 1},
		"CloudEvent":         {cloudEvent, 1},
		"string":             {quote(gridEvent), 1},
		"array":              {"[" + gridEvent + "," + cloudEvent + "]", 2},
		"string of an array": {quote("[" + gridEvent + "," + cloudEvent + "]"), 2},
	} {
		var a app
		status, body := post(t, a.handler(), "POST", "/SecretNearExpiry", mediaJSON, envelope(c.binding))
		if status != 200 || len(a.events) != c.want || len(a.malformed) != 0 {
			t.Errorf("%s: %d %s, %d events, malformed %q", name, status, body, len(a.events), a.malformed)
		}
	}
}

// What design section 3 says of bad input, as far as bytes and transport are concerned.
func TestBadInput(t *testing.T) {
	event := envelope(gridEvent)
	for _, c := range []struct {
		name, method, path, media, body string
		status                          int
		malformed                       int
		want                            string // in the body
	}{
		{"malformed envelope", "POST", "/SecretNearExpiry", mediaJSON, `{"Data":`, 200, 1, "envelope"},
		{"empty body", "POST", "/SecretNearExpiry", mediaJSON, ``, 200, 1, "envelope"},
		{"envelope is null", "POST", "/SecretNearExpiry", mediaJSON, `null`, 200, 1, "envelope"},
		{"no Data", "POST", "/SecretNearExpiry", mediaJSON, `{}`, 200, 1, "one binding"},
		{"Data is an array", "POST", "/SecretNearExpiry", mediaJSON, `{"Data":[]}`, 200, 1, "envelope"},
		{"two bindings", "POST", "/SecretNearExpiry", mediaJSON, `{"Data":{"a":{},"b":{}}}`, 200, 1, "one binding"},
		{"binding is a number", "POST", "/SecretNearExpiry", mediaJSON, envelope(`7`), 200, 1, "neither"},
		{"binding is null", "POST", "/SecretNearExpiry", mediaJSON, envelope(`null`), 200, 1, "neither"},
		{"no event in the array", "POST", "/SecretNearExpiry", mediaJSON, envelope(`"[]"`), 200, 1, "no event"},
		{"string that is no JSON", "POST", "/SecretNearExpiry", mediaJSON, envelope(`"hello"`), 200, 1, "neither"},
		{"undecodable event", "POST", "/SecretNearExpiry", mediaJSON, envelope(`{"id":"1"}`), 200, 1, "has no type"},
		{"one of three undecodable", "POST", "/SecretNearExpiry", mediaJSON, envelope("[" + gridEvent + ",7," + gridEvent + "]"), 200, 1, "db-password: done"},
		{"wrong content type of an envelope", "POST", "/SecretNearExpiry", "text/plain", event, 200, 1, "content type"},
		{"2 MB body", "POST", "/SecretNearExpiry", mediaJSON, envelope(quote(strings.Repeat("x", 2<<20))), 200, 1, "too large"},
		{"event for another vault", "POST", "/SecretNearExpiry", mediaJSON, strings.ReplaceAll(event, "kv1", "kv2"), 200, 0, "not-ours"},
		{"event for a key", "POST", "/SecretExpired", mediaJSON, strings.NewReplacer("SecretNearExpiry", "KeyNearExpiry", `"Secret"`, `"Key"`).Replace(event), 200, 0, "not-ours"},
		{"event for a certificate", "POST", "/SecretExpired", mediaJSON, strings.NewReplacer("SecretNearExpiry", "CertificateNearExpiry", `"Secret"`, `"Certificate"`).Replace(event), 200, 0, "not-ours"},
		{"unknown function", "POST", "/SecretNearlyExpired", mediaJSON, event, 404, 0, "not-found"},
		{"function in another case", "POST", "/secretnearexpiry", mediaJSON, event, 404, 0, "not-found"},
		{"unknown HTTP function", "POST", "/api/Other", mediaJSON, `{}`, 404, 0, "not-found"},
		{"event function under /api", "POST", "/api/SecretNearExpiry", mediaJSON, event, 404, 0, "not-found"},
		{"path below a function", "POST", "/SecretNearExpiry/x", mediaJSON, event, 404, 0, "not-found"},
		{"event by GET", "GET", "/SecretNearExpiry", "", "", 405, 0, "POST"},
		{"timer by GET", "GET", "/SyncFromVault", "", "", 405, 0, "POST"},
		{"POST to the probe", "POST", "/", mediaJSON, "{}", 405, 0, "GET"},
		{"function without implementation", "POST", "/SweepRotations", mediaJSON, "{}", 501, 0, "no implementation"},
		{"HTTP function without implementation", "POST", "/api/RotateSecret", mediaJSON, "{}", 501, 0, "no implementation"},
		{"HTTP function in an envelope", "POST", "/ForceSync", mediaJSON, `{"Data":{"req":{}}}`, 500, 0, "enableProxyingHttpRequest"},
		{"HTTP by GET", "GET", "/api/ForceSync", "", "", 405, 0, "POST"},
		{"HTTP report by POST", "POST", "/api/Status", "", "", 405, 0, "GET"},
		{"HTTP of another content type", "POST", "/api/ForceSync", "application/x-www-form-urlencoded", "rule=x", 415, 0, "invalid"},
		{"HTTP without content type", "POST", "/api/ForceSync", "", `{}`, 415, 0, "invalid"},
		{"HTTP body is no JSON", "POST", "/api/ForceSync", mediaJSON, `{"rule":`, 400, 0, "not valid JSON"},
		{"HTTP body is an array", "POST", "/api/ForceSync", mediaJSON, `[]`, 400, 0, "not a JSON object"},
		{"HTTP field of another type", "POST", "/api/ForceSync", mediaJSON, `{"full":"yes"}`, 400, 0, `\"full\" must be a bool`},
		{"HTTP field unknown", "POST", "/api/ForceSync", mediaJSON, `{"rules":"x"}`, 400, 0, "unknown field"},
		{"HTTP two values", "POST", "/api/ForceSync", mediaJSON, `{} {}`, 400, 0, "more than one"},
		{"HTTP 2 MB body", "POST", "/api/ForceSync", mediaJSON, `{"rule":"` + strings.Repeat("x", 2<<20) + `"}`, 413, 0, "too-large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a app
			status, body := post(t, a.handler(), c.method, c.path, c.media, c.body)
			if status != c.status || len(a.malformed) != c.malformed || !strings.Contains(body, c.want) {
				t.Errorf("%d %.300s, malformed %q; want %d, %d, %q", status, body, a.malformed, c.status, c.malformed, c.want)
			}
			if len(a.calls) > 0 || (len(a.events) > 0 && c.name != "one of three undecodable") {
				t.Errorf("a function was called: %v %v", a.events, a.calls)
			}
		})
	}
}

func TestErrorsOfTriggers(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{nil, 200},
		{fmt.Errorf("rotate: %w", secret.ErrPermanent), 200},
		{fmt.Errorf("rotate: %w", secret.ErrConflict), 200},
		{fmt.Errorf("rotate: %w", secret.ErrInvalid), 200},
		{fmt.Errorf("rotate: %w", secret.ErrNotFound), 200},
		{fmt.Errorf("rotate: %w", secret.ErrDisabled), 200},
		{fmt.Errorf("rotate: %w", secret.ErrPaused), 200},
		{fmt.Errorf("rotate: %w", secret.ErrThrottled), 500},
		{fmt.Errorf("rotate: %w", secret.ErrUnavailable), 500},
		{fmt.Errorf("rotate: %w", secret.ErrLeaseHeld), 500},
		{context.DeadlineExceeded, 500},
		{errors.New("nobody knows"), 500},
	} {
		for _, path := range []string{"/SecretNearExpiry", "/SyncFromVault"} {
			a := app{err: c.err}
			if status, body := post(t, a.handler(), "POST", path, mediaJSON, envelope(gridEvent)); status != c.status {
				t.Errorf("%s with %v = %d %s, want %d", path, c.err, status, body, c.status)
			}
		}
	}
}

func TestOnePassingFaultRepeatsTheBatch(t *testing.T) {
	a := app{err: secret.ErrThrottled}
	status, _ := post(t, a.handler(), "POST", "/SecretNearExpiry", mediaJSON, envelope("["+gridEvent+",7,"+cloudEvent+"]"))
	if status != 500 || len(a.events) != 2 || len(a.malformed) != 1 {
		t.Errorf("%d, %d events, malformed %q", status, len(a.events), a.malformed)
	}
}

func TestTimerRunsWhateverItsEnvelopeSays(t *testing.T) {
	for body, want := range map[string]bool{
		`{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":true}}}`: true,
		`{"Data":{"timer":{"IsPastDue":false}}}`:                                                       false,
		`{"Data":{"timer":"\"odd\""}}`:                                                                 false,
		`{`:                                                                                            false,
		``:                                                                                             false,
	} {
		a := app{answer: handler.Answer{Outcome: "synced", Detail: "3 updated"}}
		status, answer := post(t, a.handler(), "POST", "/SyncFromVault", mediaJSON, body)
		if status != 200 || len(a.timers) != 1 || a.timers[0].PastDue != want || !strings.Contains(answer, "synced: 3 updated") {
			t.Errorf("%s: %d %s, %+v", body, status, answer, a.timers)
		}
	}
}

func TestAnswersOfHTTPFunctions(t *testing.T) {
	body := map[string]int{"updated": 1}
	for _, c := range []struct {
		name   string
		answer handler.Answer
		err    error
		status int
		want   string
	}{
		{"nothing to say", handler.Answer{}, nil, 200, `{"outcome":"done"}`},
		{"outcome", handler.Answer{Outcome: "synced", Detail: "x"}, nil, 200, `{"outcome":"synced","detail":"x"}`},
		{"report", handler.Answer{Body: body}, nil, 200, `{"updated":1}`},
		{"report that is a list", handler.Answer{Body: []int{1}}, nil, 200, `{"result":[1]}`},
		{"empty report", handler.Answer{Body: struct{}{}}, nil, 200, `{"result":{}}`},
		{"not finished", handler.Answer{Pending: true, Body: body}, nil, 202, `{"updated":1}`},
		{"partly failed", handler.Answer{Body: body}, fmt.Errorf("sync: %w", secret.ErrPartial), 200, `{"updated":1}`},
		{"lease held", handler.Answer{Body: body}, fmt.Errorf("sync: %w", secret.ErrLeaseHeld), 202, `{"updated":1}`},
		{"bad rule", handler.Answer{}, fmt.Errorf("rule %q: %w", "x", secret.ErrInvalid), 400, `"code":"invalid"`},
		{"unknown name", handler.Answer{}, fmt.Errorf("rule %q: %w", "x", secret.ErrNotFound), 404, `"code":"not-found"`},
		{"sealed", handler.Answer{}, fmt.Errorf("read: %w", secret.ErrUnavailable), 503, `"hint":`},
		{"unknown error", handler.Answer{}, errors.New("odd"), 500, `"message":"odd"`},
		{"long error", handler.Answer{}, errors.New(strings.Repeat("x", 10000)), 500, `x..."`},
		{"a secret in the report", handler.Answer{Body: map[string]secret.Value{"v": secret.New("fake-value")}}, nil, 500, `not JSON`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := app{answer: c.answer, err: c.err}
			status, got := post(t, a.handler(), "POST", "/api/ForceSync", mediaJSON, `{"rule":"web","full":true}`)
			if status != c.status || !strings.Contains(got, c.want) || len(got) > 4096 {
				t.Errorf("%d %.500s; want %d %s", status, got, c.status, c.want)
			}
			if len(a.calls) != 1 || a.calls[0] != (force{Rule: "web", Full: true}) {
				t.Errorf("called with %+v", a.calls)
			}
			if strings.Contains(got+a.log.String(), "fake-value") {
				t.Error("the secret got out")
			}
		})
	}
}

func TestHTTPFunctionsIgnoreTheCaseOfTheirRoute(t *testing.T) {
	var a app
	if status, body := post(t, a.handler(), "POST", "/api/forcesync", "", ""); status != 200 || len(a.calls) != 1 || a.calls[0] != (force{}) {
		t.Errorf("%d %s %v", status, body, a.calls)
	}
	if status, body := post(t, a.handler(), "GET", "/api/STATUS?name=x&code=fake-key", "", ""); status != 200 || body != `{"query":"name=x"}` {
		t.Errorf("%d %s", status, body)
	}
}

func TestProbe(t *testing.T) {
	var a app
	if status, body := post(t, a.handler(), "GET", "/", "", ""); status != 200 || body != `{"keyferry":"ready"}` {
		t.Errorf("%d %s", status, body)
	}
	if a.log.Len() > 0 {
		t.Errorf("the probe is logged: %s", &a.log)
	}
}

func TestPanicIsAnsweredAndItsTextKept(t *testing.T) {
	var log bytes.Buffer
	h := handler.New(handler.Functions{Timers: map[string]func(context.Context, handler.Timer) (handler.Answer, error){
		"Boom": func(context.Context, handler.Timer) (handler.Answer, error) { panic("fake-value") },
	}}, handler.Options{Log: handler.NewLog(&log, slog.LevelInfo)})
	status, body := post(t, h, "POST", "/Boom", mediaJSON, `{}`)
	if status != 500 || strings.Contains(body, "fake-value") {
		t.Errorf("%d %s", status, body)
	}
	if text := log.String(); strings.Contains(text, "fake-value") || !strings.Contains(text, `"type":"string"`) || !strings.Contains(text, "handler_test.go") {
		t.Errorf("log: %s", text)
	}
}

func TestDeadlinesEndTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := func(ctx context.Context) (handler.Answer, error) {
			<-ctx.Done()
			return handler.Answer{}, ctx.Err()
		}
		h := handler.New(handler.Functions{
			Events: map[string]func(context.Context, handler.Event) (handler.Answer, error){"E": func(ctx context.Context, _ handler.Event) (handler.Answer, error) { return wait(ctx) }},
			Timers: map[string]func(context.Context, handler.Timer) (handler.Answer, error){"T": func(ctx context.Context, _ handler.Timer) (handler.Answer, error) { return wait(ctx) }},
			HTTP:   map[string]handler.Call{"C": handler.Post(func(ctx context.Context, _ force) (handler.Answer, error) { return wait(ctx) })},
		}, handler.Options{})
		for path, want := range map[string]struct {
			after  time.Duration
			status int
		}{"/E": {25 * time.Second, 500}, "/T": {9*time.Minute + 30*time.Second, 500}, "/api/C": {200 * time.Second, 503}} {
			begin := time.Now()
			body := envelope(gridEvent)
			if path == "/api/C" {
				body = ""
			}
			status, _ := post(t, h, "POST", path, mediaJSON, body)
			if took := time.Since(begin); took != want.after || status != want.status {
				t.Errorf("%s: %d after %v, want %d after %v", path, status, took, want.status, want.after)
			}
		}
	})
}

func TestEventsBeyondTheBoundWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		at, most := 0, 0
		h := handler.New(handler.Functions{Events: map[string]func(context.Context, handler.Event) (handler.Answer, error){
			"E": func(context.Context, handler.Event) (handler.Answer, error) {
				mu.Lock()
				at++
				most = max(most, at)
				mu.Unlock()
				time.Sleep(10 * time.Second) // of the bubble's clock
				mu.Lock()
				at--
				mu.Unlock()
				return handler.Answer{}, nil
			},
		}}, handler.Options{Concurrency: 2})
		statuses := make(chan int, 6)
		for range 6 {
			go func() {
				status, _ := post(t, h, "POST", "/E", mediaJSON, envelope(gridEvent))
				statuses <- status
			}()
		}
		got := map[int]int{}
		for range 6 {
			got[<-statuses]++
		}
		// Six at two a time take 30 s; the last two start within their deadline of 25 s and are let finish.
		if most != 2 || got[200] != 6 {
			t.Errorf("at most %d at a time, statuses %v", most, got)
		}
	})
}

func TestEveryLineCarriesTheIDs(t *testing.T) {
	var a app
	post(t, a.handler(), "POST", "/SecretNearExpiry", mediaJSON, envelope(gridEvent))
	lines := strings.Split(strings.TrimSpace(a.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("log: %s", &a.log)
	}
	for _, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if got["invocationId"] != "0f0f-1" || got["traceId"] != "0af7651916cd43dd8448eb211c80319c" || got["function"] != "SecretNearExpiry" {
			t.Errorf("line %s", line)
		}
		if got["msg"] == "event" && (got["eventId"] != "e1" || got["secret"] != "db-password" || got["outcome"] != "done") {
			t.Errorf("line %s", line)
		}
	}
}

func TestIDsOfAnotherFormAreLeftOut(t *testing.T) {
	var a app
	r := httptest.NewRequest("POST", "/SyncFromVault", strings.NewReader(`{}`))
	r.Header.Set("X-Azure-Functions-InvocationId", `"} injected`)
	r.Header.Set("traceparent", "00-zz")
	a.handler().ServeHTTP(httptest.NewRecorder(), r)
	if text := a.log.String(); strings.Contains(text, "injected") || strings.Contains(text, "traceId") {
		t.Errorf("log: %s", text)
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{envelope(gridEvent), envelope(quote("[" + gridEvent + "]")), envelope("[" + cloudEvent + "]"), `{"Data":{}}`, `{}`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var a app
		status, answer := post(t, a.handler(), "POST", "/SecretNearExpiry", mediaJSON, string(body))
		if status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	})
}
