package functions

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var testKeys = Keys{Function: "fake-function-key", System: "fake-system-key", Master: "fake-master-key"}

func withKeys(o *Options) { o.Keys = testKeys }

// byID fails events whose id is bad and accepts all others.
var byID = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	if bytes.Contains(body, []byte(`bad`)) {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, "{}")
})

func TestWebhookStatuses(t *testing.T) {
	h := attach(t, byID, withKeys)
	const url = "/runtime/webhooks/eventgrid?functionName=Near&code=fake-system-key"
	for _, c := range []struct {
		name, method, url, kind, body string
		want                          int
	}{
		{"one event", "POST", url, "Notification", `[{"id":"1","data":{}}]`, 202},
		{"three events", "POST", url, "notification", `[{"id":"1"},{"id":"2"},{"id":"3"}]`, 202},
		{"one of three fails", "POST", url, "Notification", `[{"id":"1"},{"id":"bad"},{"id":"3"}]`, 500},
		{"structured CloudEvent", "POST", url, "Notification", `{"id":"1","specversion":"1.0"}`, 202},
		{"batch function", "POST", strings.Replace(url, "Near", "Batch", 1), "Notification", `[{"id":"1"},{"id":"2"}]`, 202},
		{"event is no object", "POST", url, "Notification", `[7]`, 500},
		{"not JSON", "POST", url, "Notification", `hello`, 500},
		{"no event type", "POST", url, "", `[]`, 400},
		{"odd event type", "POST", url, "Subscribe", `[]`, 400},
		{"unsubscribe", "POST", url, "Unsubscribe", ``, 202},
		{"unknown function", "POST", strings.Replace(url, "Near", "Far", 1), "Notification", `[]`, 404},
		{"other case", "POST", strings.Replace(url, "Near", "near", 1), "Notification", `[]`, 404},
		{"timer function", "POST", strings.Replace(url, "Near", "Sweep", 1), "Notification", `[]`, 404},
		{"wrong key", "POST", "/runtime/webhooks/eventgrid?functionName=Near&code=fake-function-key", "Notification", `[]`, 401},
		{"no key", "POST", "/runtime/webhooks/eventgrid?functionName=Near", "Notification", `[]`, 401},
		{"master key", "POST", strings.Replace(url, "system", "master", 1), "Notification", `[]`, 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.url, strings.NewReader(c.body))
			if c.kind != "" {
				r.Header.Set("aeg-event-type", c.kind)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("status %d, want %d", w.Code, c.want)
			}
		})
	}
}

func TestHandshakesNeverReachTheHandler(t *testing.T) {
	rec := &recorder{}
	h := attach(t, rec)
	r := httptest.NewRequest("POST", "/runtime/webhooks/eventgrid?functionName=Near", strings.NewReader(`[{"data":{"validationCode":"fake-code"}}]`))
	r.Header.Set("aeg-event-type", "SubscriptionValidation")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"validationResponse":"fake-code"}` {
		t.Errorf("validation = %d %s", w.Code, w.Body)
	}
	r = httptest.NewRequest("OPTIONS", "/runtime/webhooks/eventgrid?functionName=Near", nil)
	r.Header.Set("WebHook-Request-Origin", "eventgrid.azure.net")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 || w.Header().Get("WebHook-Allowed-Origin") != "eventgrid.azure.net" {
		t.Errorf("handshake = %d %v", w.Code, w.Header())
	}
	if len(rec.bodies) != 0 {
		t.Errorf("the handler was called: %q", rec.bodies)
	}
}

func TestEventsOfOneDeliveryRunInParallel(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	h := attach(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			both.Done()
			both.Wait() // returns only when the other one is here too
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	r := httptest.NewRequest("POST", "/runtime/webhooks/eventgrid?functionName=Near", strings.NewReader(`[{"id":"1"},{"id":"2"}]`))
	r.Header.Set("aeg-event-type", "Notification")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 202 {
		t.Errorf("status %d", w.Code)
	}
}

func TestHTTPFunctionIsProxied(t *testing.T) {
	var got *http.Request
	var body string
	h := attach(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		w.Header().Set("X-Kept", "yes")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "busy")
	}), withKeys)
	// io.MultiReader hides the length, so the request is chunked; proxying keeps such a body.
	r := httptest.NewRequest("POST", "http://app.example/api/FORCE?rule=a%20b", io.MultiReader(strings.NewReader(`{"full":true}`)))
	r.Header.Set("x-functions-key", testKeys.Function)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 503 || w.Body.String() != "busy" || w.Header().Get("X-Kept") != "yes" {
		t.Errorf("answer = %d %q %v", w.Code, w.Body, w.Header())
	}
	if got == nil || got.Method != "POST" || got.URL.Path != "/api/FORCE" || got.URL.RawQuery != "rule=a%20b" || got.Host != "app.example" || body != `{"full":true}` {
		t.Fatalf("request = %+v, body %q", got, body)
	}
	if len(got.Header.Get("X-Azure-Functions-InvocationId")) != 36 {
		t.Error("no invocation id")
	}
}

func TestRoutesMethodsAndKeys(t *testing.T) {
	h := attach(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }), withKeys)
	for _, c := range []struct {
		method, url string
		want        int
	}{
		{"POST", "/api/Force?code=fake-function-key", 200},
		{"POST", "/api/force?code=fake-master-key", 200},
		{"POST", "/api/Force?code=wrong", 401},
		{"POST", "/api/Force", 401},
		{"GET", "/api/Force?code=fake-function-key", 404},
		{"POST", "/Force?code=fake-function-key", 404},
		{"POST", "/api/Near", 404},
		{"GET", "/api/status", 200},
		{"GET", "/api/status/db-password", 200},
		{"GET", "/api/status/db-password/more", 404},
		{"GET", "/", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.url, nil))
		if w.Code != c.want {
			t.Errorf("%s %s = %d, want %d", c.method, c.url, w.Code, c.want)
		}
	}
}

func TestHTTPFunctionWithoutOutputIsEnveloped(t *testing.T) {
	rec := &recorder{}
	h := attach(t, rec)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "http://h/api/bare?x=1&code=k", strings.NewReader(`{"a":1}`))
	r.Header.Set("Accept", "*/*")
	h.ServeHTTP(w, r)
	if w.Code != 204 {
		t.Errorf("status %d", w.Code)
	}
	req, e := rec.last(t)
	if req.URL.Path != "/Bare" {
		t.Errorf("path %s", req.URL.Path)
	}
	var data struct {
		URL, Method, Body string
		Query             map[string]string
		Headers           map[string][]string
	}
	if err := json.Unmarshal(e.Data["req"], &data); err != nil {
		t.Fatal(err)
	}
	if data.Method != "POST" || data.URL != "http://h/api/bare?x=1&code=k" || data.Body != `{"a":1}` || data.Query["x"] != "1" || data.Headers["Accept"][0] != "*/*" {
		t.Errorf("Data.req = %+v", data)
	}
	if string(e.Metadata["x"]) != `"\"1\""` || e.Metadata["code"] != nil {
		t.Errorf("Metadata = %s", e.Metadata)
	}
}

func TestHTTPOutputShapesTheResponse(t *testing.T) {
	for output, want := range map[string]string{
		`{"statusCode":201,"body":{"a":1},"headers":{"X-A":"b"}}`: `201 b {"a":1}`,
		`{"status":"418","body":"tea"}`:                           `418  tea`,
		`{"statusCode":201}`:                                      `200  {"statusCode":201}`,
		`"text"`:                                                  `200  text`,
		`null`:                                                    `204  `,
	} {
		w := httptest.NewRecorder()
		writeOutput(w, json.RawMessage(output))
		if got := strings.Join([]string{strconv.Itoa(w.Code), w.Header().Get("X-A"), w.Body.String()}, " "); got != want {
			t.Errorf("%s gives %q, want %q", output, got, want)
		}
	}
}

func TestManualTrigger(t *testing.T) {
	called := make(chan string, 2)
	h := attach(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
		if r.Method == "POST" {
			body, _ := io.ReadAll(r.Body)
			called <- string(body)
		}
	}), withKeys)
	for _, c := range []struct {
		url, body string
		want      int
	}{
		{"/admin/functions/Near", `{"input":"{\"id\":\"by-hand\"}"}`, 202},
		{"/admin/functions/Sweep", `{"input":""}`, 202},
		{"/admin/functions/Near", `{"input":"no"}`, 400},
		{"/admin/functions/Near", `{}`, 400},
		{"/admin/functions/Force", `{"input":""}`, 400},
		{"/admin/functions/Far", `{"input":""}`, 404},
	} {
		r := httptest.NewRequest("POST", c.url, strings.NewReader(c.body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%s without a key = %d", c.url, w.Code)
		}
		r = httptest.NewRequest("POST", c.url, strings.NewReader(c.body))
		r.Header.Set("x-functions-key", testKeys.Master)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s = %d, want %d", c.url, c.body, w.Code, c.want)
		}
	}
	if both := <-called + <-called; !strings.Contains(both, "by-hand") || !strings.Contains(both, "IsPastDue") {
		t.Errorf("handler saw %s", both)
	}
}

func TestStoppedHostAnswers503(t *testing.T) {
	h := attach(t, &recorder{})
	h.Stop()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/status", nil))
	if w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
}
