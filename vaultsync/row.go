package vaultsync

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// row is what a decision needs of a secret of the destination. Those that wait for their turn lie on the shelf.
type row struct {
	name      string
	path      string // the tag vault-path; "" when the secret carries none
	source    string // the tag migrated-from
	field     string
	version   string // the tag vault-version
	state     string // the tag vault-state, as it stands
	hash      string // the tag vault-hash
	migrated  string // the tag migration-date
	authority string
	removed   string            // the tag removed-by-sync
	rotation  string            // the tag rotation-state
	rotates   bool              // its tags choose a rotator
	foreign   map[string]string // tags that are not Keyferry's; nil when there are none
	tags      map[string]string // all of them; only when the secret was read by itself
	print     [16]byte          // of all tags and the content type
	disabled  bool
	managed   bool
	created   time.Time
	expires   time.Time
}

// newRow keeps of m what a decision needs.
func newRow(m secret.Meta) *row {
	r := &row{
		name:      m.Name,
		path:      m.Tags[secret.TagVaultPath],
		source:    m.Tags[secret.TagMigratedFrom],
		field:     m.Tags[secret.TagVaultField],
		version:   m.Tags[secret.TagVaultVersion],
		state:     m.Tags[secret.TagVaultState],
		hash:      m.Tags[secret.TagVaultHash],
		migrated:  m.Tags[secret.TagMigrationDate],
		authority: m.Tags[secret.TagAuthority],
		rotation:  m.Tags[secret.TagRotationState],
		rotates:   m.Tags[secret.TagRotationType] != "" || m.Tags[secret.TagProviderAddress] != "",
		removed:   m.Tags[secret.TagRemoved],
		print:     tagPrint(m.Tags, m.ContentType),
		disabled:  !m.Enabled,
		managed:   m.Managed,
		created:   m.Created,
		expires:   m.Expires,
	}
	for k, v := range m.Tags {
		if !secret.IsOwnTag(k) {
			if r.foreign == nil {
				r.foreign = map[string]string{}
			}
			r.foreign[k] = v
		}
	}
	return r
}

// id tells whose copy the row is.
func (r *row) id() ident { return ident{r.source, r.path} }

// contentType is the content type a copy has as long as its value stays: only a bare field is text.
func (r *row) contentType() string {
	if r.field == "" {
		return contentJSON
	}
	return contentText
}

// reshaped reports whether the rule now pins another shape than the copy has.
func (r *row) reshaped(as Shape) bool {
	return as == ShapeJSON && r.field != "" || as == ShapeValue && r.field == ""
}

// suspect reports whether the current version was made so long after our write that somebody else made it.
func (r *row) suspect(written secret.State) bool {
	return r.created.Sub(written.Written) > suspectAfter
}

// tagPrint tells two sets of tags and content types apart.
func tagPrint(tags map[string]string, contentType string) [16]byte {
	h := sha256.New()
	put := func(s string) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	put(contentType)
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		put(k)
		put(tags[k])
	}
	return [16]byte(h.Sum(nil))
}
