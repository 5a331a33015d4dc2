package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a Value shows wherever it is printed.
const redacted = "[secret]"

// Value holds a secret and keeps it from being printed, logged, encoded or compared by accident.
//
// The content lies behind a pointer, because fmt prints a plain []byte or string in an unexported field of some
// other struct in spite of String and Format; a pointer prints as an address. JSON and text encoding fail, so that a
// forgotten field is an error and not a leak. == does not compile: use Equal. Reveal is the only way out.
//
// The zero Value holds nothing; it is not the same as New(""). A Value is immutable and safe for concurrent use.
type Value struct {
	_       [0]func()
	content *string
}

// New guards s.
func New(s string) Value { return Value{content: &s} }

// Reveal returns the content. Call it only where the value leaves for a store or a target.
func (v Value) Reveal() string {
	if v.content == nil {
		return ""
	}
	return *v.content
}

// IsZero reports whether v is the zero Value, which holds nothing.
func (v Value) IsZero() bool { return v.content == nil }

// Len is the length of the content in bytes.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal reports in constant time (for contents of one length) whether both hold the same content. A zero Value equals only another zero
// Value.
func (v Value) Equal(w Value) bool {
	if v.IsZero() || w.IsZero() {
		return v.IsZero() && w.IsZero()
	}
	return subtle.ConstantTimeCompare([]byte(*v.content), []byte(*w.content)) == 1
}

// String returns a fixed text, never the content.
func (Value) String() string { return redacted }

// GoString returns a fixed text, never the content.
func (Value) GoString() string { return redacted }

// Format prints a fixed text whatever the verb.
func (Value) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue returns a fixed text, never the content.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

var errEncode = errors.New("a secret value is never encoded: call Reveal where it must leave")

// MarshalJSON always fails.
func (Value) MarshalJSON() ([]byte, error) { return nil, errEncode }

// MarshalText always fails.
func (Value) MarshalText() ([]byte, error) { return nil, errEncode }
