package rotation

import (
	"strconv"
	"strings"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// owe keeps an alert until it is delivered. One that is kept already is not kept twice.
func (r *run) owe(a alert.Alert) {
	for _, kept := range r.entry.Alerts {
		if kept.ID() == a.ID() {
			return
		}
	}
	r.entry.Alerts = append(r.entry.Alerts, a)
}

// told tells that a secret needs a person. Its dedup key is made of the version, the reason and the rung, so that the
// copies of an event raise one alert, and a version that comes closer to its expiry raises another.
func (r *run) told(d decision) alert.Alert {
	o, rung := r.outcome(d), rungOf(r.facts.meta, r.facts.now)
	a := alert.Alert{
		Subject: o.Name, Time: r.facts.now, Text: "secret " + o.Name + ": " + o.Text, Hint: hints[d.reason], Level: alert.Error,
		Dedup: strings.Join([]string{"rotation", secret.FoldName(o.Name), o.OldVersion, string(d.reason), strconv.Itoa(rung)}, "/"),
		Details: map[string]string{
			"secret": o.Name, "version": o.OldVersion, "reason": string(d.reason), "cause": string(r.ask.Cause),
		},
	}
	switch d.verdict {
	case Manual:
		a.Type = alert.RotationManualRequired
		if rung > 0 {
			a.Level = alert.Warning
		}
	case Conflict:
		a.Type = alert.RotationConflict
	default:
		a.Type = alert.RotationFailed
	}
	return a
}

// flightAlert tells of a rotation under way.
func (r *run) flightAlert(kind alert.Type, level alert.Level, reason Reason, text string) alert.Alert {
	f, name := r.entry.Flight, r.entry.Secret
	return alert.Alert{
		Type: kind, Level: level, Subject: name, Time: r.Now(), Text: "secret " + name + ": " + text, Hint: flightHint(kind, reason),
		Dedup: strings.Join([]string{"rotation", secret.FoldName(name), f.ID, string(kind), string(reason), f.Version}, "/"),
		Details: map[string]string{
			"secret": name, "version": f.Source, "reason": string(reason), "phase": string(f.Phase), "rotation": f.ID, "target": f.Target,
		},
	}
}

// success tells that a new version is there.
func (r *run) success(f *flight) alert.Alert {
	a := r.flightAlert(alert.RotationSucceeded, alert.Info, f.Reason, r.made.Text)
	a.Hint = ""
	a.Details["newVersion"] = f.Version
	a.Details["cause"] = string(r.ask.Cause)
	return a
}

func flightHint(kind alert.Type, reason Reason) string {
	if h := hints[reason]; h != "" {
		return h
	}
	if kind == alert.RotationAppliedNotPublished {
		return "make Key Vault writable and the secret enabled; the sweep publishes then"
	}
	return "see what stands in its way, then order keyferry rotate with --resume, --abandon or --rollback"
}

// hints say what an operator may do.
var hints = map[Reason]string{
	ReasonManual:           "set a new value with a new expiry, or disable the secret",
	ReasonNoType:           "set the tag " + secret.TagRotationType + ", or set a new value with a new expiry",
	ReasonTypeVanished:     "set the tag " + secret.TagRotationType + " again: a version that is written by hand carries no tags over",
	ReasonUnknownType:      "correct the tag " + secret.TagRotationType + "; keyferry lists the rotators in docs/rotators.md",
	ReasonNotCutOver:       "rotate it in Vault, or run keyferry cutover for it",
	ReasonInvalidTag:       "correct the tag",
	ReasonNoTarget:         "list the secret under a target in rotation.targets",
	ReasonTargetRefused:    "correct the tag " + secret.TagRotationTarget + ", or rotation.targets",
	ReasonTargetAmbiguous:  "set the tag " + secret.TagRotationTarget,
	ReasonAdminSecret:      "list it by its name, not by a glob, under the target that may rotate it",
	ReasonOutage:           "set outage: accepted and a window for the target, or use two users",
	ReasonTagsFull:         "remove tags from the secret",
	ReasonFormat:           "set the format of the target, or keep the password in a secret of its own",
	ReasonDenied:           "put the password that works into the secret",
	ReasonDrift:            "put one of the two keys into the secret",
	ReasonCandidateRefused: "compare the password policy of the target with the parameters of the rotator",
	ReasonChanged:          "see who wrote the current version, and whether it works; then order --resume, --abandon or --rollback",
	ReasonStaging:          "see who wrote, disabled or deleted the staging secret; recover it if it was deleted",
	ReasonRecord:           "use the release that wrote it, or order --abandon",
	ReasonAim:              "undo the change of the settings, or order --resume to go on with the new ones",
	ReasonWriteBack:        "see who changed it in Vault; then cut it over or correct Vault by hand",
	ReasonRetire:           "take the old credential away by hand, then order --abandon",
}
