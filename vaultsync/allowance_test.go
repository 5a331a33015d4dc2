package vaultsync

import (
	"fmt"
	"testing"
)

// TestAllowance: the larger of a number and a share of the copies, rounded down.
func TestAllowance(t *testing.T) {
	for _, c := range []struct {
		limits       Limits
		copies, want int
	}{
		{Limits{}, 0, 10}, {Limits{}, 219, 10}, {Limits{}, 220, 11}, {Limits{}, 239, 11}, {Limits{}, 10000, 500},
		{Limits{Removals: 3}, 20, 3}, {Limits{Removals: 3}, 100, 5}, {Limits{RemovalShare: 0.5}, 19, 10},
		{Limits{RemovalShare: 0.5}, 30, 15}, {Limits{Removals: 1, RemovalShare: 1}, 7, 7},
	} {
		if got := c.limits.allowance(c.copies); got != c.want {
			t.Errorf("%+v of %d copies: %d, want %d", c.limits, c.copies, got, c.want)
		}
	}
}

// TestNewConflicts: what the last report had is not new. Where that one was cut, only more of them are.
func TestNewConflicts(t *testing.T) {
	report := func(conflicts, kept int) *Report {
		r := &Report{Counts: map[Verb]int{Conflict: conflicts}}
		for i := range kept {
			r.Items = append(r.Items, Item{Verb: Conflict, Name: fmt.Sprint(i), Reason: ReasonForeign})
		}
		return r
	}
	for _, c := range []struct {
		what      string
		now, last *Report
		want      int
	}{
		{"the first run", report(3, 3), &Report{}, 3},
		{"the same", report(3, 3), report(3, 3), 0},
		{"one more", report(4, 4), report(3, 3), 1},
		{"one less", report(2, 2), report(3, 3), 0},
		{"the same, of which the last report kept a part", report(1100, 1100), report(1100, 1000), 0},
		{"more, of which the last report kept a part", report(1101, 1101), report(1100, 1000), 101},
	} {
		if got := len(newConflicts(c.now, c.last)); got != c.want {
			t.Errorf("%s: %d are new, want %d", c.what, got, c.want)
		}
	}
}
