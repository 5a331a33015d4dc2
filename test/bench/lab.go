package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/keyferry/keyferry/vaultsync"
)

// The added round trips: Vault in the same region, Key Vault as it answers.
const (
	vaultDelay    = 10 * time.Millisecond
	keyVaultDelay = 20 * time.Millisecond
)

// distant is a server that is some time away.
type distant struct {
	http.RoundTripper
	delay time.Duration
}

func (d distant) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.delay):
		return d.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// lab holds what several figures need. Each part is made by the first figure
// that asks for it. Not for concurrent use.
type lab struct {
	binary string

	estate *estate
	engine *vaultsync.Engine // after its first run
	first  float64           // secrets per second of that run
	naive  float64           // secrets per second of the naive loop

	rotations *rotations // after their events were answered
}

// secrets returns the estate.
func (l *lab) secrets(ctx context.Context) (*estate, error) {
	if l.estate == nil {
		e, err := newEstate(ctx)
		if err != nil {
			return nil, fmt.Errorf("seed Vault: %w", err)
		}
		l.estate = e
	}
	return l.estate, nil
}

// synced copies the estate once and returns the engine that did it. Its rate is
// then in first.
func (l *lab) synced(ctx context.Context) (*vaultsync.Engine, error) {
	if l.engine != nil {
		return l.engine, nil
	}
	e, err := l.secrets(ctx)
	if err != nil {
		return nil, err
	}
	to, err := newDestination(ctx)
	if err != nil {
		return nil, err
	}
	engine, err := vaultsync.New(vaultsync.Options{
		Settings:    vaultsync.Settings{Rules: []vaultsync.Rule{{Name: "all", Mount: e.mount.Path}}},
		Sources:     map[string]vaultsync.Source{vaultsync.DefaultSource: e.source},
		Destination: to,
		Lock:        func(ctx context.Context, _ string, fn func(context.Context) error) error { return fn(ctx) },
		Now:         time.Now,
	})
	if err != nil {
		return nil, err
	}
	took, err := syncOnce(ctx, engine, estateSize)
	if err != nil {
		return nil, fmt.Errorf("first sync: %w", err)
	}
	l.first, l.engine = estateSize/took.Seconds(), engine
	return engine, nil
}

// syncOnce runs a sync that must make exactly so many changes, and times it.
func syncOnce(ctx context.Context, engine *vaultsync.Engine, changes int) (time.Duration, error) {
	begin := time.Now()
	report, err := engine.Sync(ctx, vaultsync.Scope{})
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	if report.Changes() != changes || report.Total() != estateSize {
		return 0, fmt.Errorf("%d changes among %d secrets, want %d among %d", report.Changes(), report.Total(), changes, estateSize)
	}
	return took, nil
}

// naiveRate returns the rate of the naive loop.
func (l *lab) naiveRate(ctx context.Context) (float64, error) {
	if l.naive > 0 {
		return l.naive, nil
	}
	e, err := l.secrets(ctx)
	if err != nil {
		return 0, err
	}
	l.naive, err = naiveLoop(ctx, e)
	return l.naive, err
}

// close removes what the figures left outside this process.
func (l *lab) close(ctx context.Context) error {
	if l.estate == nil {
		return nil
	}
	return l.estate.close(ctx)
}
