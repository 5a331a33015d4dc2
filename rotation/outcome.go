package rotation

import "time"

// Cause is who asked. It decides nothing: what is done follows from the secret's state.
type Cause string

// The causes.
const (
	CauseNearExpiry Cause = "near-expiry" // Key Vault's event 30 days before
	CauseExpired    Cause = "expired"     // Key Vault's event
	CauseAsked      Cause = "asked"       // a person or a program
)

// Request asks to look after one secret.
type Request struct {
	Name    string
	Version string // the version the asker means; empty: whatever is current
	Cause   Cause
	Force   bool // rotate even when not due or too young; skips nothing else
}

// Verdict says how a Rotate ended.
type Verdict string

// The verdicts. Manual, Failed and Conflict were told to the operators by an alert, and asking again does not help.
const (
	Rotated  Verdict = "rotated"  // a new version is published
	Nothing  Verdict = "nothing"  // nothing was to be done
	Manual   Verdict = "manual"   // a person has to act; nothing was touched
	Failed   Verdict = "failed"   // a tag, a setting or the target forbids the rotation
	Conflict Verdict = "conflict" // someone else changed the secret meanwhile; their value stands
)

// Reason is the stable word for why.
type Reason string

// The reasons of Rotated.
const (
	ReasonNearExpiry Reason = "near-expiry"
	ReasonExpired    Reason = "expired"
	ReasonAge        Reason = "age" // no expiry, and older than its validity
	ReasonForced     Reason = "forced"
)

// The reasons of Nothing.
const (
	ReasonOwn            Reason = "own-secret"
	ReasonNotFound       Reason = "not-found"
	ReasonManaged        Reason = "managed"
	ReasonDisabled       Reason = "disabled"
	ReasonAlreadyRotated Reason = "already-rotated" // the current version was made from the one asked about
	ReasonSuperseded     Reason = "superseded"
	ReasonPaused         Reason = "paused"
	ReasonSynced         Reason = "synced" // still copied from Vault, and sync renews its expiry
	ReasonNotDue         Reason = "not-due"
	ReasonTooYoung       Reason = "too-young"
)

// The reasons of Manual.
const (
	ReasonManual      Reason = "manual"
	ReasonNoType      Reason = "no-rotation-type"
	ReasonUnknownType Reason = "unknown-rotation-type"
	ReasonNotCutOver  Reason = "not-cut-over" // has a rotator, but Vault is still the authority
)

// The reasons of Failed and Conflict.
const (
	ReasonUnreadable       Reason = "unreadable"
	ReasonInvalidTag       Reason = "invalid-tag"
	ReasonNoTarget         Reason = "no-target"
	ReasonTargetRefused    Reason = "target-refused"
	ReasonTargetAmbiguous  Reason = "target-ambiguous"
	ReasonTagsFull         Reason = "tags-full" // more or longer than a new version takes
	ReasonFormat           Reason = "value-format"
	ReasonCandidateRefused Reason = "candidate-refused"
	ReasonNotVerified      Reason = "not-verified"
	ReasonTargetFailed     Reason = "target-failed"
	ReasonPublish          Reason = "publish-refused"
	ReasonChanged          Reason = "changed-meanwhile"
)

// Outcome is what Rotate did and why.
type Outcome struct {
	Verdict    Verdict
	Reason     Reason
	Text       string // one sentence
	Name       string // as Key Vault spells it, or as asked when there is no such secret
	OldVersion string
	NewVersion string    // only when Rotated
	Expires    time.Time // of the new version
	// Unannounced is why the alert of a success was not delivered. The rotation stands.
	Unannounced error
}
