package vaultsync

import (
	"context"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// Source reads one HashiCorp Vault, or one namespace of it. The vault package implements it.
//
// Absence is the dangerous answer, so it is never guessed: an error that wraps secret.ErrNotFound means that the
// server proved it (the mount exists and the token may look), any other error says nothing about what exists.
// Implementations are safe for concurrent use and do their own retries.
type Source interface {
	Lister
	Reader
}

// Lister finds secrets.
type Lister interface {
	// Mounts returns the KV mounts the token can see, in any order.
	Mounts(ctx context.Context) ([]Mount, error)
	// List returns the children of a folder: names of secrets, and names of folders with a trailing slash. One
	// name can be both. dir is "" for the mount itself, else it ends in a slash. A folder without children
	// (facts/vault-sync.md A2: 404 with no errors) is an empty list; a mount that is not there is an error that
	// wraps secret.ErrNotFound.
	List(ctx context.Context, m Mount, dir string) ([]string, error)
}

// Reader reads one secret.
type Reader interface {
	// Metadata reads the state of a KV v2 secret without its value; secret.ErrNotFound when there is none.
	Metadata(ctx context.Context, m Mount, path string) (State, error)
	// Read reads the state and the fields, each field as its JSON text. A version that is deleted or destroyed
	// is a State and no fields, not an error. On KV v1 the State is zero.
	Read(ctx context.Context, m Mount, path string) (State, Fields, error)
}

// Writer is what a Source may also do: write to secrets of KV v2. Every write succeeds exactly the version cas and makes
// cas+1, or changes nothing: secret.ErrConflict when Vault holds another version, or cas is deleted or destroyed.
// secret.ErrUnsupported for KV v1, secret.ErrForbidden where the token may not, secret.ErrAmbiguous when an answer was
// lost and what became of the write cannot be seen; then look before repeating. The State is that of the new version.
type Writer interface {
	// WriteField sets one field to a JSON text. All other fields stay as they are.
	WriteField(ctx context.Context, m Mount, path, field string, value secret.Value, cas int) (State, error)
	// WriteObject replaces all fields.
	WriteObject(ctx context.Context, m Mount, path string, fields Fields, cas int) (State, error)
	// MayWrite asks whether the token may do so, and writes nothing. nil also where the token may not ask.
	MayWrite(ctx context.Context, m Mount, path string) error
}

// DetailedLister is what a Source may also do: list a folder of KV v2 together with the metadata of the secrets in it
// (facts/vault-sync.md A11).
type DetailedLister interface {
	// ListDetailed is List and, for each secret of the folder that the server told enough of, its State. It is asked
	// once, without retries: after any error List and Metadata are there to say the same. secret.ErrUnsupported,
	// without a call as soon as that is known, where the server has no such listing.
	ListDetailed(ctx context.Context, m Mount, dir string) (names []string, states map[string]State, err error)
}

// Mount is a KV secrets engine.
type Mount struct {
	Path    string // without slashes at the ends
	Version int    // 1 or 2
	ID      string // changes when the mount is deleted and made anew at the same path
}

// Fields holds the JSON text of each field of a secret. Number text is kept as Vault sent it.
type Fields map[string]secret.Value

// State is what KV v2 tells of a secret's current version. The zero State stands for KV v1, which tells nothing.
type State struct {
	Version   int       // 0: metadata only, never written
	Created   time.Time // of the current version
	Deletion  time.Time // zero: none; in the future: still readable until then
	Destroyed bool
	Custom    map[string]string // custom_metadata
}

// Gone reports whether the current version can no longer be read at the given time.
func (s State) Gone(now time.Time) bool {
	return s.Destroyed || (!s.Deletion.IsZero() && !s.Deletion.After(now))
}
