package vaultsync

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	day = 24 * time.Hour
	// spread keeps an estate that was copied in an hour from expiring in an hour.
	spread = 60 * day
	// expiryLow is when the expiry of a copy moves on. It lies before the 30 days at which Key Vault raises its
	// near-expiry event (facts/keyvault.md 3.3).
	expiryLow = 45 * day
	// rotationDays is the validity of a secret that is to be rotated, when nobody says otherwise.
	rotationDays = 90
)

// wantExpiry is when a copy should expire; zero: never. has is what it carries now. Vault's own deletion time wins
// over everything; a date that lies far enough ahead stays, so that a run without changes writes nothing.
func wantExpiry(e Entry, s State, has, now time.Time) time.Time {
	switch left := s.Deletion.Sub(now); {
	case left > suspectAfter:
		return s.Deletion.UTC().Truncate(time.Second)
	case left > 0:
		return has // by Vault's clock it may be deleted already, and that is no announcement
	}
	life := DefaultExpiry
	switch {
	case e.Rule.Rotation.Type != "":
		// The rotation counts from here, and moving its date on would keep it from ever coming due.
		if !has.IsZero() {
			return has
		}
		life = rotationDays * day
		if d := e.Rule.Rotation.Days; d > 0 {
			life = time.Duration(d) * day
		}
		return now.Add(life).UTC().Truncate(time.Second)
	case e.Rule.Expiry != nil && *e.Rule.Expiry == 0:
		return has // what somebody set by hand stays
	case e.Rule.Expiry != nil:
		life = *e.Rule.Expiry
	}
	if has.Sub(now) > min(expiryLow, life/2) && has.Sub(now) <= life {
		return has
	}
	return now.Add(life - offset(e.Ref, min(spread, life/4))).UTC().Truncate(time.Second)
}

// offset is a stable share of limit, by hash of the text, in whole hours.
func offset(text string, limit time.Duration) time.Duration {
	hours := uint64(limit / time.Hour)
	if hours == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(text))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%hours) * time.Hour
}
