package vaultsync

import (
	"context"
	"sync"
)

// once makes f run for the first caller only; everybody gets its result.
func once[T any](f func(context.Context) (T, error)) func(context.Context) (T, error) {
	var do sync.Once
	var result T
	var err error
	return func(ctx context.Context) (T, error) {
		do.Do(func() { result, err = f(ctx) })
		return result, err
	}
}
