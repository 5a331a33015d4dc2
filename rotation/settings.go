package rotation

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/keyferry/keyferry/format"
	"github.com/keyferry/keyferry/secret"
)

// Defaults of Settings.
const (
	DefaultValidity     = 90 * day
	DefaultRotateBefore = 30 * day
	DefaultMinAge       = time.Hour
	DefaultGrace        = 48 * time.Hour // references of App Service are refreshed daily (facts/rotation.md 6.6)
)

const (
	day         = 24 * time.Hour
	minValidity = 1 * day
	maxValidity = 3650 * day
)

// Settings is the rotation section of the configuration.
type Settings struct {
	Paused       bool          // rotate nothing and raise no alert
	Validity     time.Duration // of a new version, 1 to 3650 days; 0: 90 days
	RotateBefore time.Duration // how long before expiry a secret is due; 0: 30 days; at most a third of the validity, or 30 days of 60 or more
	MinAge       time.Duration // a version younger than this is not rotated; 0: 1 hour
	Grace        time.Duration // how long readers may use the old credential where both work; 0: 48 hours
	Targets      []Target
}

// Target is a place where a rotator may act, and for which secrets. A secret's tags choose among the targets that list
// it and never say more than that.
type Target struct {
	Name     string         // how the tag rotation-target calls it: lower-case letters, digits and hyphens
	Type     string         // of the rotator
	Secrets  []string       // names or globs (path.Match, case ignored) of the secrets it may serve; at least one
	Validity time.Duration  // of a new version; 0: that of Settings
	Params   map[string]any // of the rotator

	User     string // the account, where the value of the secret does not name it
	Format   string // where the password sits in the value, as package format writes it; empty: the value is the password
	Admin    Admin  // who may change the credentials of others; zero: a credential changes itself
	Resource string // id of an Azure resource; lets secrets choose the target by Microsoft's tag ProviderAddress

	Outage bool          // accepted: readers fail from the change until they read the new value, where the target has no overlap
	Window string        // when a rotation may begin, as in "Sat,Sun 01:00-05:00 Europe/Berlin"; empty: always
	Grace  time.Duration // 0: that of Settings

	WriteBack     bool // a copy from Vault is rotated before its cutover, and the new value is written to Vault
	BeforeCutover bool // accepted: a copy from Vault is rotated before its cutover, and Vault keeps the old value
}

// Admin names the secret that holds the credential of an administrator of a target.
type Admin struct {
	Secret string // in the same Key Vault
	User   string // where the value does not name it
	Format string // as in Target
}

// Lists reports whether the target may serve the secret.
func (t Target) Lists(name string) bool {
	for _, glob := range t.Secrets {
		if ok, err := path.Match(secret.FoldName(glob), secret.FoldName(name)); err == nil && ok {
			return true
		}
	}
	return false
}

// names reports whether the target lists the secret by its name, not by a glob.
func (t Target) names(name string) bool {
	return slices.ContainsFunc(t.Secrets, func(s string) bool { return secret.SameName(s, name) })
}

// Validate reports every fault at once. Types and parameters are judged by New, which knows the rotators.
func (s Settings) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("rotation."+format, args...)) }
	if !validValidity(s.Validity) {
		fault("validity: %v is not 1 to 3650 days", s.Validity)
	}
	if s.RotateBefore < 0 {
		fault("rotateBefore: %v is negative", s.RotateBefore)
	}
	if s.MinAge < 0 {
		fault("minAge: %v is negative", s.MinAge)
	}
	if s.Grace < 0 {
		fault("grace: %v is negative", s.Grace)
	}
	seen := map[string]bool{}
	for i, t := range s.Targets {
		if seen[t.Name] {
			fault("targets[%d].name: %q stands twice", i, t.Name)
		}
		seen[t.Name] = true
		for _, err := range t.faults() {
			fault("targets[%d].%w", i, err)
		}
	}
	return errors.Join(faults...)
}

func (t Target) faults() []error {
	var faults []error
	if !slug(t.Name) {
		faults = append(faults, fmt.Errorf("name: %q is not 1 to 64 lower-case letters, digits and hyphens", t.Name))
	}
	if !slug(t.Type) || t.Type == TypeManual {
		faults = append(faults, fmt.Errorf("type: %q is no rotator", t.Type))
	}
	if len(t.Secrets) == 0 {
		faults = append(faults, errors.New("secrets: a target lists the secrets it may serve, this one lists none"))
	}
	for _, glob := range t.Secrets {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			faults = append(faults, fmt.Errorf("secrets: %q is neither a name nor a glob", glob))
		}
	}
	if !validValidity(t.Validity) {
		faults = append(faults, fmt.Errorf("validity: %v is not 1 to 3650 days", t.Validity))
	}
	if _, err := format.Parse(t.Format); err != nil {
		faults = append(faults, fmt.Errorf("format: %w", err))
	}
	if _, err := format.Parse(t.Admin.Format); err != nil {
		faults = append(faults, fmt.Errorf("admin.format: %w", err))
	}
	if _, err := parseWindow(t.Window); err != nil {
		faults = append(faults, fmt.Errorf("window: %w", err))
	}
	if t.Grace < 0 {
		faults = append(faults, fmt.Errorf("grace: %v is negative", t.Grace))
	}
	if t.WriteBack && t.BeforeCutover {
		faults = append(faults, errors.New("writeBack: with it nothing else is to be accepted before the cutover"))
	}
	if a := t.Admin; a.Secret == "" && a != (Admin{}) || a.Secret != "" && (!secret.ValidName(a.Secret) || secret.Own(a.Secret)) {
		faults = append(faults, fmt.Errorf("admin.secret: %q is no name of a secret of yours", a.Secret))
	}
	return faults
}

func validValidity(d time.Duration) bool { return d == 0 || d >= minValidity && d <= maxValidity }

// slug reports whether s is 1 to 64 lower-case letters, digits and hyphens.
func slug(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// withDefaults fills in what zero stands for.
func (s Settings) withDefaults() Settings {
	if s.Validity == 0 {
		s.Validity = DefaultValidity
	}
	if s.RotateBefore == 0 {
		s.RotateBefore = DefaultRotateBefore
	}
	if s.MinAge == 0 {
		s.MinAge = DefaultMinAge
	}
	if s.Grace == 0 {
		s.Grace = DefaultGrace
	}
	return s
}
