package alert

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/keyferry/keyferry/secret"
)

// An alert is tried three times, each for tryTime, so that it is settled within the 25 s an event has.
const (
	retries = 2
	tryTime = 6 * time.Second
)

// deliver calls send until it succeeds, the fault does not pass, or the tries are used up.
func deliver(ctx context.Context, send func(ctx context.Context) error) error {
	wait := retry.WithMaxRetries(retries, retry.WithJitterPercent(30, retry.NewExponential(500*time.Millisecond)))
	return retry.Do(ctx, wait, func(ctx context.Context) error {
		try, cancel := context.WithTimeout(ctx, tryTime)
		defer cancel()
		err := send(try)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, secret.ErrUnavailable) || errors.Is(err, secret.ErrThrottled) {
			return retry.RetryableError(err)
		}
		return err
	})
}

// client follows no redirect: it would carry the alert, and what authorizes it, elsewhere.
func client(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// refused is the error for an answer that is not 2xx.
func refused(status int) error {
	kind := secret.ErrPermanent
	switch {
	case status == http.StatusUnauthorized:
		kind = secret.ErrUnauthorized
	case status == http.StatusForbidden:
		kind = secret.ErrForbidden
	case status == http.StatusNotFound, status == http.StatusGone:
		kind = secret.ErrNotFound
	case status == http.StatusRequestEntityTooLarge:
		kind = secret.ErrTooLarge
	case status == http.StatusTooManyRequests:
		kind = secret.ErrThrottled
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		kind = secret.ErrUnavailable
	}
	return fmt.Errorf("%w: status %d", kind, status)
}

// unreached is the error for a call without an answer, in our words.
func unreached(err error) error {
	why, _ := secret.NoAnswer(err)
	return fmt.Errorf("%w: %s", secret.ErrUnavailable, why)
}
