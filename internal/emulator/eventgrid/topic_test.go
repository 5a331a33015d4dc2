package eventgrid

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"
)

const (
	fakeKey = "fake-topic-key"
	grid    = `{"id":"1","subject":"db-password","eventType":"Keyferry.Test","eventTime":"2026-01-02T03:04:05.1234567Z","dataVersion":"1","data":{"a":1}}`
	cloud   = `{"id":"1","source":"/keyferry","type":"Keyferry.Test","specversion":"1.0"}`
)

func TestRequests(t *testing.T) {
	without := func(event, field string) string { return strings.Replace(event, `"`+field+`"`, `"`+field+`x"`, 1) }
	for _, c := range []struct {
		name, media, body string
		want              int
	}{
		{"one event", contentJSON, `[` + grid + `]`, 200},
		{"two events", contentJSON + "; charset=utf-8", `[` + grid + `,` + grid + `]`, 200},
		{"cloud events", contentCEs, `[` + cloud + `]`, 200},
		{"one cloud event", contentCE, cloud, 200},
		{"object", contentJSON, grid, 400},
		{"empty array", contentJSON, `[]`, 400},
		{"null event", contentJSON, `[null]`, 400},
		{"not JSON", contentJSON, `[`, 400},
		{"text", "text/plain", `[` + grid + `]`, 400},
		{"no content type", "", `[` + grid + `]`, 400},
		{"cloud event as grid event", contentJSON, `[` + cloud + `]`, 400},
		{"grid event as cloud event", contentCEs, `[` + grid + `]`, 400},
		{"no id", contentJSON, `[` + without(grid, "id") + `]`, 400},
		{"no subject", contentJSON, `[` + without(grid, "subject") + `]`, 400},
		{"no type", contentJSON, `[` + without(grid, "eventType") + `]`, 400},
		{"no time", contentJSON, `[` + without(grid, "eventTime") + `]`, 400},
		{"no data version", contentJSON, `[` + without(grid, "dataVersion") + `]`, 400},
		{"no data", contentJSON, `[` + without(grid, "data") + `]`, 400},
		{"odd time", contentJSON, `[` + strings.Replace(grid, "2026-01-02T", "yesterday ", 1) + `]`, 400},
		{"numeric id", contentJSON, `[` + strings.Replace(grid, `"1"`, `1`, 1) + `]`, 400},
		{"unknown property", contentJSON, `[{"extra":1,` + grid[1:] + `]`, 400},
		{"second of two is bad", contentJSON, `[` + grid + `,{}]`, 400},
		{"no source", contentCE, without(cloud, "source"), 400},
		{"old specversion", contentCE, strings.Replace(cloud, "1.0", "0.3", 1), 400},
		{"attribute in camel case", contentCE, `{"myExtension":"x",` + cloud[1:], 400},
		{"data twice", contentCE, `{"data":1,"data_base64":"AQ==",` + cloud[1:], 400},
		{"over 1 MB", contentJSON, `["` + strings.Repeat("x", maxRequest) + `"]`, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			topic := New(Options{Key: fakeKey})
			r := httptest.NewRequest("POST", "/api/events?api-version=2018-01-01", strings.NewReader(c.body))
			r.Header.Set("aeg-sas-key", fakeKey)
			r.Header.Set("Content-Type", c.media)
			w := httptest.NewRecorder()
			topic.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
			if n := len(topic.Events()); (n > 0) != (c.want == 200) {
				t.Errorf("%d events kept", n)
			}
		})
	}
}

func TestWhoMayPublish(t *testing.T) {
	isFake := func(token string) bool { return token == "fake-token" }
	for _, c := range []struct {
		name, header, value string
		opts                Options
		want                int
	}{
		{"key", "aeg-sas-key", fakeKey, Options{Key: fakeKey}, 200},
		{"wrong key", "aeg-sas-key", "other", Options{Key: fakeKey}, 401},
		{"key of a topic without one", "aeg-sas-key", "", Options{}, 401},
		{"nothing", "X-None", "x", Options{Key: fakeKey, Token: isFake}, 401},
		{"bearer", "Authorization", "Bearer fake-token", Options{Token: isFake}, 200},
		{"wrong bearer", "Authorization", "Bearer other", Options{Token: isFake}, 401},
		{"bearer where only a key will do", "Authorization", "Bearer fake-token", Options{Key: fakeKey}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/api/events?api-version=2018-01-01", strings.NewReader(`[`+grid+`]`))
			r.Header.Set("Content-Type", contentJSON)
			r.Header.Set(c.header, c.value)
			w := httptest.NewRecorder()
			New(c.opts).ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("status %d, want %d", w.Code, c.want)
			}
		})
	}
}

func TestAddressAndSchema(t *testing.T) {
	for _, c := range []struct {
		method, url string
		schema      Schema
		want        int
	}{
		{"POST", "/api/events?api-version=2018-01-01", EventGridSchema, 200},
		{"POST", "/api/events?api-version=2018-01-01", CloudEvents, 400},
		{"POST", "/api/events?api-version=2020-01-01", "", 400},
		{"POST", "/api/events", "", 400},
		{"POST", "/?api-version=2018-01-01", "", 404},
		{"GET", "/api/events?api-version=2018-01-01", "", 405},
	} {
		r := httptest.NewRequest(c.method, c.url, strings.NewReader(`[`+grid+`]`))
		r.Header.Set("Content-Type", contentJSON)
		r.Header.Set("aeg-sas-key", fakeKey)
		w := httptest.NewRecorder()
		New(Options{Key: fakeKey, Schema: c.schema}).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s for %q = %d, want %d", c.method, c.url, c.schema, w.Code, c.want)
		}
	}
}

type tokenFunc func() string

func (f tokenFunc) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: f(), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestRealClientPublishes(t *testing.T) {
	var seen int
	topic := New(Options{Key: fakeKey, Token: func(s string) bool { return s == "fake-token" }, Received: func(Event) { seen++ }})
	server := httptest.NewTLSServer(topic)
	defer server.Close()
	options := &azeventgrid.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: server.Client(), Retry: policy.RetryOptions{MaxRetries: -1}}}
	endpoint := server.URL + "/api/events"
	client, err := azeventgrid.NewClientWithSharedKeyCredential(endpoint, azcore.NewKeyCredential(fakeKey), options)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	to := func(s string) *string { return &s }
	event := azeventgrid.Event{ID: to("g1"), Subject: to("db-password"), EventType: to("Keyferry.Test"), EventTime: &at, DataVersion: to("1"), Data: map[string]int{"a": 1}}
	if _, err := client.PublishEvents(t.Context(), []azeventgrid.Event{event}, nil); err != nil {
		t.Fatal(err)
	}
	ce, err := messaging.NewCloudEvent("/keyferry", "Keyferry.Test", map[string]int{"a": 1}, &messaging.CloudEventOptions{Subject: to("db-password"), Time: &at})
	if err != nil {
		t.Fatal(err)
	}
	byToken, err := azeventgrid.NewClient(endpoint, tokenFunc(func() string { return "fake-token" }), options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := byToken.PublishCloudEvents(t.Context(), []messaging.CloudEvent{ce}, nil); err != nil {
		t.Fatal(err)
	}
	got := topic.Events()
	if len(got) != 2 || seen != 2 {
		t.Fatalf("%d events kept, %d seen", len(got), seen)
	}
	for i, schema := range []Schema{EventGridSchema, CloudEvents} {
		e := got[i]
		if e.Schema != schema || e.Type != "Keyferry.Test" || e.Subject != "db-password" || !e.Time.Equal(at) || string(e.Data) != `{"a":1}` {
			t.Errorf("event = %+v", e)
		}
	}
	wrong, err := azeventgrid.NewClientWithSharedKeyCredential(endpoint, azcore.NewKeyCredential("other"), options)
	if err != nil {
		t.Fatal(err)
	}
	var answer *azcore.ResponseError
	if _, err := wrong.PublishEvents(t.Context(), []azeventgrid.Event{event}, nil); !errors.As(err, &answer) || answer.StatusCode != http.StatusUnauthorized || answer.ErrorCode != "Unauthorized" {
		t.Errorf("wrong key: %v", err)
	}
	topic.Reset()
	if n := len(topic.Events()); n != 0 {
		t.Errorf("%d events after Reset", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(contentJSON, []byte(`[`+grid+`]`))
	f.Add(contentCEs, []byte(`[`+cloud+`]`))
	f.Add(contentCE, []byte(cloud))
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		events, err := decode(media, body)
		if err == nil && len(events) == 0 {
			t.Fatal("no event, no error")
		}
		for _, e := range events {
			if err == nil && (e.ID == "" || e.Type == "" || e.Schema == "") {
				t.Fatalf("accepted %+v", e)
			}
		}
	})
}
