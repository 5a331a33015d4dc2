package keyvault_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
)

// together runs n jobs on a number of workers and reports the errors.
func together(t *testing.T, workers, n int, job func(context.Context, int) error) {
	t.Helper()
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range jobs {
				if err := job(t.Context(), i); err != nil {
					t.Errorf("job %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
}

// Key Vault takes 300 creates in ten seconds. All writers of a Client together stay below, whatever window is looked at.
func TestWritersStayWithinTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, road := rig(t, emulator.Options{CreateLimit: 300})
		var mu sync.Mutex
		var at []time.Time
		road.meet(func(r *http.Request) faults.Fault {
			if r.Method == http.MethodPut {
				mu.Lock()
				at = append(at, time.Now())
				mu.Unlock()
			}
			time.Sleep(30 * time.Millisecond)
			return nil
		})
		began := time.Now()
		together(t, 32, 1500, set(client))
		if n := vault.Calls()[emulator.OpSet]; n != 1500 {
			t.Errorf("%d PUTs for 1500 secrets: %d were throttled", n, n-1500)
		}
		for i, j := 0, 0; j < len(at); j++ {
			for at[j].Sub(at[i]) >= 10*time.Second {
				i++
			}
			if n := j - i + 1; n > 296 {
				t.Fatalf("%d creates within ten seconds, want 296 at most", n)
			}
		}
		if took := time.Since(began); took > 52500*time.Millisecond {
			t.Errorf("1500 creates took %v: the budget is not used", took)
		}
	})
}

// Key Vault takes 4,000 other calls in ten seconds. However many workers read, none is refused.
func TestReadersStayWithinTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, _ := rig(t, emulator.Options{TransactionLimit: 4000})
		seed(t, vault, 1)
		began := time.Now()
		together(t, 64, 10_000, func(ctx context.Context, _ int) error {
			_, _, err := client.Get(ctx, "s0000")
			return err
		})
		if n := vault.Calls()[emulator.OpGetLatest]; n != 10_000 {
			t.Errorf("%d calls for 10,000 reads: %d were throttled", n, n-10_000)
		}
		if took := time.Since(began); took > 26*time.Second {
			t.Errorf("10,000 reads took %v: the limit is not used", took)
		}
	})
}

// Others write to the vault as well: half of the limit is gone, and still every secret arrives once.
func TestWritersYieldWhenTheVaultIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, _ := rig(t, emulator.Options{CreateLimit: 150})
		together(t, 16, 600, set(client))
		for i := range 600 {
			if n := versions(vault, fmt.Sprint("s", i)); n != 1 {
				t.Errorf("%d versions of s%d, want 1", n, i)
			}
		}
		if n := vault.Calls()[emulator.OpSet] - 600; n > 16*16 {
			t.Errorf("%d calls were throttled: the writers do not wait for each other", n)
		}
	})
}

// One 429 stops the reads of all workers.
func TestA429HoldsEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, road := rig(t, emulator.Options{})
		seed(t, vault, 1)
		road.meet(queue(http.MethodGet, answer(emulator.Throttled(5*time.Second))))
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				if _, _, err := client.Get(t.Context(), "s0000"); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took < 5*time.Second {
					t.Errorf("worker %d went on after %v, want 5s", i, took)
				}
			})
		}
		wg.Wait()
	})
}

func set(c *keyvault.Client) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		_, err := c.Set(ctx, fmt.Sprint("s", i), draft("v"))
		return err
	}
}
