package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// noop is one run of the product over an estate that is copied already.
type noop struct {
	outcome
	calls counts
}

// noops runs the product until it was run so often where nothing is to be done,
// and returns all these runs.
func (l *lab) noops(ctx context.Context, size, times int) ([]noop, error) {
	c, err := l.copied(ctx, size)
	if err != nil {
		return nil, err
	}
	for len(c.noops) < times {
		if _, err := c.far.counts(ctx); err != nil {
			return nil, err
		}
		var n noop
		if n.outcome, err = l.runProduct(ctx, c.estate, c.far, 0); err != nil {
			return nil, fmt.Errorf("sync again: %w", err)
		}
		if n.calls, err = c.far.counts(ctx); err != nil {
			return nil, err
		}
		c.noops = append(c.noops, n)
	}
	return c.noops, nil
}

// median is the run of medium length.
func median(all []noop) noop {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b noop) int { return cmp.Compare(a.took, b.took) })
	return sorted[len(sorted)/2]
}

// noopTimes is how often the estate at a distance is synced again: an odd number
// has a median.
const noopTimes = 3

// noopSpeedup compares a sync that finds no change with the naive loop, which
// knows no such thing and does all its work again.
func noopSpeedup() figure {
	return figure{
		name: "noop_speedup", unit: "x", aim: ">= 40",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			naive, err := l.naiveLoop(ctx)
			if err != nil {
				return 0, "", err
			}
			all, err := l.noops(ctx, estateSize, noopTimes)
			if err != nil {
				return 0, "", err
			}
			r := median(all)
			return rate(estateSize, r.took) / rate(1, naive), l.against("no-op sync", estateSize, r.took), nil
		},
	}
}
