package alert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
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

// unreached is the error for a call without an answer, in our words: those of the network hold addresses, those of
// net/http the URL.
func unreached(err error) error {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	why := "the connection failed"
	switch {
	case errors.As(err, &dns):
		why = "the host name is not known"
	case errors.As(err, &certificate):
		why = "the certificate is not trusted"
	case errors.As(err, &timeout) && timeout.Timeout():
		why = "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		why = "the connection was refused"
	}
	return fmt.Errorf("%w: %s", secret.ErrUnavailable, why)
}
