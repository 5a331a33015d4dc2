package main

import (
	"context"
	"fmt"
	"time"
)

// costGrowth compares what a secret costs in a large estate with what it costs in
// a small one, where nothing is to be done.
func costGrowth() figure {
	return figure{
		name: "cost_growth", unit: "x", aim: "<= 1.2",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			large, err := l.noop(ctx, largeSize, 1)
			if err != nil {
				return 0, "", err
			}
			small, err := l.noop(ctx, smallSize, 9)
			if err != nil {
				return 0, "", err
			}
			of, in := large.took/largeSize, small.took/smallSize
			how := fmt.Sprintf("%v a secret among %d, %v among %d (CPU %v and %v), no added latency",
				of.Round(time.Microsecond), largeSize, in.Round(time.Microsecond), smallSize,
				(large.cpu / largeSize).Round(time.Microsecond), (small.cpu / smallSize).Round(time.Microsecond))
			return of.Seconds() / in.Seconds(), how, nil
		},
	}
}
