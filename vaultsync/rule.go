package vaultsync

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/keyferry/keyferry/secret"
)

// Shape says how the fields of a Vault secret become the one value of a Key Vault secret.
type Shape string

const (
	ShapeAuto  Shape = ""      // one field: its value; several: a JSON object
	ShapeValue Shape = "value" // the value of the only field
	ShapeJSON  Shape = "json"  // a JSON object, also of one field
	ShapeKey   Shape = "key"   // one secret for each field
)

// Collision says what happens to newcomers that want one name.
type Collision string

const (
	CollisionRefuse Collision = ""       // nobody gets it
	CollisionSuffix Collision = "suffix" // each gets the name and a stable hash of where it lives in Vault
)

// OnDelete says what happens to the copy of a secret that Vault no longer has. Absence must be proven first.
type OnDelete string

const (
	DeleteKeep    OnDelete = ""        // the copy stays
	DeleteDisable OnDelete = "disable" // its current version is disabled
	DeleteDelete  OnDelete = "delete"  // it is soft-deleted, never purged
)

// OnConflict says whose word counts when the value in Key Vault is not the one we wrote.
type OnConflict string

const (
	DriftReport   OnConflict = ""         // a person decides
	DriftVault    OnConflict = "vault"    // Vault's value is written again
	DriftKeyVault OnConflict = "keyvault" // Key Vault's value stays
)

// OnRemoved says what happens to a copy that somebody else disabled or deleted in Key Vault.
type OnRemoved string

const (
	RemovedReport  OnRemoved = ""        // a person decides
	RemovedRecover OnRemoved = "recover" // it is brought back
)

// DefaultExpiry is how long a copied secret lives when its rule does not say.
const DefaultExpiry = 365 * 24 * time.Hour

// Rule selects secrets of one mount and says how they are copied. A secret belongs to the first rule that selects
// it.
type Rule struct {
	Name        string
	Source      string            // which source; empty: "vault". Becomes the tag migrated-from
	Destination string            // which Key Vault; empty: the only one, or the one called "keyvault"
	Mount       string            // path of the KV mount
	Include     []string          // globs on the path inside the mount, ** spans folders; none: everything
	Exclude     []string          // globs that win over Include
	As          Shape             //
	NameAs      string            // template of the name, see Name; empty: the path
	Map         map[string]string // path inside the mount -> name in Key Vault, instead of the computed one
	OnCollision Collision         //
	OnConflict  OnConflict        //
	OnDelete    OnDelete          //
	Adopt       bool              // take over secrets of somebody else whose value is equal
	// OnDestinationRemoved is about what others disabled or deleted; what we removed comes back with its source.
	OnDestinationRemoved OnRemoved
	Expiry               *time.Duration // nil: DefaultExpiry; 0: none
	Metadata             []string       // keys of custom_metadata to copy as tags
	PEM                  bool           // copy PEM and PFX too, which belong in Key Vault certificates
	Rotation             Rotation       // becomes the rotation tags of new copies
	WriteBack            bool           // a value that was rotated in Key Vault may be written back to Vault; KV v2 only
}

// Rotation is what a rule says of the rotation of its secrets. The zero Rotation says nothing.
type Rotation struct {
	Type   string
	Target string
	Days   int // validity; 0: the rotation's own default
}

// The names of the source and the destination when a rule names none.
const (
	DefaultSource      = "vault"
	DefaultDestination = "keyvault"
)

// Settings is everything the sync is told.
type Settings struct {
	Paused bool
	Rules  []Rule
	Limits Limits
}

// Limits is the fuse: a run that would remove more than the larger of the two removes nothing, and the rest goes on.
type Limits struct {
	Removals     int     // 0: 10
	RemovalShare float64 // of the copies, 0 to 1; 0: 0.05
}

// Validate reports every fault at once, each wrapping secret.ErrUsage.
func (s Settings) Validate() error {
	var faults []error
	seen := map[string]bool{}
	for i, r := range s.Rules {
		at := fmt.Sprintf("sync.rules[%d]", i)
		if r.Name != "" {
			at = fmt.Sprintf("sync rule %q", r.Name)
		}
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("%w: %s: %s", secret.ErrUsage, at, fmt.Sprintf(format, args...)))
		}
		switch {
		case r.Name == "":
			fault("name is missing")
		case seen[r.Name]:
			fault("the name is used twice")
		}
		seen[r.Name] = true
		if strings.Trim(r.Mount, "/") == "" {
			fault("mount is missing, for example: mount: secret")
		}
		for _, g := range append(append([]string(nil), r.Include...), r.Exclude...) {
			if !doublestar.ValidatePattern(g) {
				fault("%q is not a glob", g)
			}
		}
		switch r.As {
		case ShapeAuto, ShapeValue, ShapeJSON, ShapeKey:
		default:
			fault("as is auto, value, json or key, not %q", r.As)
		}
		switch r.OnDelete {
		case DeleteKeep, DeleteDisable, DeleteDelete:
		default:
			fault("onDelete is keep, disable or delete, not %q", r.OnDelete)
		}
		switch r.OnConflict {
		case DriftReport, DriftVault, DriftKeyVault:
		default:
			fault("onConflict is report, vault or keyvault, not %q", r.OnConflict)
		}
		switch r.OnDestinationRemoved {
		case RemovedReport, RemovedRecover:
		default:
			fault("onDestinationRemoved is report or recover, not %q", r.OnDestinationRemoved)
		}
		if _, err := parseName(r.NameAs); err != nil {
			fault("name: %v", err)
		}
		switch r.OnCollision {
		case CollisionRefuse, CollisionSuffix:
		default:
			fault("onCollision is refuse or suffix, not %q", r.OnCollision)
		}
		if r.Expiry != nil && *r.Expiry < 0 {
			fault("expiry is negative")
		}
		for path, name := range r.Map {
			if !secret.ValidName(name) || strings.Contains(name, "--") {
				fault("map gives %q the name %q; Key Vault takes 1 to 127 letters, digits and single hyphens", path, name)
			}
		}
		for _, k := range r.Metadata {
			if secret.IsOwnTag(k) {
				fault("metadata may not set %q, a tag of Keyferry", k)
			}
		}
		if r.Rotation.Type == "" && r.Rotation != (Rotation{}) {
			fault("rotation needs a type")
		}
		if r.Rotation.Days < 0 || r.Rotation.Days > 3650 {
			fault("rotation days are 1 to 3650")
		}
	}
	if s.Limits.Removals < 0 || s.Limits.RemovalShare < 0 || s.Limits.RemovalShare > 1 {
		faults = append(faults, fmt.Errorf("%w: sync.limits: removals is a number, removalShare between 0 and 1", secret.ErrUsage))
	}
	return errors.Join(faults...)
}

// destination is the name of the rule's Key Vault.
func (r Rule) destination() string {
	if r.Destination == "" {
		return DefaultDestination
	}
	return r.Destination
}

// source is the name of the rule's source.
func (r Rule) source() string {
	if r.Source == "" {
		return DefaultSource
	}
	return r.Source
}

// selects reports whether the rule takes the path inside its mount.
func (r Rule) selects(path string) bool {
	for _, g := range r.Exclude {
		if doublestar.MatchUnvalidated(g, path) {
			return false
		}
	}
	if len(r.Include) == 0 {
		return true
	}
	for _, g := range r.Include {
		if doublestar.MatchUnvalidated(g, path) {
			return true
		}
	}
	return false
}

// bases are the folders in which everything the rule can select lies: "" or ending in a slash.
func (r Rule) bases() []string {
	if len(r.Include) == 0 {
		return []string{""}
	}
	var out []string
	for _, g := range r.Include {
		base, _ := doublestar.SplitPattern(g)
		if base == "." || base == "" {
			return []string{""}
		}
		out = append(out, strings.TrimSuffix(base, "/")+"/")
	}
	return out
}
