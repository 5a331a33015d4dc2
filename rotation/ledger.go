package rotation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// Records keeps what must be remembered between runs. state.Memory and state.Blob are Records.
type Records interface {
	// Get returns a record; secret.ErrNotFound.
	Get(ctx context.Context, key string) (state.Record, error)
	// Put writes over the state that has this ETag, "" = none; secret.ErrConflict when it has another.
	Put(ctx context.Context, key string, data []byte, etag string) (string, error)
	// Delete removes the state that has this ETag; secret.ErrConflict when it has another, nil when there is none.
	Delete(ctx context.Context, key, etag string) error
}

// Ledger is Records that can be listed.
type Ledger interface {
	Records
	// List returns the keys that begin with prefix.
	List(ctx context.Context, prefix string) ([]string, error)
}

// RecordKey is where the record of a secret is kept. scope is that of Options.
func RecordKey(scope, name string) string { return recordPrefix(scope) + secret.FoldName(name) }

// LeaseName is the lease under which a secret is worked on. Whoever holds it may write the secret, unless its record is
// InFlight.
func LeaseName(name string) string { return "rotation/" + secret.FoldName(name) }

func recordPrefix(scope string) string { return inScope(scope, "rotations/") }

func inScope(scope, key string) string {
	if scope == "" {
		return key
	}
	return strings.TrimSuffix(scope, "/") + "/" + key
}

// entry is a record with the ETag under which it was read, or "" when it is new.
type entry struct {
	record

	records Records
	key     string
	etag    string
	stored  []byte // as it was read or written last
	frozen  bool   // it cannot be read and must stay as it is
}

// load reads the record of a secret; without one it is empty and new. A record that cannot be decoded is
// secret.ErrInvalid, and the entry then can only be removed.
func (e *Engine) load(ctx context.Context, name string) (*entry, error) {
	n := &entry{records: e.Records, key: RecordKey(e.Scope, name), record: record{Secret: name}}
	got, err := e.Records.Get(ctx, n.key)
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return n, nil
	case err != nil:
		return nil, fmt.Errorf("read record of %q: %w", name, err)
	}
	n.etag, n.stored = got.ETag, got.Data
	r, err := decodeRecord(got.Data)
	if err != nil {
		return n, fmt.Errorf("read record of %q: %w", name, err)
	}
	n.record = r
	return n, nil
}

// save replaces the record as it was read, if it changed, or removes it when nothing is owed. When somebody else replaced it the error
// is secret.ErrLeaseLost: another run is at work, and this one must stop.
func (n *entry) save(ctx context.Context) error {
	if n.frozen {
		return nil
	}
	if n.empty() {
		return n.remove(ctx)
	}
	data, err := n.encode()
	if err != nil {
		return fmt.Errorf("encode record of %q: %w", n.Secret, err)
	}
	if bytes.Equal(data, n.stored) {
		return nil
	}
	etag, err := n.records.Put(ctx, n.key, data, n.etag)
	if err != nil {
		return n.lost("write", err)
	}
	n.etag, n.stored = etag, data
	return nil
}

func (n *entry) remove(ctx context.Context) error {
	if n.etag == "" {
		return nil
	}
	if err := n.records.Delete(ctx, n.key, n.etag); err != nil {
		return n.lost("remove", err)
	}
	n.etag, n.stored = "", nil
	return nil
}

func (n *entry) lost(verb string, err error) error {
	if errors.Is(err, secret.ErrConflict) {
		return fmt.Errorf("%s record of %q: another run was there: %w", verb, n.Secret, secret.ErrLeaseLost)
	}
	return fmt.Errorf("%s record of %q: %w", verb, n.Secret, err)
}
