package state

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/keyferry/keyferry/secret"
)

// How long a lease lasts without renewal, and how often Hold renews it. 60 s is the longest finite lease of Azure
// (https://learn.microsoft.com/rest/api/storageservices/lease-blob).
const (
	LeaseTime  = 60 * time.Second
	RenewEvery = 20 * time.Second
)

// maxHolder is the size limit of a holder's name in bytes.
const maxHolder = 128

// Lease is proof that Holder took Name and nobody else has it until LeaseTime after the last Acquire or Renew.
type Lease struct {
	Name   string
	Holder string
	ID     string    // differs each time the lease is taken
	Since  time.Time // when it was taken, by the store's clock
}

// HeldError tells who holds a lease that could not be taken. It is secret.ErrLeaseHeld.
type HeldError struct {
	Name   string
	Holder string    // "" when unknown; for a moment after a change of hands, the holder before
	Since  time.Time // zero when unknown
}

// Error names lease, holder and time.
func (e *HeldError) Error() string {
	s := fmt.Sprintf("lease %q", e.Name)
	if e.Holder != "" {
		s += fmt.Sprintf(" of %q", e.Holder)
	}
	if !e.Since.IsZero() {
		s += " since " + e.Since.UTC().Format(time.RFC3339)
	}
	return s + ": " + secret.ErrLeaseHeld.Error()
}

// Unwrap returns secret.ErrLeaseHeld.
func (e *HeldError) Unwrap() error { return secret.ErrLeaseHeld }

func checkLease(name, holder string) error {
	if !validHolder(holder) {
		return fmt.Errorf("%w: a holder is 1 to %d bytes of printable text", secret.ErrInvalid, maxHolder)
	}
	return checkKey(name)
}

func validHolder(holder string) bool {
	return holder != "" && len(holder) <= maxHolder &&
		!strings.ContainsFunc(holder, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) })
}
