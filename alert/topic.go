package alert

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"

	"github.com/keyferry/keyferry/secret"
)

// dataVersion is the version of the data object of our events.
const dataVersion = "1"

// Topic is a sink that publishes alerts to a custom topic of Azure Event Grid, in the Event Grid schema: id, eventType,
// subject and eventTime are those of the alert, data holds level, text, hint and details. It is safe for concurrent
// use.
type Topic struct{ client *azeventgrid.Client }

// NewTopic publishes to the endpoint (https://<topic>.<region>-1.eventgrid.azure.net/api/events) as the identity cred,
// which needs the role EventGrid Data Sender. A nil transport is http.DefaultTransport. No redirect is followed.
func NewTopic(endpoint string, cred azcore.TokenCredential, transport http.RoundTripper) (*Topic, error) {
	endpoint, err := topicURL(endpoint)
	if err != nil {
		return nil, err
	}
	return newTopic(azeventgrid.NewClient(endpoint, cred, topicOptions(transport)))
}

// NewTopicWithKey publishes to the endpoint with an access key of the topic. transport is as for NewTopic.
func NewTopicWithKey(endpoint string, key secret.Value, transport http.RoundTripper) (*Topic, error) {
	endpoint, err := topicURL(endpoint)
	if err == nil && key.Len() == 0 {
		err = fmt.Errorf("use alert topic: %w: the key is empty", secret.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	cred := azcore.NewKeyCredential(key.Reveal())
	return newTopic(azeventgrid.NewClientWithSharedKeyCredential(endpoint, cred, topicOptions(transport)))
}

func newTopic(c *azeventgrid.Client, err error) (*Topic, error) {
	if err != nil {
		return nil, fmt.Errorf("use alert topic: %w", secret.ErrInvalid)
	}
	return &Topic{client: c}, nil
}

// topicURL checks the endpoint and completes one without a path.
func topicURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("use alert topic: %w: want https://<topic>.<region>-1.eventgrid.azure.net/api/events", secret.ErrInvalid)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/events"
	}
	return u.String(), nil
}

func topicOptions(transport http.RoundTripper) *azeventgrid.ClientOptions {
	return &azeventgrid.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: client(transport),
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "keyferry"},
	}}
}

// Send implements Sink.
func (t *Topic) Send(ctx context.Context, a Alert) error {
	err := a.check()
	if err == nil {
		err = t.publish(ctx, a)
	}
	if err != nil {
		return fmt.Errorf("publish alert %q to the topic: %w", a.Type, err)
	}
	return nil
}

func (t *Topic) publish(ctx context.Context, a Alert) error {
	event := azeventgrid.Event{
		ID:          to.Ptr(a.ID()),
		EventType:   to.Ptr(string(a.Type)),
		Subject:     &a.Subject,
		EventTime:   to.Ptr(a.Time.UTC()),
		DataVersion: to.Ptr(dataVersion),
		Data:        contentOf(a),
	}
	return deliver(ctx, func(ctx context.Context) error {
		_, err := t.client.PublishEvents(ctx, []azeventgrid.Event{event}, nil)
		return publishFault(err)
	})
}

// publishFault keeps the status of an error of azcore, which prints URL and body.
func publishFault(err error) error {
	var response *azcore.ResponseError
	var noToken interface{ NonRetriable() } // how azidentity marks an error that came of getting a token
	switch {
	case err == nil:
		return nil
	case errors.As(err, &response):
		return refused(response.StatusCode)
	case errors.As(err, &noToken):
		return fmt.Errorf("%w: no token for the topic", secret.ErrUnauthorized)
	}
	return unreached(err)
}
