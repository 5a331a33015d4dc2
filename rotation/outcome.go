package rotation

import "time"

// Cause is who asked. It decides nothing: what is done follows from the secret's state.
type Cause string

// The causes.
const (
	CauseNearExpiry Cause = "near-expiry" // Key Vault's event 30 days before
	CauseExpired    Cause = "expired"     // Key Vault's event
	CauseAsked      Cause = "asked"       // a person or a program
	CauseSweep      Cause = "sweep"       // the timer
)

// Exit is what a person orders for a rotation that is stuck.
type Exit string

// The exits.
const (
	// Resume goes on at once: what is parked or waits after a failure is tried again, and a grace ends now.
	Resume Exit = "resume"
	// Abandon forgets the rotation and leaves target and secret as they are. A credential that was minted for it and
	// not published is taken away; the staging secret keeps the candidate in a disabled version.
	Abandon Exit = "abandon"
	// Rollback gives the target its old credential back before the rotation is forgotten.
	Rollback Exit = "rollback"
)

// Request asks to look after one secret.
type Request struct {
	Name    string
	Version string // the version the asker means; empty: whatever is current
	Cause   Cause
	Force   bool // rotate even when not due or too young; skips nothing else
	Exit    Exit // for the rotation that is under way; without one there is nothing to do
}

// Verdict says how a Rotate ended.
type Verdict string

// The verdicts. Asking again helps with none of them: what is to be told to the operators is, and what is to be done
// later stands in the record, from which the sweep goes on.
const (
	Rotated    Verdict = "rotated"    // a new version is published
	Nothing    Verdict = "nothing"    // nothing was to be done
	Manual     Verdict = "manual"     // a person has to act; nothing was touched
	Failed     Verdict = "failed"     // a tag, a setting or the target forbids the rotation
	Conflict   Verdict = "conflict"   // someone else changed the secret meanwhile; their value stands
	Continuing Verdict = "continuing" // it is recorded, and the sweep goes on with it
	Closed     Verdict = "closed"     // a person ended a rotation without a new version
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
	ReasonWindow         Reason = "outside-window"
	ReasonGrace          Reason = "in-grace"     // the old credential of the last rotation still lives
	ReasonParked         Reason = "parked"       // it was given up until a person orders an exit
	ReasonNoRotation     Reason = "not-rotating" // an exit was ordered and there is nothing to leave
)

// The reasons of Continuing and Closed.
const (
	ReasonBackOff    Reason = "backing-off" // the last attempt failed
	ReasonAbandoned  Reason = "abandoned"
	ReasonRolledBack Reason = "rolled-back"
)

// The reasons of Manual.
const (
	ReasonManual       Reason = "manual"
	ReasonNoType       Reason = "no-rotation-type"
	ReasonUnknownType  Reason = "unknown-rotation-type"
	ReasonNotCutOver   Reason = "not-cut-over" // has a rotator, but Vault is still the authority
	ReasonTypeVanished Reason = "rotation-type-vanished"
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
	ReasonAdminSecret      Reason = "admin-secret" // of another rotator, which no tag may aim at
	ReasonOutage           Reason = "outage-not-accepted"
	ReasonDenied           Reason = "credential-denied" // the target does not know the current value
	ReasonDrift            Reason = "slot-drift"        // the secret holds none of the target's two keys
	ReasonStaging          Reason = "staging-secret"
	ReasonRecord           Reason = "record-unreadable"
	ReasonAim              Reason = "target-moved" // the settings of the target changed while the rotation was under way
	ReasonWriteBack        Reason = "write-back"
	ReasonRetire           Reason = "not-retired"
	ReasonGivenUp          Reason = "given-up"
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
	// Unannounced is why an alert was not delivered. It is kept, and the sweep sends it again.
	Unannounced error
}
