package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/internal/emulator/eventgrid"
	"github.com/keyferry/keyferry/secret"
)

// credential gives a made-up token, or err.
type credential struct{ err error }

func (c credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 || o.Scopes[0] != "https://eventgrid.azure.net/.default" {
		return azcore.AccessToken{}, errors.New("a token for another service")
	}
	return azcore.AccessToken{Token: "made-up", ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

func TestTopicPublishesTheAlert(t *testing.T) {
	topic := eventgrid.New(eventgrid.Options{
		Key: "made-up key", Schema: eventgrid.EventGridSchema,
		Token: func(token string) bool { return token == "made-up" },
	})
	server := httptest.NewTLSServer(topic)
	defer server.Close()
	transport := server.Client().Transport

	byKey, err := alert.NewTopicWithKey(server.URL+"/api/events", secret.New("made-up key"), transport)
	if err != nil {
		t.Fatal(err)
	}
	byToken, err := alert.NewTopic(server.URL, credential{}, transport)
	if err != nil {
		t.Fatal(err)
	}
	a := sample()
	if err := alert.All(byKey, byToken).Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	events := topic.Events()
	if len(events) != 2 {
		t.Fatalf("%d events, want one by key and one by token", len(events))
	}
	for _, e := range events {
		if e.ID != a.ID() || e.Type != "Keyferry.Rotation.ManualRequired" || e.Subject != a.Subject || !e.Time.Equal(a.Time) {
			t.Errorf("got %+v", e)
		}
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]any{
			"level": "warning", "text": a.Text, "hint": a.Hint, "details": map[string]any{"version": "v1", "reason": "manual"},
		}, data); d != "" {
			t.Errorf("data (-want +got):\n%s", d)
		}
	}

	stranger, err := alert.NewTopicWithKey(server.URL, secret.New("wrong"), transport)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, stranger.Send(t.Context(), a), secret.ErrUnauthorized)
}

// noToken is what azidentity returns: an error that says not to try again and repeats the answer it got.
type noToken struct{}

func (noToken) Error() string { return "POST https://login.example foreign text" }
func (noToken) NonRetriable() {}

func TestTopicWithoutToken(t *testing.T) {
	topic, err := alert.NewTopic("https://topic.example", credential{err: noToken{}}, nothing{t})
	if err != nil {
		t.Fatal(err)
	}
	err = topic.Send(t.Context(), sample())
	if !errors.Is(err, secret.ErrUnauthorized) || strings.Contains(err.Error(), "example") {
		t.Errorf("got %v", err)
	}
}

func TestNewTopicRefuses(t *testing.T) {
	for _, bad := range []string{"", "foreign", "http://topic.foreign", "https://u:p@topic.foreign", "https://topic.foreign?sig=x", "https://topic.foreign#x", "https://\x00foreign"} {
		_, err := alert.NewTopic(bad, credential{}, nil)
		if !errors.Is(err, secret.ErrInvalid) || strings.Contains(err.Error(), "foreign") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := alert.NewTopicWithKey("https://topic.example", secret.New(""), nil); !errors.Is(err, secret.ErrInvalid) {
		t.Errorf("an empty key: %v", err)
	}
}
