package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// Type says what happened. It is the event type on Event Grid, so subscriptions can filter by it.
type Type string

// All types. A conflict is what somebody else did and Keyferry will not undo.
const (
	RotationSucceeded           Type = "Keyferry.Rotation.Succeeded"
	RotationFailed              Type = "Keyferry.Rotation.Failed"
	RotationManualRequired      Type = "Keyferry.Rotation.ManualRequired"
	RotationConflict            Type = "Keyferry.Rotation.Conflict"
	RotationAppliedNotPublished Type = "Keyferry.Rotation.AppliedNotPublished" // the target has the new credential, Key Vault the old
	RotationParked              Type = "Keyferry.Rotation.Parked"              // given up until an operator resumes it

	SyncFailed      Type = "Keyferry.Sync.Failed"
	SyncConflict    Type = "Keyferry.Sync.Conflict"
	SyncFuseTripped Type = "Keyferry.Sync.FuseTripped" // too many removals at once: held
	SyncIncomplete  Type = "Keyferry.Sync.Incomplete"
	SyncRecovered   Type = "Keyferry.Sync.Recovered" // ends SyncFailed and SyncIncomplete

	EventUndecodable Type = "Keyferry.Event.Undecodable" // an event that cannot be read, and so is lost
)

// Level says how soon somebody should look. The zero Level is Info; levels are ordered.
type Level int

// The levels.
const (
	Info Level = iota
	Warning
	Error
)

// String is the level as it stands in alerts: "info", "warning", "error".
func (l Level) String() string {
	switch {
	case l <= Info:
		return "info"
	case l == Warning:
		return "warning"
	}
	return "error"
}

// Alert is one thing to tell. Type, Subject, Time, Dedup and Text are mandatory.
type Alert struct {
	Type    Type
	Subject string    // the secret or the rule it is about
	Time    time.Time // when it happened
	Dedup   string    // two alerts of one Type and Dedup are the same alert
	Level   Level
	Text    string            // one sentence
	Hint    string            // what an operator may do, or ""
	Details map[string]string // for machines; nil for none
}

// ID is the same for alerts that are the same, and different otherwise.
func (a Alert) ID() string {
	sum := sha256.Sum256([]byte(string(a.Type) + "\x00" + a.Dedup))
	return hex.EncodeToString(sum[:16])
}

func (a Alert) check() error {
	if a.Type == "" || a.Subject == "" || a.Time.IsZero() || a.Dedup == "" || a.Text == "" {
		return fmt.Errorf("%w: an alert needs type, subject, time, dedup key and text", secret.ErrInvalid)
	}
	return nil
}

// Sink delivers alerts. Send returns nil when the alert was taken; else the error is a sentinel of package secret and
// the caller keeps the alert to send it again. Implementations are safe for concurrent use, do their own retries, and
// repeat no URL, header or body in an error.
type Sink interface {
	Send(ctx context.Context, a Alert) error
}
