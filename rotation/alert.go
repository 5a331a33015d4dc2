package rotation

import (
	"strings"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// alert tells the operators of an outcome. Its dedup key is made of what happened to which version, so that the copies
// of an event raise one alert, and a version that expires after its near-expiry alert raises another.
func (e *Engine) alert(f facts, o Outcome) alert.Alert {
	a := alert.Alert{
		Subject: o.Name, Time: f.now, Text: "secret " + o.Name + ": " + o.Text,
		Details: map[string]string{
			"secret": o.Name, "version": o.OldVersion, "reason": string(o.Reason), "cause": string(f.request.Cause),
		},
	}
	switch o.Verdict {
	case Rotated:
		a.Type, a.Level = alert.RotationSucceeded, alert.Info
		a.Details["newVersion"] = o.NewVersion
	case Manual:
		a.Type, a.Level, a.Hint = alert.RotationManualRequired, alert.Warning, hints[o.Reason]
	case Conflict:
		a.Type, a.Level, a.Hint = alert.RotationConflict, alert.Error, hints[o.Reason]
	default:
		a.Type, a.Level, a.Hint = alert.RotationFailed, alert.Error, hints[o.Reason]
	}
	stage := "valid"
	if at := f.meta.Expires; !at.IsZero() && !at.After(f.now) {
		stage = "expired"
		if a.Level == alert.Warning {
			a.Level = alert.Error
		}
	}
	a.Dedup = strings.Join([]string{"rotation", secret.FoldName(o.Name), o.OldVersion, string(o.Reason), stage}, "/")
	return a
}

// hints say what an operator may do.
var hints = map[Reason]string{
	ReasonManual:           "set a new value with a new expiry, or disable the secret",
	ReasonNoType:           "set the tag " + secret.TagRotationType + ", or set a new value with a new expiry",
	ReasonUnknownType:      "correct the tag " + secret.TagRotationType + "; keyferry lists the rotators in docs/rotators.md",
	ReasonNotCutOver:       "rotate it in Vault, or run keyferry cutover for it",
	ReasonInvalidTag:       "correct the tag",
	ReasonNoTarget:         "list the secret under a target in rotation.targets",
	ReasonTargetRefused:    "correct the tag " + secret.TagRotationTarget + ", or rotation.targets",
	ReasonTargetAmbiguous:  "set the tag " + secret.TagRotationTarget,
	ReasonTagsFull:         "remove tags from the secret",
	ReasonFormat:           "rotate it by hand, or keep the password in a secret of its own",
	ReasonCandidateRefused: "compare the password policy of the target with the parameters of the rotator",
	ReasonChanged:          "see who wrote the current version, and whether it works",
}
