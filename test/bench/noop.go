package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// runs is the product run several times over an estate that is copied already.
type runs struct {
	took, cpu time.Duration // the median
	rss       int           // the highest
	calls     counts        // of the last
}

// noop runs the product so many times, an odd number, where nothing is to be done.
func (l *lab) noop(ctx context.Context, size, times int) (runs, error) {
	if r, done := l.noops[size]; done {
		return r, nil
	}
	c, err := l.copied(ctx, size)
	if err != nil {
		return runs{}, err
	}
	var all []outcome
	var r runs
	for range times {
		if _, err := c.far.counts(ctx); err != nil {
			return runs{}, err
		}
		o, err := l.runProduct(ctx, c.estate, c.far, 0)
		if err != nil {
			return runs{}, fmt.Errorf("sync again: %w", err)
		}
		if r.calls, err = c.far.counts(ctx); err != nil {
			return runs{}, err
		}
		all = append(all, o)
		r.rss = max(r.rss, o.rss)
	}
	slices.SortFunc(all, func(a, b outcome) int { return cmp.Compare(a.took, b.took) })
	r.took, r.cpu = all[times/2].took, all[times/2].cpu
	if l.noops == nil {
		l.noops = map[int]runs{}
	}
	l.noops[size] = r
	return r, nil
}

// noopTimes is how often the estate at a distance is synced again.
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
			r, err := l.noop(ctx, estateSize, noopTimes)
			if err != nil {
				return 0, "", err
			}
			return rate(estateSize, r.took) / rate(1, naive), l.against("no-op sync", estateSize, r.took), nil
		},
	}
}
