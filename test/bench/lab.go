package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"time"

	emulator "github.com/keyferry/keyferry/internal/emulator/vault"
)

// The estates of the figures.
const (
	estateSize = 10_000
	smallSize  = 1_000
	largeSize  = 100_000
	// ceilingSize is the first copy under the service's limit: 10,000 would last
	// five and a half minutes, and the limit is the same each second.
	ceilingSize = 1_500
)

// copied is an estate and a Key Vault that holds a copy of it.
type copied struct {
	*estate
	far   *far
	first time.Duration // what the first copy took
	noops []noop        // the runs since
}

// lab holds what several figures need. Each part is made by the first figure
// that asks for it. Not for concurrent use.
type lab struct {
	binary string

	address, token string // of the Vault; see vault
	server         string // which Vault it is, for people
	closers        []func(context.Context) error

	copies map[int]*copied // by size
	naive  time.Duration   // per secret
	limits *limits
	bound  *ceiling

	rotations *rotations // after their events were answered
}

// vault finds the Vault: the real one of the tests, or else an emulated one.
func (l *lab) vault() {
	if l.address != "" {
		return
	}
	if a := os.Getenv("KEYFERRY_TEST_VAULT_ADDR"); a != "" {
		l.server, l.address, l.token = "real Vault", a, os.Getenv("KEYFERRY_TEST_VAULT_TOKEN")
		return
	}
	l.token = rand.Text()
	server := httptest.NewServer(emulator.New(emulator.Options{RootToken: l.token}))
	l.closers = append(l.closers, func(context.Context) error { server.Close(); return nil })
	l.server, l.address = "emulated Vault", server.URL
}

// estate makes an estate of that size.
func (l *lab) estate(ctx context.Context, size int) (*estate, error) {
	l.vault()
	e, err := newEstate(ctx, l.address, l.token, size)
	if err != nil {
		return nil, fmt.Errorf("seed Vault: %w", err)
	}
	l.closers = append(l.closers, e.close)
	return e, nil
}

// far starts servers at a distance.
func (l *lab) far(ctx context.Context, d distance) (*far, error) {
	l.vault()
	f, err := newFar(ctx, d, l.address)
	if err != nil {
		return nil, err
	}
	l.closers = append(l.closers, func(context.Context) error { f.close(); return nil })
	return f, nil
}

// copied returns an estate of that size after its first copy. The one the figures
// time is far away; for the others the servers are here.
func (l *lab) copied(ctx context.Context, size int) (*copied, error) {
	if c := l.copies[size]; c != nil {
		return c, nil
	}
	e, err := l.estate(ctx, size)
	if err != nil {
		return nil, err
	}
	d := distance{}
	if size == estateSize {
		d = away
	}
	f, err := l.far(ctx, d)
	if err != nil {
		return nil, err
	}
	took, err := e.firstCopy(ctx, f)
	if err != nil {
		return nil, err
	}
	if l.copies == nil {
		l.copies = map[int]*copied{}
	}
	l.copies[size] = &copied{estate: e, far: f, first: took}
	return l.copies[size], nil
}

// close removes what the figures left outside this process.
func (l *lab) close(ctx context.Context) error {
	var faults []error
	for i := len(l.closers) - 1; i >= 0; i-- {
		faults = append(faults, l.closers[i](ctx))
	}
	return errors.Join(faults...)
}

// rate is how many a second.
func rate(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }
