// Package contract holds the conformance suites: what every implementation of a port must do, as tests that an
// implementation calls with a way to make itself.
package contract

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// StateStore is what a store of package state offers.
type StateStore interface {
	stateRecords
	state.Leaser
	List(ctx context.Context, prefix string) ([]string, error)
}

type stateRecords interface {
	Get(ctx context.Context, key string) (state.Record, error)
	Put(ctx context.Context, key string, data []byte, etag string) (string, error)
	Delete(ctx context.Context, key, etag string) error
}

// StateSubject is a fresh store under test.
type StateSubject struct {
	Store StateStore
	// Expire makes the lease end as it does after state.LeaseTime without renewal.
	Expire func(t *testing.T, name string)
	// LoseAnswer lets the next call reach the store and loses what it answers. Nil: answers cannot be lost.
	LoseAnswer func()
}

// State checks that a store keeps records by compare-and-swap and leases that exclude each other.
func State(t *testing.T, open func(t *testing.T) StateSubject) {
	for _, rule := range []struct {
		name  string
		check func(StateSubject, *testing.T)
	}{
		{"a record is absent until it is put", StateSubject.absentRecord},
		{"a record is put only over the state that was read", StateSubject.compareAndSwap},
		{"one of many writers wins", StateSubject.writersRace},
		{"a record is deleted only as it was read", StateSubject.deletion},
		{"data is returned byte for byte and belongs to the caller", StateSubject.ownData},
		{"keys are listed sorted, by prefix, without leases", StateSubject.listing},
		{"keys and sizes are checked", StateSubject.limits},
		{"a lease excludes others and names its holder", StateSubject.exclusion},
		{"one of many runs gets the lease", StateSubject.runsRace},
		{"an expired lease is lost once another took it", StateSubject.expiry},
		{"a lease is given up once, and only by its holder", StateSubject.releasing},
		{"an ended context stops every call", StateSubject.endedContext},
		{"a lost answer is settled by looking", StateSubject.lostAnswers},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(open(t), t) })
	}
}

func (s StateSubject) absentRecord(t *testing.T) {
	_, err := s.Store.Get(t.Context(), "a")
	wantStateErr(t, err, secret.ErrNotFound)
	keys, err := s.Store.List(t.Context(), "")
	wantStateErr(t, err, nil)
	if len(keys) != 0 {
		t.Errorf("keys of an empty store: %q", keys)
	}
	wantStateErr(t, s.Store.Delete(t.Context(), "a", "none"), nil)
	_, err = s.Store.Put(t.Context(), "a", []byte("x"), "none")
	wantStateErr(t, err, secret.ErrConflict)
}

func (s StateSubject) compareAndSwap(t *testing.T) {
	first := s.put(t, "a", "one", "")
	_, err := s.Store.Put(t.Context(), "a", []byte("one"), "")
	wantStateErr(t, err, secret.ErrConflict)
	second := s.put(t, "a", "two", first)
	if first == second || second == "" {
		t.Errorf("etags %q and %q do not differ", first, second)
	}
	_, err = s.Store.Put(t.Context(), "a", []byte("three"), first)
	wantStateErr(t, err, secret.ErrConflict)
	s.want(t, "a", state.Record{Data: []byte("two"), ETag: second})
	// The same bytes are a new state too: who read the old one did not see this write.
	if third := s.put(t, "a", "two", second); third == second {
		t.Error("a write left the etag as it was")
	}
}

func (s StateSubject) writersRace(t *testing.T) {
	etag := s.put(t, "a", "start", "")
	won := stateRace(8, func(i int) error {
		_, err := s.Store.Put(t.Context(), "a", []byte("same bytes"), etag)
		return err
	})
	wantOneWinner(t, won, secret.ErrConflict)
	won = stateRace(8, func(i int) error {
		_, err := s.Store.Put(t.Context(), "new", []byte("same bytes"), "")
		return err
	})
	wantOneWinner(t, won, secret.ErrConflict)
}

func (s StateSubject) deletion(t *testing.T) {
	old := s.put(t, "a", "one", "")
	now := s.put(t, "a", "two", old)
	wantStateErr(t, s.Store.Delete(t.Context(), "a", old), secret.ErrConflict)
	wantStateErr(t, s.Store.Delete(t.Context(), "a", ""), secret.ErrInvalid)
	s.want(t, "a", state.Record{Data: []byte("two"), ETag: now})
	wantStateErr(t, s.Store.Delete(t.Context(), "a", now), nil)
	wantStateErr(t, s.Store.Delete(t.Context(), "a", now), nil)
	_, err := s.Store.Get(t.Context(), "a")
	wantStateErr(t, err, secret.ErrNotFound)
	if again := s.put(t, "a", "one", ""); again == old || again == now {
		t.Errorf("etag %q came back after the record was deleted", again)
	}
}

func (s StateSubject) ownData(t *testing.T) {
	data := []byte("\x00\xff {\"a\": 1}\r\n")
	_, err := s.Store.Put(t.Context(), "a", data, "")
	wantStateErr(t, err, nil)
	want := string(data)
	data[0] = 'x'
	got, err := s.Store.Get(t.Context(), "a")
	wantStateErr(t, err, nil)
	if string(got.Data) != want {
		t.Errorf("got %q, want %q", got.Data, want)
	}
	got.Data[0] = 'y'
	if again, err := s.Store.Get(t.Context(), "a"); err != nil || string(again.Data) != want {
		t.Errorf("got %q, %v after the caller changed its copy, want %q", again.Data, err, want)
	}
	s.put(t, "empty", "", "")
	if got, err := s.Store.Get(t.Context(), "empty"); err != nil || len(got.Data) != 0 {
		t.Errorf("an empty record came back as %q, %v", got.Data, err)
	}
}

func (s StateSubject) listing(t *testing.T) {
	for _, key := range []string{"b/2", "a", "b/1", "b.x", "b/10", "bb"} {
		s.put(t, key, "x", "")
	}
	s.acquire(t, "b/lease", "run 1")
	for prefix, want := range map[string][]string{
		"":   {"a", "b.x", "b/1", "b/10", "b/2", "bb"},
		"b/": {"b/1", "b/10", "b/2"},
		"c":  nil,
	} {
		got, err := s.Store.List(t.Context(), prefix)
		wantStateErr(t, err, nil)
		if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
			t.Errorf("list %q (-want +got):\n%s", prefix, d)
		}
	}
}

func (s StateSubject) limits(t *testing.T) {
	for _, key := range []string{"", "/", "a/", "/a", "a//b", "A", "a b", "a/../b", ".", "a/.b", "a.", "ä", "a%2fb", "a?b", strings.Repeat("a", 401)} {
		_, err := s.Store.Get(t.Context(), key)
		wantStateErr(t, err, secret.ErrInvalid)
		_, err = s.Store.Put(t.Context(), key, nil, "")
		wantStateErr(t, err, secret.ErrInvalid)
		wantStateErr(t, s.Store.Delete(t.Context(), key, "x"), secret.ErrInvalid)
		_, err = s.Store.Acquire(t.Context(), key, "run 1")
		wantStateErr(t, err, secret.ErrInvalid)
	}
	_, err := s.Store.List(t.Context(), "B")
	wantStateErr(t, err, secret.ErrInvalid)
	for _, holder := range []string{"", "a\nb", "\xff", strings.Repeat("h", 129)} {
		_, err = s.Store.Acquire(t.Context(), "a", holder)
		wantStateErr(t, err, secret.ErrInvalid)
	}
	s.put(t, strings.Repeat("a/", 197)+"b-_.0", strings.Repeat("x", state.MaxRecord), "")
	_, err = s.Store.Put(t.Context(), "big", make([]byte, state.MaxRecord+1), "")
	wantStateErr(t, err, secret.ErrTooLarge)
}

func (s StateSubject) put(t *testing.T, key, data, etag string) string {
	t.Helper()
	tag, err := s.Store.Put(t.Context(), key, []byte(data), etag)
	if err != nil {
		t.Fatalf("put %q over etag %q: %v", key, etag, err)
	}
	return tag
}

func (s StateSubject) acquire(t *testing.T, name, holder string) state.Lease {
	t.Helper()
	l, err := s.Store.Acquire(t.Context(), name, holder)
	if err != nil {
		t.Fatal(err)
	}
	if l.ID == "" || l.Name != name || l.Holder != holder || l.Since.IsZero() {
		t.Errorf("acquire %q as %q: got %+v", name, holder, l)
	}
	return l
}

func (s StateSubject) want(t *testing.T, key string, want state.Record) {
	t.Helper()
	got, err := s.Store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("record %q (-want +got):\n%s", key, d)
	}
}

// wantStateErr checks for exactly one kind of error; nil = none.
func wantStateErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// stateRace runs f n times at once and returns the errors.
func stateRace(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	return errs
}

func wantOneWinner(t *testing.T, errs []error, others error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantStateErr(t, err, others)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won, want 1", won, len(errs))
	}
}
