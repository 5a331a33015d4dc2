package vaultsync_test

import (
	"context"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// mortal is a store as a process sees it: out of reach now and then, and for ever when it is dead.
type mortal struct {
	*state.Memory
	life *life
}

func (m mortal) reached() error {
	m.life.chaos.mu.Lock()
	defer m.life.chaos.mu.Unlock()
	if m.life.dead || m.life.chaos.random.IntN(10) == 0 {
		return secret.ErrUnavailable
	}
	return nil
}

func (m mortal) Acquire(ctx context.Context, name, holder string) (state.Lease, error) {
	if err := m.reached(); err != nil {
		return state.Lease{}, err
	}
	return m.Memory.Acquire(ctx, name, holder)
}

func (m mortal) Renew(ctx context.Context, l state.Lease) error {
	if err := m.reached(); err != nil {
		return err
	}
	return m.Memory.Renew(ctx, l)
}

func (m mortal) Release(ctx context.Context, l state.Lease) error {
	if err := m.reached(); err != nil {
		return err
	}
	return m.Memory.Release(ctx, l)
}

func (m mortal) Get(ctx context.Context, key string) (state.Record, error) {
	if err := m.reached(); err != nil {
		return state.Record{}, err
	}
	return m.Memory.Get(ctx, key)
}

func (m mortal) Put(ctx context.Context, key string, data []byte, etag string) (string, error) {
	if err := m.reached(); err != nil {
		return "", err
	}
	return m.Memory.Put(ctx, key, data, etag)
}

func (m mortal) Delete(ctx context.Context, key, etag string) error {
	if err := m.reached(); err != nil {
		return err
	}
	return m.Memory.Delete(ctx, key, etag)
}
