package rotation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// phase is how far a rotation has come.
type phase string

// The phases, in their order. What comes after the last one is done, and the rotation is forgotten.
const (
	prepared  phase = "prepared"  // the target may have been told: ask before telling it again
	applied   phase = "applied"   // the target has the new credential, proven; Key Vault has it not yet
	published phase = "published" // Key Vault has it; the rest is write-back, grace and the end of the old one
)

// record is what is owed about one secret: it exists only as long as something is. It holds no secret value.
type record struct {
	Format   int           `json:"format"`
	Secret   string        `json:"secret"` // as Key Vault spells it
	Flight   *flight       `json:"flight,omitempty"`
	Ladder   *ladder       `json:"ladder,omitempty"`
	Alerts   []alert.Alert `json:"alerts,omitempty"`   // not delivered yet
	Attempts int           `json:"attempts,omitempty"` // that failed in a row
	Next     time.Time     `json:"next,omitzero"`      // no attempt before
	Trouble  string        `json:"trouble,omitempty"`  // of the last attempt, one sentence
	Claims   int           `json:"claims,omitempty"`   // counts writes whose only purpose is that those of others fail
}

// flight is a rotation under way.
type flight struct {
	ID        string        `json:"id"`
	Phase     phase         `json:"phase"`
	Reason    Reason        `json:"reason"`
	Target    string        `json:"target"`
	Aim       string        `json:"aim"` // of the target's settings, so that a candidate never goes elsewhere
	Began     time.Time     `json:"began"`
	Source    string        `json:"source"` // version of the secret that is replaced
	Validity  time.Duration `json:"validity"`
	WriteBack bool          `json:"writeBack,omitempty"` // owed, once published
	Local     bool          `json:"local,omitempty"`     // the value lives in Key Vault only: nothing outside waits for it

	Pending    string `json:"pending,omitempty"`    // version of the staging secret
	User       string `json:"user,omitempty"`       // of the candidate
	Credential string `json:"credential,omitempty"` // id of the candidate at the target
	OldUser    string `json:"oldUser,omitempty"`
	OldID      string `json:"oldId,omitempty"`
	Label      string `json:"label,omitempty"` // of what is minted
	Print      string `json:"print,omitempty"` // of what the slot Credential held before

	Version string    `json:"version,omitempty"` // that was published
	At      time.Time `json:"at,omitzero"`       // of the publish
	Retire  time.Time `json:"retire,omitzero"`   // end of the grace; zero: at once

	Parked bool `json:"parked,omitempty"` // only a person moves it on
	Warned bool `json:"warned,omitempty"` // that Key Vault has the old credential still
}

// recordFormat is the version of the encoding. A record of another one is left alone.
const recordFormat = 1

// maxTrouble bounds the text of a foreign error in a record.
const maxTrouble = 500

func (r record) encode() ([]byte, error) {
	r.Format = recordFormat
	return json.Marshal(r)
}

// decodeRecord is strict: a record that says more than we know was written by a later release, and half of a rotation
// is not for us to finish.
func decodeRecord(data []byte) (record, error) {
	var r record
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return record{}, fmt.Errorf("decode record: %w: not one of this release", secret.ErrInvalid)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || r.Format != recordFormat || !secret.ValidName(r.Secret) {
		return record{}, fmt.Errorf("decode record: %w: not one of this release", secret.ErrInvalid)
	}
	if f := r.Flight; f != nil {
		known := f.Phase == prepared || f.Phase == applied || f.Phase == published
		if !known || f.ID == "" || f.Source == "" || f.Target == "" || f.Phase == published && f.Version == "" {
			return record{}, fmt.Errorf("decode record: %w: not one of this release", secret.ErrInvalid)
		}
	}
	return r, nil
}

// empty reports whether nothing is owed any more.
func (r record) empty() bool {
	return r.Flight == nil && r.Ladder == nil && len(r.Alerts) == 0 && r.Attempts == 0
}

// calls reports whether it is time to work on the record: a step is due, or a grace is over. Alerts and ladders do not
// count; they have ways of their own.
func (r record) calls(now time.Time) bool {
	f := r.Flight
	switch {
	case now.Before(r.Next) || f != nil && f.Parked:
		return false
	case f == nil:
		return r.Attempts > 0
	}
	return !f.waits(now)
}

// waits reports whether nothing but the end of the grace is missing.
func (f *flight) waits(now time.Time) bool {
	return f.Phase == published && !f.WriteBack && now.Before(f.Retire)
}

// InFlight reports whether the record of a secret says that a rotation is on its way to Key Vault, so that nobody else
// should write a value. A record that cannot be read counts.
func InFlight(data []byte) bool {
	r, err := decodeRecord(data)
	return err != nil || r.Flight != nil && (r.Flight.Phase != published || r.Flight.WriteBack)
}
