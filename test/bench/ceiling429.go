package main

import (
	"context"
	"fmt"
)

// ceiling429Share is how many of the calls of the copy under the limit were
// refused.
func ceiling429Share() figure {
	return figure{
		name: "ceiling_429_share", unit: "%", aim: "< 1",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			c, err := l.ceiling(ctx)
			if err != nil {
				return 0, "", err
			}
			how := fmt.Sprintf("%d of %d calls to Key Vault", c.calls.Throttled, c.calls.KeyVault)
			return 100 * float64(c.calls.Throttled) / float64(c.calls.KeyVault), how, nil
		},
	}
}
