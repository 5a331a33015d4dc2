package keyvault

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/secret"
)

func TestGateDoublesUntilTheVaultIsCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		time.Sleep(time.Second)
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 16} {
			g.shut(time.Now(), time.Now(), 0)
			if got := waited(t, &g); got != want*time.Second {
				t.Errorf("hold %d: %v, want %v", i+1, got, want*time.Second)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(calm + time.Second)
		g.shut(time.Now(), time.Now(), 0)
		if got := waited(t, &g); got != time.Second {
			t.Errorf("after a calm window the first hold is %v, want 1s", got)
		}
	})
}

func TestGateCountsCallsUnderWayTogetherOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		time.Sleep(time.Second)
		began := time.Now()
		time.Sleep(50 * time.Millisecond)
		for range 10 {
			g.shut(began, time.Now(), 0)
		}
		if got := waited(t, &g); got != time.Second {
			t.Errorf("ten answers to one wave hold for %v, want 1s", got)
		}
	})
}

func TestGateDoesWhatTheAnswerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		time.Sleep(time.Second)
		began := time.Now()
		g.shut(began, began, 3*time.Second)
		g.shut(began, began, 7*time.Second) // of the same wave, and asks for more
		if got := waited(t, &g); got != 7*time.Second {
			t.Errorf("held for %v, want the 7s asked for", got)
		}
		time.Sleep(time.Millisecond)
		g.shut(time.Now(), time.Now(), 24*time.Hour)
		if got := waited(t, &g); got != maxHold {
			t.Errorf("held for %v, want no more than %v", got, maxHold)
		}
	})
}

func TestGateDoesNotWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		time.Sleep(time.Second)
		g.shut(time.Now(), time.Now(), 30*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		began := time.Now()
		if err := g.wait(ctx); !errors.Is(err, secret.ErrThrottled) || time.Since(began) != 0 {
			t.Errorf("got %v after %v, want throttled at once", err, time.Since(began))
		}
		lost, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(secret.ErrLeaseLost) })
		if err := g.wait(lost); !errors.Is(err, secret.ErrLeaseLost) {
			t.Errorf("got %v, want the cause of the end", err)
		}
	})
}

func waited(t *testing.T, g *gate) time.Duration {
	t.Helper()
	began := time.Now()
	if err := g.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-1":                            0,
		"soon":                          0,
		"99999999999999":                maxHold,
		"Sun, 01 Mar 2026 12:00:05 GMT": 5 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		h := http.Header{}
		h.Set("Retry-After", header)
		if got := min(retryAfter(h, now), maxHold); got != want {
			t.Errorf("Retry-After %q: %v, want %v", header, got, want)
		}
	}
}
