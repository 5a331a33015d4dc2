package keyvault

import (
	"context"
	"sync"
	"time"
)

const (
	maxHold  = time.Minute      // a Retry-After of more is taken as this
	calm     = 10 * time.Second // Key Vault counts in windows of ten seconds
	maxSteps = 5                // 1, 2, 4, 8, 16 s (facts/keyvault.md 2)
)

// gate holds all calls of a Client back after a 429, because the limit is the vault's and not the call's. The zero
// gate is open.
type gate struct {
	mu     sync.Mutex
	shutAt time.Time // when the present hold began
	opens  time.Time // when it ends
	steps  int       // holds since the vault was last calm
}

// wait returns when the gate is open. It does not wait for what the deadline of ctx forbids: that is
// secret.ErrThrottled at once.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		opens := g.opens
		g.mu.Unlock()
		d := time.Until(opens)
		if d <= 0 {
			return nil
		}
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(opens) {
			return held(ctx, "Key Vault asks to wait for longer than there is time")
		}
		timer := time.NewTimer(d)
		select {
		case <-ctx.Done():
			timer.Stop()
			return held(ctx, "")
		case <-timer.C:
		}
	}
}

// shut closes the gate after the 429 to a call that began at the given time: for as long as the answer asks, or else
// for twice as long as the last time. Of calls that were under way together, one counts.
func (g *gate) shut(began, now time.Time, asked time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked = min(asked, maxHold)
	if !began.After(g.shutAt) {
		if t := g.shutAt.Add(asked); t.After(g.opens) {
			g.opens = t
		}
		return
	}
	if now.Sub(g.opens) > calm {
		g.steps = 0
	}
	hold := time.Second << g.steps
	if asked > 0 {
		hold = asked
	}
	g.steps = min(g.steps+1, maxSteps-1)
	g.shutAt, g.opens = now, now.Add(hold)
}
