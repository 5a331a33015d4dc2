package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keyferry/keyferry/secret"
)

const (
	// margin is how long before its lease the work ends, so that what is under way when its context ends is over
	// when somebody else may begin.
	margin = 5 * time.Second

	acquireTime = LeaseTime / 2
	releaseTime = 5 * time.Second
)

// MaxStep is the longest duration for which Outlasts ever says yes to a lease that is renewed on time.
const MaxStep = LeaseTime - margin - RenewEvery

// Leaser takes and keeps leases. Memory and Blob are Leasers.
type Leaser interface {
	// Acquire takes the lease for LeaseTime. While another has it the error is a *HeldError.
	Acquire(ctx context.Context, name, holder string) (Lease, error)
	// Renew keeps the lease for LeaseTime from now; secret.ErrLeaseLost when it is proven to be gone. A lease
	// that ran out while nobody took it may still be renewed.
	Renew(ctx context.Context, l Lease) error
	// Release gives the lease up. Nil when it was not held any more, so it may be repeated.
	Release(ctx context.Context, l Lease) error
}

// Hold runs fn while it holds the lease name, which it renews every RenewEvery and gives up at the end.
//
// It is an error that is secret.ErrLeaseHeld, and fn does not run, when another has the lease. The context of fn
// ends with the cause secret.ErrLeaseLost as soon as a renewal is refused, and shortly before LeaseTime has passed
// without a renewal that succeeded: fn must give the context to all it calls, and ask Outlasts before a side effect.
// Deadline, values and cancellation of ctx hold for fn too.
//
// Hold returns the error of fn; when the lease was lost that is an error which is secret.ErrLeaseLost, even where fn
// returned nil, for then its last steps were not fenced. That the lease could not be given up is no error: it ends by
// itself.
func Hold(ctx context.Context, l Leaser, name, holder string, fn func(ctx context.Context) error) error {
	asked := time.Now()
	lease, err := acquire(ctx, l, name, holder)
	if err != nil {
		return err
	}
	defer release(ctx, l, lease)

	work, end := context.WithCancelCause(ctx)
	h := &held{name: name, until: asked.Add(LeaseTime - margin), outer: heldBy(ctx)}
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		h.keep(work, l, lease, asked, end)
	}()
	defer func() {
		end(nil)
		<-kept
	}()

	err = fn(context.WithValue(work, heldKey{}, h))
	if cause := context.Cause(work); errors.Is(cause, secret.ErrLeaseLost) && !errors.Is(err, secret.ErrLeaseLost) {
		return errors.Join(cause, err)
	}
	return err
}

// acquire leaves enough of the lease to work with: it counts from the moment it was asked for.
func acquire(ctx context.Context, l Leaser, name, holder string) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, acquireTime)
	defer cancel()
	return l.Acquire(ctx, name, holder)
}

func release(ctx context.Context, l Leaser, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	_ = l.Release(ctx, lease)
}

// Outlasts is nil when ctx, and every lease that Hold put into it, lasts for at least d more. Call it with the
// timeout of a side effect before the side effect. The error is the cause for which ctx ended, secret.ErrLeaseLost
// or context.DeadlineExceeded. With d over MaxStep no lease is ever enough.
func Outlasts(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := time.Now()
	for h := heldBy(ctx); h != nil; h = h.outer {
		if left := h.left(now); left < d {
			return fmt.Errorf("lease %q lasts %s, the next step may take %s: %w", h.name, left.Round(time.Millisecond), d, secret.ErrLeaseLost)
		}
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(now) < d {
		return fmt.Errorf("%s are left, the next step may take %s: %w", deadline.Sub(now).Round(time.Millisecond), d, context.DeadlineExceeded)
	}
	return nil
}

type heldKey struct{}

// held is a lease under which a context works.
type held struct {
	name  string
	outer *held // the lease around this one, or nil

	mu    sync.Mutex
	until time.Time // when work under it must have ended
}

func heldBy(ctx context.Context) *held {
	h, _ := ctx.Value(heldKey{}).(*held)
	return h
}

// left takes the shorter of two clocks: the monotonic one stands still while a machine sleeps, the other can be set.
func (h *held) left(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return min(h.until.Sub(now), h.until.Round(0).Sub(now.Round(0)))
}

func (h *held) extend(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = until
}

// keep renews the lease until ctx ends, and ends ctx when the lease does. A renewal that merely failed is tried again
// at its next time.
func (h *held) keep(ctx context.Context, l Leaser, lease Lease, asked time.Time, end context.CancelCauseFunc) {
	expiry := time.AfterFunc(time.Until(h.until), func() {
		end(fmt.Errorf("lease %q was not renewed in time: %w", h.name, secret.ErrLeaseLost))
	})
	defer expiry.Stop()
	next := time.NewTimer(time.Until(asked.Add(RenewEvery)))
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		asked = time.Now()
		switch err := l.Renew(ctx, lease); {
		case err == nil:
			until := asked.Add(LeaseTime - margin)
			h.extend(until)
			expiry.Reset(time.Until(until))
		case errors.Is(err, secret.ErrLeaseLost):
			end(err)
			return
		}
		next.Reset(time.Until(asked.Add(RenewEvery)))
	}
}
