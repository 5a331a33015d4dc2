package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The tags Keyferry writes. Tags are the state of the sync; there is no database beside them. Everyone with list
// permission reads them, so none holds a value.
const (
	TagMigratedFrom   = "migrated-from"   // name of the source in the configuration
	TagVaultPath      = "vault-path"      // EncodePath: mount, path and key in Vault
	TagVaultField     = "vault-field"     // the field whose bare value this is
	TagVaultVersion   = "vault-version"   // KV v2 version, for people
	TagVaultState     = "vault-state"     // State: fingerprint of the source and time of the write
	TagVaultHash      = "vault-hash"      // Hasher.Sum of the value
	TagMigrationDate  = "migration-date"  // day of the first copy, 2006-01-02
	TagAuthority      = "authority"       // AuthorityVault or AuthorityKeyVault
	TagRotationType   = "rotation-type"   // the rotator, or "manual"
	TagRotationTarget = "rotation-target" // chooses among the targets that list the secret
	TagRotationState  = "rotation-state"  // RotationState: the rotation that made this version
	TagRotationDays   = "rotation-validity-days"
	TagRemoved        = "removed-by-sync" // day on which sync disabled or deleted it, 2006-01-02
)

// The tags of Microsoft's rotation samples (facts/rotation.md 1.1). They are foreign: Keyferry reads them where a target
// lists the resource, keeps them, and brings CredentialId up to date.
const (
	TagCredentialID    = "CredentialId"       // slot, login or key id of the current credential
	TagProviderAddress = "ProviderAddress"    // resource id of the target
	TagValidityDays    = "ValidityPeriodDays" // of the next version
)

// Who may change a secret: sync copies from Vault, or Key Vault is its home.
const (
	AuthorityVault    = "vault"
	AuthorityKeyVault = "keyvault"
)

// ownTags lists every tag of Keyferry, in the order in which they survive when there is room for 15 only.
var ownTags = []string{
	TagMigratedFrom, TagVaultPath, TagVaultField, TagVaultVersion, TagVaultState, TagVaultHash, TagMigrationDate,
	TagAuthority, TagRotationType, TagRotationTarget, TagRotationState, TagRotationDays,
	TagRemoved,
}

// OwnTags returns the names of Keyferry's tags in their order of precedence.
func OwnTags() []string { return append([]string(nil), ownTags...) }

// IsOwnTag reports whether Keyferry writes a tag of this name. Such names are never taken from custom_metadata.
func IsOwnTag(name string) bool {
	for _, t := range ownTags {
		if strings.EqualFold(t, name) {
			return true
		}
	}
	return false
}

// Making a replacer costs more than using it, and an estate has many paths.
var (
	escapePath   = strings.NewReplacer("%", "%25", "#", "%23")
	unescapePath = strings.NewReplacer("%23", "#", "%25", "%")
)

// EncodePath is the vault-path tag: "<mount>/<path>" or "<mount>/<path>#<key>". A '%' or '#' of the path is percent
// encoded, so that two places in Vault never share a tag. What is longer than a tag is cut and ends in a hash.
func EncodePath(mount, path, key string) string {
	escape := escapePath.Replace
	s := escape(strings.Trim(mount, "/")) + "/" + escape(path)
	if key != "" {
		s += "#" + escape(key)
	}
	return Shorten(s, MaxTagValue)
}

// DecodePath takes a vault-path tag apart: "<mount>/<path>", and the key or "". ok is false for a tag that was cut, or
// that no EncodePath made.
func DecodePath(tag string) (path, key string, ok bool) {
	if len(tag) == MaxTagValue && tag[len(tag)-17] == '~' {
		return "", "", false
	}
	place, key, _ := strings.Cut(tag, "#")
	unescape := unescapePath.Replace
	path, key = unescape(place), unescape(key)
	return path, key, EncodePath(path[:max(0, strings.IndexByte(path, '/'))], path[strings.IndexByte(path, '/')+1:], key) == tag
}

// Shorten returns s, or when it has more than limit bytes its beginning, cut between characters, and a hash of the
// whole, so that different texts stay different.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	end := "~" + hex.EncodeToString(sum[:8])
	cut := limit - len(end)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + end
}

// State is the vault-state tag: what the source looked like when Keyferry wrote, and when that was.
type State struct {
	Print   string // fingerprint of the source, 1 to 64 characters of [0-9a-zA-Z]
	Written time.Time
}

// String encodes the state for the tag, the time in whole seconds.
func (s State) String() string { return s.Print + "." + strconv.FormatInt(s.Written.Unix(), 10) }

// ParseState decodes a vault-state tag. Anything a person may have made of it is an error.
func ParseState(tag string) (State, error) {
	print, unix, ok := strings.Cut(tag, ".")
	sec, err := strconv.ParseInt(unix, 10, 64)
	if !ok || err != nil || sec < 0 || !wordLike(print) {
		return State{}, fmt.Errorf("%w: tag %s is not <fingerprint>.<seconds>", ErrInvalid, TagVaultState)
	}
	return State{Print: print, Written: time.Unix(sec, 0).UTC()}, nil
}

// RotationState is the rotation-state tag: it proves which rotation made a version.
type RotationState struct {
	ID         string    // of the rotation
	From       string    // version of the secret that was rotated
	At         time.Time // of the publish, whole seconds
	Credential string    // id of the credential on the target, if it has one; not secret
}

// String encodes the state for the tag.
func (r RotationState) String() string {
	s := r.ID + "." + r.From + "." + strconv.FormatInt(r.At.Unix(), 10)
	if r.Credential != "" {
		s += "." + r.Credential
	}
	return s
}

// ParseRotationState decodes a rotation-state tag. Anything a person may have made of it is an error.
func ParseRotationState(tag string) (RotationState, error) {
	bad := fmt.Errorf("%w: tag %s is not <id>.<version>.<seconds>[.<credential>]", ErrInvalid, TagRotationState)
	part := strings.SplitN(tag, ".", 4)
	if len(part) < 3 || !wordLike(part[0]) || !wordLike(part[1]) {
		return RotationState{}, bad
	}
	sec, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil || sec < 0 {
		return RotationState{}, bad
	}
	r := RotationState{ID: part[0], From: part[1], At: time.Unix(sec, 0).UTC()}
	if len(part) == 4 {
		if r.Credential = part[3]; r.Credential == "" {
			return RotationState{}, bad
		}
	}
	return r, nil
}

// wordLike reports whether s is 1 to 64 letters and digits, as version ids and fingerprints are.
func wordLike(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if c == '-' || !nameByte(c) {
			return false
		}
	}
	return true
}
