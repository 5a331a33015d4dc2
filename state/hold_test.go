package state_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// link is the way to a store, which a test can slow down and cut.
type link struct {
	*state.Memory
	acquire, renew func(ctx context.Context) error // called before; nil = nothing
}

func newLink() *link { return &link{Memory: state.NewMemory(time.Now)} }

func (l *link) Acquire(ctx context.Context, name, holder string) (state.Lease, error) {
	got, err := l.Memory.Acquire(ctx, name, holder)
	if l.acquire != nil && err == nil {
		err = l.acquire(ctx)
	}
	return got, err
}

func (l *link) Renew(ctx context.Context, lease state.Lease) error {
	if l.renew != nil {
		if err := l.renew(ctx); err != nil {
			return err
		}
	}
	return l.Memory.Renew(ctx, lease)
}

// cut is a renewal that fails, hang one that never answers.
func cut(context.Context) error      { return secret.ErrUnavailable }
func hang(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }

func taken(t *testing.T, l state.Leaser) bool {
	t.Helper()
	lease, err := l.Acquire(t.Context(), "sync", "the other")
	if err == nil {
		_ = l.Release(t.Context(), lease)
	}
	return errors.Is(err, secret.ErrLeaseHeld)
}

func TestHoldKeepsTheLeaseAsLongAsTheWorkTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		err := state.Hold(t.Context(), l, "sync", "run 1", func(ctx context.Context) error {
			for range 600 {
				time.Sleep(time.Second)
				if !taken(t, l) {
					t.Fatal("the lease was free during the work")
				}
				if err := state.Outlasts(ctx, state.MaxStep); err != nil {
					t.Fatal(err)
				}
			}
			return ctx.Err()
		})
		if err != nil || taken(t, l) {
			t.Errorf("after the work: error %v, still taken %t", err, taken(t, l))
		}
	})
}

func TestHoldDoesNothingWhileAnotherHolds(t *testing.T) {
	l := newLink()
	if _, err := l.Acquire(t.Context(), "sync", "run 1"); err != nil {
		t.Fatal(err)
	}
	err := state.Hold(t.Context(), l, "sync", "run 2", func(context.Context) error {
		t.Error("the work ran")
		return nil
	})
	var held *state.HeldError
	if !errors.As(err, &held) || held.Holder != "run 1" || !errors.Is(err, secret.ErrLeaseHeld) {
		t.Errorf("got %v", err)
	}
}

func TestHoldEndsTheWorkBeforeTheLease(t *testing.T) {
	const s = time.Second
	after := func(d time.Duration, then func(context.Context) error) func(context.Context) error {
		start := time.Now()
		return func(ctx context.Context) error {
			if time.Since(start) < d {
				return nil
			}
			return then(ctx)
		}
	}
	for _, c := range []struct {
		name string
		link func(l *link)
		ends time.Duration // after Hold was called
	}{
		{"no renewal succeeds", func(l *link) { l.renew = cut }, 55 * s},
		{"no renewal answers", func(l *link) { l.renew = hang }, 55 * s},
		{"the last renewal was at 40 s", func(l *link) { l.renew = after(50*s, cut) }, 95 * s},
		{"taking it was slow and no renewal succeeds", func(l *link) {
			l.renew = cut
			l.acquire = func(context.Context) error { time.Sleep(25 * s); return nil }
		}, 55 * s},
		{"a renewal is refused", func(l *link) {
			l.renew = func(context.Context) error { return secret.ErrLeaseLost }
		}, 20 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, start := newLink(), time.Now()
				c.link(l)
				own := errors.New("stopped half way")
				err := state.Hold(t.Context(), l, "sync", "run 1", func(ctx context.Context) error {
					<-ctx.Done()
					if got := time.Since(start); got != c.ends {
						t.Errorf("the work was ended after %s, want %s", got, c.ends)
					}
					if cause := context.Cause(ctx); !errors.Is(cause, secret.ErrLeaseLost) {
						t.Errorf("cause %v", cause)
					}
					if err := state.Outlasts(ctx, 0); !errors.Is(err, secret.ErrLeaseLost) {
						t.Errorf("Outlasts says %v", err)
					}
					return own
				})
				if !errors.Is(err, secret.ErrLeaseLost) || !errors.Is(err, own) {
					t.Errorf("got %v, want the loss and the error of the work", err)
				}
			})
		})
	}
}

func TestHoldBearsRenewalsThatFailNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n := newLink(), 0
		l.renew = func(context.Context) error {
			if n++; n%3 != 0 {
				return secret.ErrThrottled
			}
			return nil
		}
		// The second of two renewals in a row that fail is at 40 s, the third comes too late at 60 s.
		err := state.Hold(t.Context(), l, "sync", "run 1", func(ctx context.Context) error { <-ctx.Done(); return nil })
		if !errors.Is(err, secret.ErrLeaseLost) {
			t.Errorf("two failures in a row: got %v", err)
		}
		n = 0
		l.renew = func(context.Context) error {
			if n++; n%2 != 0 {
				return secret.ErrThrottled
			}
			return nil
		}
		err = state.Hold(t.Context(), l, "sync", "run 1", func(ctx context.Context) error { time.Sleep(10 * time.Minute); return ctx.Err() })
		if err != nil {
			t.Errorf("every other renewal fails: got %v", err)
		}
	})
}

// A run is cut off while it makes one side effect after the other. No effect may begin, or be under way, when the next run
// has the lease.
func TestNoSideEffectAfterAnotherTookTheLease(t *testing.T) {
	for i := range 3 * 65 {
		cutAt, effectTime := i/3, []time.Duration{3 * time.Second, 8 * time.Second, 13 * time.Second}[i%3]
		synctest.Test(t, func(t *testing.T) {
			l, start := newLink(), time.Now()
			l.renew = func(context.Context) error {
				if time.Since(start) >= time.Duration(cutAt)*time.Second {
					return secret.ErrUnavailable
				}
				return nil
			}
			over := make(chan time.Time, 1)
			go func() {
				var last time.Time
				_ = state.Hold(t.Context(), l, "sync", "run 1", func(ctx context.Context) error {
					for {
						if err := state.Outlasts(ctx, effectTime); err != nil {
							return err
						}
						time.Sleep(effectTime) // an effect that takes all its time and cannot be stopped
						last = time.Now()
					}
				})
				over <- last
			}()
			time.Sleep(time.Millisecond)
			for {
				if _, err := l.Acquire(t.Context(), "sync", "run 2"); err == nil {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			if now, last := time.Now(), <-over; last.IsZero() || last.After(now) {
				t.Errorf("cut off after %d s: last of the effects of %s at %s, the next run began at %s", cutAt, effectTime, last.Sub(start), now.Sub(start))
			}
		})
	}
}

func TestHoldGivesTheLeaseUpHoweverTheWorkEnds(t *testing.T) {
	own := errors.New("own error")
	why := errors.New("the reason")
	for _, c := range []struct {
		name string
		work func(ctx context.Context, end context.CancelCauseFunc) error
		want error
	}{
		{"done", func(context.Context, context.CancelCauseFunc) error { return nil }, nil},
		{"failed", func(context.Context, context.CancelCauseFunc) error { return own }, own},
		{"cancelled", func(ctx context.Context, end context.CancelCauseFunc) error {
			end(why)
			<-ctx.Done()
			return context.Cause(ctx)
		}, why},
		{"deadline", func(ctx context.Context, _ context.CancelCauseFunc) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, context.DeadlineExceeded},
		{"panic", func(context.Context, context.CancelCauseFunc) error { panic(own) }, own},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				ctx, end := context.WithCancelCause(ctx)
				defer end(nil)
				err := func() (err error) {
					defer func() {
						if r, ok := recover().(error); ok {
							err = r
						}
					}()
					return state.Hold(ctx, l, "sync", "run 1", func(ctx context.Context) error { return c.work(ctx, end) })
				}()
				if !errors.Is(err, c.want) || taken(t, l) {
					t.Errorf("got %v, want %v; still taken: %t", err, c.want, taken(t, l))
				}
			})
		})
	}
}

func TestOutlasts(t *testing.T) {
	const s = time.Second
	synctest.Test(t, func(t *testing.T) {
		ended, end := context.WithCancelCause(t.Context())
		end(secret.ErrPaused)
		soon, cancel := context.WithTimeout(t.Context(), 10*s)
		defer cancel()
		for _, c := range []struct {
			name string
			ctx  context.Context
			d    time.Duration
			want error
		}{
			{"neither lease nor deadline", t.Context(), time.Hour, nil},
			{"ended", ended, 0, secret.ErrPaused},
			{"deadline far enough", soon, 10 * s, nil},
			{"deadline too near", soon, 10*s + 1, context.DeadlineExceeded},
		} {
			if err := state.Outlasts(c.ctx, c.d); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
		}
		l := newLink()
		l.renew = cut
		err := state.Hold(t.Context(), l, "outer", "run 1", func(ctx context.Context) error {
			time.Sleep(50 * s)
			return state.Hold(ctx, l, "inner", "run 1", func(ctx context.Context) error {
				if err := state.Outlasts(ctx, 5*s); err != nil {
					return err
				}
				if err := state.Outlasts(ctx, 6*s); !errors.Is(err, secret.ErrLeaseLost) {
					return fmt.Errorf("the outer lease lasts 5 s, Outlasts of 6 s says %w", err)
				}
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}
