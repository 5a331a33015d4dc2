package vaultsync

import (
	"context"
)

// once makes f run for the first caller only. Everybody gets its result, or the cause for which their own context ended
// before it was there.
func once[T any](f func(context.Context) (T, error)) func(context.Context) (T, error) {
	turn := make(chan struct{}, 1)
	var done bool
	var result T
	var err error
	return func(ctx context.Context) (T, error) {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		}
		defer func() { <-turn }()
		if !done {
			result, err = f(ctx)
			done = true
		}
		return result, err
	}
}
