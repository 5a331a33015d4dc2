package main

import (
	"context"
	"fmt"
)

// perRun is how many calls a run may make beside those that grow with the estate:
// log-in, mounts, hash key.
const perRun = 5

// noopCallsOverFormula compares the calls of a sync that finds no change with
// what it needs: a metadata read for each secret, a page for each 25 secrets of
// the Key Vault, the hash key among them, a listing for each folder.
func noopCallsOverFormula() figure {
	return figure{
		name: "noop_calls_over_formula", unit: "ratio", aim: "<= 1",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			all, err := l.noops(ctx, estateSize, noopTimes)
			if err != nil {
				return 0, "", err
			}
			r := median(all)
			c := l.copies[estateSize]
			calls, formula := r.calls.Vault+r.calls.KeyVault, c.size+pages(c.size+1)+c.lists()+perRun
			how := fmt.Sprintf("%d calls to Vault and %d to Key Vault; %d reads, %d pages, %d folders and %d more are allowed",
				r.calls.Vault, r.calls.KeyVault, c.size, pages(c.size+1), c.lists(), perRun)
			return float64(calls) / float64(formula), how, nil
		},
	}
}
