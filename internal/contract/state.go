// Package contract holds the conformance suites: what every implementation of a port must do, as tests that an
// implementation calls with a way to make itself.
package contract

import (
	"context"
	"errors"
	"fmt"
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
		check func(*testing.T, StateSubject)
	}{
		{"a record is absent until it is put", absentRecord},
		{"a record is put only over the state that was read", compareAndSwap},
		{"one of many writers wins", writersRace},
		{"a record is deleted only as it was read", deletion},
		{"data is returned byte for byte and belongs to the caller", ownData},
		{"keys are listed sorted, by prefix, without leases", listing},
		{"keys and sizes are checked", limits},
		{"a lease excludes others and names its holder", exclusion},
		{"one of many runs gets the lease", runsRace},
		{"an expired lease is lost once another took it", expiry},
		{"a lease is given up once, and only by its holder", releasing},
		{"an ended context stops every call", endedContext},
		{"a lost answer is settled by looking", lostAnswers},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, open(t)) })
	}
}

func absentRecord(t *testing.T, s StateSubject) {
	_, err := s.Store.Get(t.Context(), "a")
	wantErr(t, err, secret.ErrNotFound)
	keys, err := s.Store.List(t.Context(), "")
	wantErr(t, err, nil)
	if len(keys) != 0 {
		t.Errorf("keys of an empty store: %q", keys)
	}
	wantErr(t, s.Store.Delete(t.Context(), "a", "none"), nil)
	_, err = s.Store.Put(t.Context(), "a", []byte("x"), "none")
	wantErr(t, err, secret.ErrConflict)
}

func compareAndSwap(t *testing.T, s StateSubject) {
	first := put(t, s, "a", "one", "")
	_, err := s.Store.Put(t.Context(), "a", []byte("one"), "")
	wantErr(t, err, secret.ErrConflict)
	second := put(t, s, "a", "two", first)
	if first == second || second == "" {
		t.Errorf("etags %q and %q do not differ", first, second)
	}
	_, err = s.Store.Put(t.Context(), "a", []byte("three"), first)
	wantErr(t, err, secret.ErrConflict)
	wantRecord(t, s, "a", state.Record{Data: []byte("two"), ETag: second})
	// The same bytes are a new state too: who read the old one did not see this write.
	if third := put(t, s, "a", "two", second); third == second {
		t.Error("a write left the etag as it was")
	}
}

func writersRace(t *testing.T, s StateSubject) {
	etag := put(t, s, "a", "start", "")
	won := race(8, func(i int) error {
		_, err := s.Store.Put(t.Context(), "a", []byte("same bytes"), etag)
		return err
	})
	wantOneWinner(t, won, secret.ErrConflict)
	won = race(8, func(i int) error {
		_, err := s.Store.Put(t.Context(), "new", []byte("same bytes"), "")
		return err
	})
	wantOneWinner(t, won, secret.ErrConflict)
}

func deletion(t *testing.T, s StateSubject) {
	old := put(t, s, "a", "one", "")
	now := put(t, s, "a", "two", old)
	wantErr(t, s.Store.Delete(t.Context(), "a", old), secret.ErrConflict)
	wantErr(t, s.Store.Delete(t.Context(), "a", ""), secret.ErrInvalid)
	wantRecord(t, s, "a", state.Record{Data: []byte("two"), ETag: now})
	wantErr(t, s.Store.Delete(t.Context(), "a", now), nil)
	wantErr(t, s.Store.Delete(t.Context(), "a", now), nil)
	_, err := s.Store.Get(t.Context(), "a")
	wantErr(t, err, secret.ErrNotFound)
	if again := put(t, s, "a", "one", ""); again == old || again == now {
		t.Errorf("etag %q came back after the record was deleted", again)
	}
}

func ownData(t *testing.T, s StateSubject) {
	data := []byte("\x00\xff {\"a\": 1}\r\n")
	_, err := s.Store.Put(t.Context(), "a", data, "")
	wantErr(t, err, nil)
	want := string(data)
	data[0] = 'x'
	got, err := s.Store.Get(t.Context(), "a")
	wantErr(t, err, nil)
	if string(got.Data) != want {
		t.Errorf("got %q, want %q", got.Data, want)
	}
	got.Data[0] = 'y'
	if again, err := s.Store.Get(t.Context(), "a"); err != nil || string(again.Data) != want {
		t.Errorf("got %q, %v after the caller changed its copy, want %q", again.Data, err, want)
	}
	put(t, s, "empty", "", "")
	if got, err := s.Store.Get(t.Context(), "empty"); err != nil || len(got.Data) != 0 {
		t.Errorf("an empty record came back as %q, %v", got.Data, err)
	}
}

func listing(t *testing.T, s StateSubject) {
	for _, key := range []string{"b/2", "a", "b/1", "b.x", "b/10", "bb"} {
		put(t, s, key, "x", "")
	}
	acquire(t, s, "b/lease", "run 1")
	for prefix, want := range map[string][]string{
		"":   {"a", "b.x", "b/1", "b/10", "b/2", "bb"},
		"b/": {"b/1", "b/10", "b/2"},
		"c":  nil,
	} {
		got, err := s.Store.List(t.Context(), prefix)
		wantErr(t, err, nil)
		if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
			t.Errorf("list %q (-want +got):\n%s", prefix, d)
		}
	}
}

func limits(t *testing.T, s StateSubject) {
	for _, key := range []string{"", "/", "a/", "/a", "a//b", "A", "a b", "a/../b", ".", "a/.b", "a.", "ä", "a%2fb", "a?b", strings.Repeat("a", 401)} {
		_, err := s.Store.Get(t.Context(), key)
		wantErr(t, err, secret.ErrInvalid)
		_, err = s.Store.Put(t.Context(), key, nil, "")
		wantErr(t, err, secret.ErrInvalid)
		wantErr(t, s.Store.Delete(t.Context(), key, "x"), secret.ErrInvalid)
		_, err = s.Store.Acquire(t.Context(), key, "run 1")
		wantErr(t, err, secret.ErrInvalid)
	}
	_, err := s.Store.List(t.Context(), "B")
	wantErr(t, err, secret.ErrInvalid)
	for _, holder := range []string{"", "a\nb", "\xff", strings.Repeat("h", 129)} {
		_, err = s.Store.Acquire(t.Context(), "a", holder)
		wantErr(t, err, secret.ErrInvalid)
	}
	put(t, s, strings.Repeat("a/", 197)+"b-_.0", strings.Repeat("x", state.MaxRecord), "")
	_, err = s.Store.Put(t.Context(), "big", make([]byte, state.MaxRecord+1), "")
	wantErr(t, err, secret.ErrTooLarge)
}

func exclusion(t *testing.T, s StateSubject) {
	mine := acquire(t, s, "sync", `run 1 "ü"`)
	_, err := s.Store.Acquire(t.Context(), "sync", "run 2")
	wantErr(t, err, secret.ErrLeaseHeld)
	var held *state.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v, want a *state.HeldError", err)
	}
	want := &state.HeldError{Name: "sync", Holder: `run 1 "ü"`, Since: held.Since}
	if d := cmp.Diff(want, held); d != "" || held.Since.IsZero() || !held.Since.Equal(mine.Since) {
		t.Errorf("held since %s, taken %s (-want +got):\n%s", held.Since, mine.Since, d)
	}
	wantErr(t, s.Store.Renew(t.Context(), mine), nil)
	if other := acquire(t, s, "sweep", "run 1"); other.ID == mine.ID {
		t.Error("two leases have one ID")
	}
}

func runsRace(t *testing.T, s StateSubject) {
	won := race(8, func(i int) error {
		_, err := s.Store.Acquire(t.Context(), "sync", fmt.Sprintf("run %d", i))
		return err
	})
	wantOneWinner(t, won, secret.ErrLeaseHeld)
}

func expiry(t *testing.T, s StateSubject) {
	mine := acquire(t, s, "sync", "run 1")
	s.Expire(t, "sync")
	theirs := acquire(t, s, "sync", "run 2")
	wantErr(t, s.Store.Renew(t.Context(), mine), secret.ErrLeaseLost)
	wantErr(t, s.Store.Release(t.Context(), mine), nil)
	_, err := s.Store.Acquire(t.Context(), "sync", "run 1")
	wantErr(t, err, secret.ErrLeaseHeld)
	wantErr(t, s.Store.Renew(t.Context(), theirs), nil)
}

func releasing(t *testing.T, s StateSubject) {
	first := acquire(t, s, "sync", "run 1")
	wantErr(t, s.Store.Release(t.Context(), first), nil)
	wantErr(t, s.Store.Release(t.Context(), first), nil)
	wantErr(t, s.Store.Renew(t.Context(), first), secret.ErrLeaseLost)
	second := acquire(t, s, "sync", "run 2")
	wantErr(t, s.Store.Release(t.Context(), first), nil)
	wantErr(t, s.Store.Renew(t.Context(), second), nil)
	wantErr(t, s.Store.Renew(t.Context(), state.Lease{Name: "never"}), secret.ErrLeaseLost)
	wantErr(t, s.Store.Release(t.Context(), state.Lease{Name: "never"}), nil)
}

func endedContext(t *testing.T, s StateSubject) {
	etag := put(t, s, "a", "one", "")
	l := acquire(t, s, "sync", "run 1")
	why := errors.New("the reason")
	ctx, end := context.WithCancelCause(t.Context())
	end(why)
	_, err := s.Store.Get(ctx, "a")
	wantErr(t, err, why)
	_, err = s.Store.Put(ctx, "a", []byte("two"), etag)
	wantErr(t, err, why)
	_, err = s.Store.List(ctx, "")
	wantErr(t, err, why)
	_, err = s.Store.Acquire(ctx, "other", "run 1")
	wantErr(t, err, why)
	wantErr(t, s.Store.Delete(ctx, "a", etag), why)
	wantErr(t, s.Store.Renew(ctx, l), why)
	wantErr(t, s.Store.Release(ctx, l), why)
	wantRecord(t, s, "a", state.Record{Data: []byte("one"), ETag: etag})
	acquire(t, s, "other", "run 2")
}

func lostAnswers(t *testing.T, s StateSubject) {
	if s.LoseAnswer == nil {
		t.Skip("this store has no answers to lose")
	}
	put(t, s, "a", "warm up: the container is there", "")

	s.LoseAnswer()
	created := put(t, s, "b", "one", "")
	wantRecord(t, s, "b", state.Record{Data: []byte("one"), ETag: created})
	s.LoseAnswer()
	changed := put(t, s, "b", "two", created)
	wantRecord(t, s, "b", state.Record{Data: []byte("two"), ETag: changed})
	s.LoseAnswer()
	_, err := s.Store.Put(t.Context(), "b", []byte("two"), created)
	wantErr(t, err, secret.ErrConflict) // the same bytes, written by another
	s.LoseAnswer()
	wantRecord(t, s, "b", state.Record{Data: []byte("two"), ETag: changed})
	s.LoseAnswer()
	wantErr(t, s.Store.Delete(t.Context(), "b", changed), nil)
	_, err = s.Store.Get(t.Context(), "b")
	wantErr(t, err, secret.ErrNotFound)

	s.LoseAnswer()
	l := acquire(t, s, "sync", "run 1") // what is not heard is that the blob has yet to be made
	wantErr(t, s.Store.Release(t.Context(), l), nil)
	s.LoseAnswer()
	l = acquire(t, s, "sync", "run 1")
	s.LoseAnswer()
	wantErr(t, s.Store.Renew(t.Context(), l), nil)
	s.LoseAnswer()
	wantErr(t, s.Store.Release(t.Context(), l), nil)
	acquire(t, s, "sync", "run 2")
}

func put(t *testing.T, s StateSubject, key, data, etag string) string {
	t.Helper()
	tag, err := s.Store.Put(t.Context(), key, []byte(data), etag)
	if err != nil {
		t.Fatalf("put %q over etag %q: %v", key, etag, err)
	}
	return tag
}

func acquire(t *testing.T, s StateSubject, name, holder string) state.Lease {
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

func wantRecord(t *testing.T, s StateSubject, key string, want state.Record) {
	t.Helper()
	got, err := s.Store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("record %q (-want +got):\n%s", key, d)
	}
}

// wantErr checks for exactly one kind of error; nil = none.
func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// race runs f n times at once and returns the errors.
func race(n int, f func(i int) error) []error {
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
			wantErr(t, err, others)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won, want 1", won, len(errs))
	}
}
