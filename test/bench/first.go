package main

import "context"

// firstSpeedup compares the first copy of the estate with the naive loop.
// Throttling is off on both sides of the road.
func firstSpeedup() figure {
	return figure{
		name: "first_speedup", unit: "x", aim: ">= 25",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			c, err := l.copied(ctx, estateSize)
			if err != nil {
				return 0, "", err
			}
			naive, err := l.naiveLoop(ctx)
			if err != nil {
				return 0, "", err
			}
			return rate(c.size, c.first) / rate(1, naive), l.against("first sync", c.size, c.first), nil
		},
	}
}
