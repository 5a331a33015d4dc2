package state_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyferry/keyferry/internal/contract"
	"github.com/keyferry/keyferry/state"
)

func TestMemory(t *testing.T) {
	contract.State(t, func(*testing.T) contract.StateSubject {
		var passed atomic.Int64
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		return contract.StateSubject{
			Store:  state.NewMemory(func() time.Time { return start.Add(time.Duration(passed.Load())) }),
			Expire: func(*testing.T, string) { passed.Add(int64(state.LeaseTime)) },
		}
	})
}
