package vaultsync

import (
	"context"
	"sync"
)

// once makes f run for the first caller only; everybody gets its result. Who waits for it leaves when its own context
// ends.
func once[T any](f func(context.Context) (T, error)) func(context.Context) (T, error) {
	var first sync.Once
	var result T
	var err error
	done := make(chan struct{})
	return func(ctx context.Context) (T, error) {
		mine := false
		first.Do(func() { mine = true })
		if mine {
			result, err = f(ctx)
			close(done)
		}
		select {
		case <-done:
			return result, err
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		}
	}
}
