package rotation_test

import (
	"errors"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// TestCopiesOfAnEventInParallel lets two processes work on twenty copies of one event, near expiry and expired mixed.
// Who finds the lease held comes back, as Event Grid does.
func TestCopiesOfAnEventInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		old := r.seed()
		r.road.meet = func(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
			time.Sleep(20 * time.Millisecond) // there and back: the others move meanwhile
			return pass(), nil
		}
		processes := []*rotation.Engine{r.engine(), r.engine()}
		var wg sync.WaitGroup
		var mu sync.Mutex
		verdicts := map[rotation.Verdict]int{}
		for i := range 20 {
			cause := []rotation.Cause{rotation.CauseNearExpiry, rotation.CauseExpired}[i/2%2]
			wg.Go(func() {
				for {
					got, err := processes[i%2].Rotate(t.Context(), rotation.Request{Name: name, Version: old, Cause: cause})
					if err == nil {
						mu.Lock()
						verdicts[got.Verdict]++
						mu.Unlock()
						return
					}
					if !errors.Is(err, secret.ErrLeaseHeld) || !secret.IsTransient(err) {
						t.Error(err)
						return
					}
					time.Sleep(10 * time.Second)
				}
			})
		}
		wg.Wait()
		if verdicts[rotation.Rotated] != 1 || verdicts[rotation.Nothing] != 19 || len(r.versions(name)) != 2 || len(r.inbox.all()) != 1 {
			t.Errorf("%v, %d versions, %d alerts", verdicts, len(r.versions(name)), len(r.inbox.all()))
		}
	})
}

func TestTroubleWithKeyVault(t *testing.T) {
	reset := func(*http.Request, func() *http.Response) (*http.Response, error) { return nil, syscall.ECONNRESET }
	commitThenReset := func(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
		pass()
		return nil, syscall.ECONNRESET
	}
	for _, c := range []struct {
		name    string
		method  string
		times   int // that it happens
		meet    func(*http.Request, func() *http.Response) (*http.Response, error)
		verdict rotation.Verdict // "": an error, and nothing is recorded
	}{
		{"unreachable for reads", http.MethodGet, 1000, reset, ""},
		{"unreachable for a moment", http.MethodGet, 1, reset, rotation.Rotated},
		{"unreachable for writes", http.MethodPut, 1000, reset, rotation.Continuing},
		{"the answer of the write is lost", http.MethodPut, 1, commitThenReset, rotation.Rotated},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				old := r.seed()
				left := c.times
				r.road.meet = func(req *http.Request, pass func() *http.Response) (*http.Response, error) {
					if req.Method == c.method && left > 0 {
						left--
						return c.meet(req, pass)
					}
					return pass(), nil
				}
				got, err := r.engine().Rotate(t.Context(), rotation.Request{Name: name, Version: old})
				if got.Verdict != c.verdict || (err != nil) != (c.verdict == "") || err != nil && !secret.IsTransient(err) {
					t.Errorf("got %+v, %v", got, err)
				}
				left = 0
				time.Sleep(2 * time.Minute)
				again, err := r.engine().Sweep(t.Context())
				if err != nil || len(r.versions(name)) != 2 {
					t.Errorf("then %+v, %v; %d versions", again, err, len(r.versions(name)))
				}
				r.mustNotLeak(got, again, err)
			})
		})
	}
}

// TestYearsOfEvents lets Key Vault's own events drive a secret for three years: it never expires for long, and it is
// rotated as often as its validity asks for.
func TestYearsOfEvents(t *testing.T) {
	for _, c := range []struct {
		days     string
		min, max int // versions made in 1095 days
	}{
		{"90", 18, 19},    // every 60 days
		{"60", 36, 37},    // every 30 days, as Microsoft's own samples do
		{"365", 3, 4},     // every 335 days
		{"30", 36, 37},    // born near expiry: by the expired event
		{"1", 1060, 1070}, // every day
	} {
		t.Run(c.days+" days", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.seed(withTag(secret.TagRotationDays, c.days))
				e := r.engine()
				for range 1095 {
					time.Sleep(day)
					for _, event := range r.vault.Tick() {
						_, err := e.Rotate(t.Context(), rotation.Request{Name: event.Name, Version: event.Version})
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if made := len(r.versions(name)) - 1; made < c.min || made > c.max {
					t.Errorf("%d versions in three years, want %d to %d", made, c.min, c.max)
				}
			})
		})
	}
}
