package main

import (
	"context"
	"fmt"
)

// firstSpeedup compares the first copy of the estate with the naive loop.
func firstSpeedup() figure {
	return figure{
		name: "first_speedup", unit: "x",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			naive, err := l.naiveRate(ctx)
			if err != nil {
				return 0, "", err
			}
			if _, err := l.synced(ctx); err != nil {
				return 0, "", err
			}
			return l.first / naive, l.against("first sync", l.first), nil
		},
	}
}

// against tells how a ratio came about.
func (l *lab) against(what string, rate float64) string {
	return fmt.Sprintf("%s of %d secrets of the %s %.0f/s, naive loop %.1f/s on %d of them",
		what, estateSize, l.estate.server, rate, l.naive, folderSize)
}
