package main

import (
	"context"
	"fmt"
	"time"
)

// creates is how many versions Key Vault takes in 10 s (facts/keyvault.md 2).
const creates = 300

// ceiling is the first copy of an estate by the product while the Key Vault
// enforces its limit.
type ceiling struct {
	outcome
	calls counts
}

// ceilingRatio compares that copy with the time the limit gives it.
func ceilingRatio() figure {
	return figure{
		name: "ceiling_ratio", unit: "x", aim: "<= 1.05",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			c, err := l.ceiling(ctx)
			if err != nil {
				return 0, "", err
			}
			least := ceilingSize * 10 * time.Second / creates
			how := fmt.Sprintf("%d secrets copied in %.1f s, none failed; %d creates in 10 s make it %.1f s; 10,000 would last %.0f s",
				ceilingSize, c.took.Seconds(), creates, least.Seconds(), (10_000 * 10 * time.Second / creates).Seconds())
			return c.took.Seconds() / least.Seconds(), how, nil
		},
	}
}

// ceiling makes the copy.
func (l *lab) ceiling(ctx context.Context) (*ceiling, error) {
	if l.bound != nil {
		return l.bound, nil
	}
	e, err := l.estate(ctx, ceilingSize)
	if err != nil {
		return nil, err
	}
	d := away
	d.Creates = creates
	f, err := l.far(ctx, d)
	if err != nil {
		return nil, err
	}
	c := &ceiling{}
	if c.outcome, err = l.runProduct(ctx, e, f, ceilingSize); err != nil {
		return nil, fmt.Errorf("first sync: %w", err)
	}
	if c.calls, err = f.counts(ctx); err != nil {
		return nil, err
	}
	l.bound = c
	return c, nil
}
