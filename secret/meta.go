package secret

import (
	"strings"
	"time"
)

// Limits of Key Vault (facts/keyvault.md 1.3). TagLength stays below the documented 512 because older documents and
// policies say 256.
const (
	MaxValue       = 25_600 // bytes of a value
	MaxName        = 127
	MaxContentType = 255
	MaxTags        = 15
	MaxTagValue    = 256
)

// Meta is what Key Vault tells of one version of a secret without its value.
type Meta struct {
	Name        string // as Key Vault spells it; compare with SameName
	Version     string // empty when the listing that gave the Meta names no version
	ContentType string
	Enabled     bool
	Managed     bool // backs a certificate: Key Vault refuses to set or delete it
	Created     time.Time
	Updated     time.Time
	NotBefore   time.Time // zero: none
	Expires     time.Time // zero: none
	Tags        map[string]string
}

// Draft is a version yet to be written. Key Vault merges nothing from the version before, so a Draft is complete.
type Draft struct {
	Value       Value
	ContentType string
	Expires     time.Time // zero: none
	Tags        map[string]string
}

// Patch changes an existing version without making a new one. A nil field stays as it is; Tags replaces the whole
// map.
type Patch struct {
	ContentType *string
	Expires     *time.Time
	Enabled     *bool
	Tags        map[string]string
}

// SameName reports whether two names are one secret: Key Vault ignores case (facts/keyvault.md 1.1).
func SameName(a, b string) bool { return strings.EqualFold(a, b) }

// FoldName is the form under which names are indexed: two names are one secret when their folded forms are equal.
func FoldName(name string) string { return strings.ToLower(name) }

// ValidName reports whether Key Vault accepts the name: 1 to 127 letters, digits and hyphens.
func ValidName(name string) bool {
	if len(name) == 0 || len(name) > MaxName {
		return false
	}
	for _, c := range []byte(name) {
		if !nameByte(c) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// ownPrefix begins the names of the secrets Keyferry keeps for itself. Computed names never hold "--".
const ownPrefix = "keyferry--"

// HashKeyName is the secret that holds the key of the Hasher.
const HashKeyName = ownPrefix + "hash-key"

// Own reports whether the name belongs to Keyferry itself. Such secrets are invisible to sync, sweep and events.
func Own(name string) bool { return strings.HasPrefix(FoldName(name), ownPrefix) }
