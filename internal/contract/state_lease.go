package contract

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

func (s StateSubject) exclusion(t *testing.T) {
	mine := s.acquire(t, "sync", `run 1 "ü"`)
	_, err := s.Store.Acquire(t.Context(), "sync", "run 2")
	wantStateErr(t, err, secret.ErrLeaseHeld)
	var held *state.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v, want a *state.HeldError", err)
	}
	want := &state.HeldError{Name: "sync", Holder: `run 1 "ü"`, Since: held.Since}
	if d := cmp.Diff(want, held); d != "" || held.Since.IsZero() || !held.Since.Equal(mine.Since) {
		t.Errorf("held since %s, taken %s (-want +got):\n%s", held.Since, mine.Since, d)
	}
	wantStateErr(t, s.Store.Renew(t.Context(), mine), nil)
	if other := s.acquire(t, "sweep", "run 1"); other.ID == mine.ID {
		t.Error("two leases have one ID")
	}
}

func (s StateSubject) runsRace(t *testing.T) {
	won := stateRace(8, func(i int) error {
		_, err := s.Store.Acquire(t.Context(), "sync", fmt.Sprintf("run %d", i))
		return err
	})
	wantOneWinner(t, won, secret.ErrLeaseHeld)
}

func (s StateSubject) expiry(t *testing.T) {
	mine := s.acquire(t, "sync", "run 1")
	s.Expire(t, "sync")
	theirs := s.acquire(t, "sync", "run 2")
	wantStateErr(t, s.Store.Renew(t.Context(), mine), secret.ErrLeaseLost)
	wantStateErr(t, s.Store.Release(t.Context(), mine), nil)
	_, err := s.Store.Acquire(t.Context(), "sync", "run 1")
	wantStateErr(t, err, secret.ErrLeaseHeld)
	wantStateErr(t, s.Store.Renew(t.Context(), theirs), nil)
}

func (s StateSubject) releasing(t *testing.T) {
	first := s.acquire(t, "sync", "run 1")
	wantStateErr(t, s.Store.Release(t.Context(), first), nil)
	wantStateErr(t, s.Store.Release(t.Context(), first), nil)
	wantStateErr(t, s.Store.Renew(t.Context(), first), secret.ErrLeaseLost)
	second := s.acquire(t, "sync", "run 2")
	wantStateErr(t, s.Store.Release(t.Context(), first), nil)
	wantStateErr(t, s.Store.Renew(t.Context(), second), nil)
	wantStateErr(t, s.Store.Renew(t.Context(), state.Lease{Name: "never"}), secret.ErrLeaseLost)
	wantStateErr(t, s.Store.Release(t.Context(), state.Lease{Name: "never"}), nil)
}
