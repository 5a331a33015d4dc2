package rotation

import (
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// stumbled remembers an attempt that failed and when the next one is due. Whoever must know is told: at once when the
// target has a credential that readers do not, after some attempts when nothing was changed, and when it is given up.
func (r *run) stumbled(err error) Outcome {
	n, f := r.entry, r.entry.Flight
	n.Attempts++
	n.Next = r.Now().Add(pauseAfter(n.Attempts))
	n.Trouble = secret.Shorten(err.Error(), maxTrouble)
	d := decision{verdict: Continuing, reason: ReasonBackOff, text: n.Trouble}
	switch {
	case f == nil:
		if n.Attempts >= tellAfter {
			r.needs(decision{verdict: Failed, reason: ReasonGivenUp, text: fmt.Sprintf("%d attempts to rotate it failed: %s", n.Attempts, n.Trouble)})
		}
	case n.Attempts >= parkAfter:
		f.Parked = true
		r.owe(r.flightAlert(alert.RotationParked, alert.Error, ReasonGivenUp, fmt.Sprintf("its rotation is parked after %d attempts: %s", n.Attempts, n.Trouble)))
		return r.outcome(decision{verdict: Failed, reason: ReasonParked, text: n.Trouble})
	case f.Warned:
	case f.Phase == applied && !f.Local:
		f.Warned = true
		r.owe(r.flightAlert(alert.RotationAppliedNotPublished, alert.Error, ReasonPublish,
			"the target has a new credential that Key Vault has not: "+n.Trouble))
	case errors.Is(err, errNotVerified):
		f.Warned = true
		r.owe(r.flightAlert(alert.RotationFailed, alert.Error, ReasonNotVerified, n.Trouble))
	case n.Attempts >= tellAfter:
		f.Warned = true
		r.owe(r.flightAlert(alert.RotationFailed, alert.Error, ReasonTargetFailed, "its rotation does not get on: "+n.Trouble))
	}
	done := r.outcome(d)
	done.Text += "; the next attempt is at " + n.Next.UTC().Format("2006-01-02 15:04:05")
	return done
}

// dropped ends an attempt of which nothing remains to be finished.
func (r *run) dropped(h halt) Outcome {
	if h.verdict == Nothing {
		r.forget()
		return r.outcome(h.decision)
	}
	r.entry.Attempts++
	r.entry.Next = r.Now().Add(pauseAfter(r.entry.Attempts))
	r.entry.Trouble = secret.Shorten(h.text, maxTrouble)
	if h.verdict == Continuing {
		return r.outcome(h.decision)
	}
	return r.needs(h.decision)
}

// parked leaves a rotation to a person.
func (r *run) parked(h halt) Outcome {
	f := r.entry.Flight
	f.Parked = true
	r.entry.Trouble = secret.Shorten(h.text, maxTrouble)
	kind := alert.RotationParked
	switch {
	case h.verdict == Conflict:
		kind = alert.RotationConflict
	case f.Phase == applied:
		kind = alert.RotationAppliedNotPublished
	}
	r.owe(r.flightAlert(kind, alert.Error, h.reason, h.text))
	return r.outcome(h.decision)
}
