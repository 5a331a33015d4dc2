package main

import (
	"context"
	"errors"
	"fmt"
)

// peakRSS is the memory of a sync that finds no change in a large estate.
func peakRSS() figure {
	return figure{
		name: "rss_mb_100k", unit: "MB", aim: "< 120",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			all, err := l.noops(ctx, largeSize, 1)
			if err != nil {
				return 0, "", err
			}
			if all[0].rss == 0 {
				return 0, "", errors.New("this machine has no /proc to read it from")
			}
			return float64(all[0].rss) / 1e6, fmt.Sprintf("peak of keyferry sync over %d secrets, no added latency", largeSize), nil
		},
	}
}
