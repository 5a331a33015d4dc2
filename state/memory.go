package state

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// Memory keeps records and leases in this process. It is safe for concurrent use.
type Memory struct {
	now func() time.Time

	mu      sync.Mutex
	records map[string]Record
	leases  map[string]memoryLease
	serial  uint64 // of the latest ETag or lease ID
}

type memoryLease struct {
	Lease
	until time.Time
}

// NewMemory makes an empty store. Leases run out by the clock now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, records: map[string]Record{}, leases: map[string]memoryLease{}}
}

// Get returns a record; secret.ErrNotFound.
func (m *Memory) Get(ctx context.Context, key string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[key]
	err := live(ctx, checkKey(key))
	if err == nil && !ok {
		err = secret.ErrNotFound
	}
	if err != nil {
		return Record{}, fmt.Errorf("get record %q: %w", key, err)
	}
	return Record{Data: bytes.Clone(r.Data), ETag: r.ETag}, nil
}

// Put writes a record and returns its new ETag, if the record still has the ETag given; "" = there is none yet.
// secret.ErrConflict otherwise. secret.ErrTooLarge over MaxRecord.
func (m *Memory) Put(ctx context.Context, key string, data []byte, etag string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := live(ctx, checkPut(key, data))
	if err == nil && m.records[key].ETag != etag {
		err = secret.ErrConflict
	}
	if err != nil {
		return "", fmt.Errorf("put record %q: %w", key, err)
	}
	tag := m.next()
	m.records[key] = Record{Data: bytes.Clone(data), ETag: tag}
	return tag, nil
}

// Delete removes a record if it still has the ETag given, secret.ErrConflict otherwise. Nil when there is none.
func (m *Memory) Delete(ctx context.Context, key, etag string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := live(ctx, checkDelete(key, etag))
	if r, ok := m.records[key]; err == nil && ok && r.ETag != etag {
		err = secret.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("delete record %q: %w", key, err)
	}
	delete(m.records, key)
	return nil
}

// List returns the keys that begin with prefix, sorted.
func (m *Memory) List(ctx context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := live(ctx, checkPrefix(prefix)); err != nil {
		return nil, fmt.Errorf("list records %q: %w", prefix, err)
	}
	keys := slices.Sorted(maps.Keys(m.records))
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) }), nil
}

// Acquire implements Leaser.
func (m *Memory) Acquire(ctx context.Context, name, holder string) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if err := live(ctx, checkLease(name, holder)); err != nil {
		return Lease{}, fmt.Errorf("acquire lease %q: %w", name, err)
	}
	l, taken := m.leases[name]
	if taken && now.Before(l.until) {
		return Lease{}, &HeldError{Name: name, Holder: l.Holder, Since: l.Since}
	}
	l = memoryLease{Lease{Name: name, Holder: holder, ID: m.next(), Since: now}, now.Add(LeaseTime)}
	m.leases[name] = l
	return l.Lease, nil
}

// Renew implements Leaser.
func (m *Memory) Renew(ctx context.Context, l Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	mine := m.leases[l.Name]
	err := live(ctx, nil)
	if err == nil && (l.ID == "" || mine.ID != l.ID) {
		err = secret.ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("renew lease %q: %w", l.Name, err)
	}
	mine.until = m.now().Add(LeaseTime)
	m.leases[l.Name] = mine
	return nil
}

// Release implements Leaser.
func (m *Memory) Release(ctx context.Context, l Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := live(ctx, nil); err != nil {
		return fmt.Errorf("release lease %q: %w", l.Name, err)
	}
	if m.leases[l.Name].ID == l.ID {
		delete(m.leases, l.Name)
	}
	return nil
}

func (m *Memory) next() string {
	m.serial++
	return strconv.FormatUint(m.serial, 10)
}

// live is why a call is not begun: its context ended, or its input is bad.
func live(ctx context.Context, bad error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return bad
}
