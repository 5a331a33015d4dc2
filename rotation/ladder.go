package rotation

import (
	"time"

	"github.com/keyferry/keyferry/secret"
)

// rungs are the days before expiry at which operators are told again of what nobody rotated.
var rungs = []int{0, 1, 3, 7, 14, 30}

// noRung is where a version stands that has more time than the first rung, or no expiry.
const noRung = 1 << 10

// ladder is what operators were told last of a secret that needs them.
type ladder struct {
	Version string    `json:"version"`
	Made    time.Time `json:"made"` // of the version, for a listing names none
	Reason  Reason    `json:"reason"`
	Rung    int       `json:"rung"`
}

// rungOf is the rung on which a version stands.
func rungOf(meta secret.Meta, now time.Time) int {
	if meta.Expires.IsZero() {
		return noRung
	}
	remaining := meta.Expires.Sub(now)
	for _, r := range rungs {
		if remaining <= time.Duration(r)*day {
			return r
		}
	}
	return noRung
}

// climb says whether operators must be told that a version needs them for this reason, and what they then know. They
// are told once on each rung.
func (l *ladder) climb(meta secret.Meta, reason Reason, now time.Time) (*ladder, bool) {
	next := &ladder{Version: meta.Version, Made: meta.Created, Reason: reason, Rung: rungOf(meta, now)}
	if l == nil || !l.Made.Equal(next.Made) || l.Reason != reason || next.Rung < l.Rung {
		return next, true
	}
	return l, false
}
