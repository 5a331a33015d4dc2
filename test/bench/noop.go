package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// noopRuns is how often the sync that finds no change is run: an odd number has
// a median.
const noopRuns = 3

// noopSpeedup compares a sync that finds no change with the naive loop, which
// knows no such thing and does all its work again.
func noopSpeedup() figure {
	return figure{
		name: "noop_speedup", unit: "x",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			naive, err := l.naiveRate(ctx)
			if err != nil {
				return 0, "", err
			}
			engine, err := l.synced(ctx)
			if err != nil {
				return 0, "", err
			}
			var took []time.Duration
			for range noopRuns {
				d, err := syncOnce(ctx, engine, 0)
				if err != nil {
					return 0, "", fmt.Errorf("sync again: %w", err)
				}
				took = append(took, d)
			}
			slices.Sort(took)
			rate := estateSize / took[noopRuns/2].Seconds()
			return rate / naive, l.against("no-op sync", rate), nil
		},
	}
}
