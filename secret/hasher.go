package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Hasher makes the keyed hash that stands in the vault-hash tag. Without the key the tag tells nothing about the
// value, not even a guessable one. The key is a Key Vault secret of ours, HashKeyName, never rotated; its version
// is part of each hash, so that a hash made with a lost key is known as such.
//
// The zero Hasher knows no hash. A Hasher is immutable and safe for concurrent use.
type Hasher struct {
	version string
	key     Value
}

// NewHasher takes the key and the Key Vault version it has.
func NewHasher(version string, key Value) Hasher { return Hasher{version: version, key: key} }

// NewHashKey makes a random key of 256 bits as text.
func NewHashKey() Value {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return New(base64.RawURLEncoding.EncodeToString(b[:]))
}

// Sum is "<version of the key>.<HMAC-SHA256 of the value>".
func (h Hasher) Sum(v Value) string {
	m := hmac.New(sha256.New, []byte(h.key.Reveal()))
	m.Write([]byte(v.Reveal()))
	return h.version + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Knows reports whether the sum was made with this key, so that comparing it says something.
func (h Hasher) Knows(sum string) bool {
	version, _, ok := strings.Cut(sum, ".")
	return ok && !h.key.IsZero() && version == h.version
}

// Matches reports whether sum was made with this key from this value. False with Knows false means unknown.
func (h Hasher) Matches(sum string, v Value) bool {
	return h.Knows(sum) && hmac.Equal([]byte(sum), []byte(h.Sum(v)))
}
