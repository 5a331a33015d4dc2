package cli

import (
	"log/slog"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/config"
)

// sinks says who is told: the log always, a topic and a webhook when they are configured.
func sinks(c config.Alerts, log *slog.Logger, client *http.Client, credential azcore.TokenCredential) (alert.Sink, error) {
	told := []alert.Sink{alert.NewLog(log)}
	if c.Topic != "" {
		topic, err := newTopic(c, client, credential)
		if err != nil {
			return nil, err
		}
		told = append(told, topic)
	}
	if !c.Webhook.IsZero() {
		hook, err := alert.NewWebhook(c.Webhook, client.Transport)
		if err != nil {
			return nil, err
		}
		told = append(told, hook)
	}
	return alert.All(told...), nil
}

// newTopic publishes with the topic's key where there is one, else by identity.
func newTopic(c config.Alerts, client *http.Client, credential azcore.TokenCredential) (*alert.Topic, error) {
	if c.TopicKey.IsZero() {
		return alert.NewTopic(c.Topic, credential, client.Transport)
	}
	return alert.NewTopicWithKey(c.Topic, c.TopicKey, client.Transport)
}
