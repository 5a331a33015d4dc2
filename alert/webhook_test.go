package alert_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

func TestWebhookPostsTheAlertAsJSON(t *testing.T) {
	var got []map[string]any
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/made-up" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s of %q", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
		}
		body, err := io.ReadAll(r.Body)
		var m map[string]any
		if err := errors.Join(err, json.Unmarshal(body, &m)); err != nil {
			t.Error(err)
		}
		got = append(got, m)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer hook.Close()
	w, err := alert.NewWebhook(secret.New(hook.URL+"/made-up"), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := sample()
	bare := alert.Alert{Type: a.Type, Subject: a.Subject, Time: a.Time, Dedup: "other", Text: a.Text}
	if err := errors.Join(w.Send(t.Context(), a), w.Send(t.Context(), bare)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]map[string]any{{
		"id": a.ID(), "type": "Keyferry.Rotation.ManualRequired", "subject": a.Subject, "time": "2026-01-02T02:04:05Z",
		"level": "warning", "text": a.Text, "hint": a.Hint, "details": map[string]any{"version": "v1", "reason": "manual"},
	}, {
		"id": bare.ID(), "type": "Keyferry.Rotation.ManualRequired", "subject": a.Subject, "time": "2026-01-02T02:04:05Z",
		"level": "info", "text": a.Text,
	}}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestWebhookFollowsNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the alert went elsewhere")
	}))
	defer elsewhere.Close()
	hook := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusPermanentRedirect))
	defer hook.Close()
	w, err := alert.NewWebhook(secret.New(hook.URL), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, w.Send(t.Context(), sample()), secret.ErrPermanent)
}

func TestNewWebhookWantsHTTPS(t *testing.T) {
	for _, good := range []string{"https://hook.example/x?token=y", "http://localhost:1/x", "http://127.0.0.1:1", "http://[::1]:1"} {
		if _, err := alert.NewWebhook(secret.New(good), nil); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "hook.foreign", "http://hook.foreign", "http://localhost.foreign", "http://127.0.0.1.foreign", "ftp://127.0.0.1", "https://", "https://\x00foreign", "/foreign"} {
		_, err := alert.NewWebhook(secret.New(bad), nil)
		if !errors.Is(err, secret.ErrInvalid) || strings.Contains(err.Error(), "foreign") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
