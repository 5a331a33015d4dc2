package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sethvargo/go-retry"
)

const (
	maxRetries = 4
	firstWait  = 250 * time.Millisecond
	maxWait    = 30 * time.Second // Vault's wish to wait longer is not granted: the call fails as throttled
)

// read gets an answer of status 200 or 404, with retries of what passes by itself, and with another token once if
// Vault refuses the one in use.
func (c *Client) read(ctx context.Context, r request) (answer, error) {
	var p pauses
	return retry.DoValue(ctx, p.backoff(), func(ctx context.Context) (answer, error) {
		a, err := c.attempt(ctx, r)
		return a, p.again(err)
	})
}

// pauses are the waits between the attempts of one call.
type pauses struct{ after time.Duration }

func (p *pauses) backoff() retry.Backoff {
	waits := retry.WithMaxRetries(maxRetries, retry.WithJitterPercent(50, retry.NewExponential(firstWait)))
	return retry.BackoffFunc(func() (time.Duration, bool) {
		d, stop := waits.Next()
		return max(d, p.after), stop || p.after > maxWait
	})
}

// again marks what passes by itself as worth another attempt.
func (p *pauses) again(err error) error {
	var f *fault
	if errors.As(err, &f) && f.passing {
		p.after = f.after
		return retry.RetryableError(err)
	}
	return err
}

func (c *Client) attempt(ctx context.Context, r request) (answer, error) {
	t, err := c.session.ticket(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := c.send(ctx, t.token, r)
	var f *fault
	if !errors.As(err, &f) {
		return a, err
	}
	next, again, failed := c.session.second(ctx, t, f.token)
	switch {
	case failed != nil:
		return answer{}, fmt.Errorf("%w; %w", err, failed)
	case !again:
		return a, err
	}
	return c.send(ctx, next.token, r)
}
