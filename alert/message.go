package alert

import "time"

// message is the JSON a webhook receives.
type message struct {
	ID      string    `json:"id"`
	Type    Type      `json:"type"`
	Subject string    `json:"subject"`
	Time    time.Time `json:"time"`
	content
}

// content is what an Event Grid event carries as its data; the rest has a place of its own there.
type content struct {
	Level   string            `json:"level"`
	Text    string            `json:"text"`
	Hint    string            `json:"hint,omitempty"`
	Details map[string]string `json:"details,omitempty"`
}

func messageOf(a Alert) message {
	return message{ID: a.ID(), Type: a.Type, Subject: a.Subject, Time: a.Time.UTC(), content: contentOf(a)}
}

func contentOf(a Alert) content {
	return content{Level: a.Level.String(), Text: a.Text, Hint: a.Hint, Details: a.Details}
}
