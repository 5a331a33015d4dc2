package main

import (
	"context"
	"fmt"
	"time"
)

// smallTimes is how often the small estate is synced before the large one, and
// again after it: what else the machine does shall meet both.
const smallTimes = 5

// costGrowth compares what a secret costs in a large estate with what it costs in
// a small one, where nothing is to be done.
func costGrowth() figure {
	return figure{
		name: "cost_growth", unit: "x", aim: "<= 1.2",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			if _, err := l.copied(ctx, largeSize); err != nil {
				return 0, "", err
			}
			if _, err := l.noops(ctx, smallSize, smallTimes); err != nil {
				return 0, "", err
			}
			once, err := l.noops(ctx, largeSize, 1)
			if err != nil {
				return 0, "", err
			}
			often, err := l.noops(ctx, smallSize, 2*smallTimes)
			if err != nil {
				return 0, "", err
			}
			large, small := once[0], median(often)
			of, in := large.took/largeSize, small.took/smallSize
			how := fmt.Sprintf("%v a secret among %d, %v among %d (CPU %v and %v), no added latency",
				of.Round(time.Microsecond), largeSize, in.Round(time.Microsecond), smallSize,
				(large.cpu / largeSize).Round(time.Microsecond), (small.cpu / smallSize).Round(time.Microsecond))
			return of.Seconds() / in.Seconds(), how, nil
		},
	}
}
