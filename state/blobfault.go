package state

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/sethvargo/go-retry"

	"github.com/keyferry/keyferry/secret"
)

// fault is what may be told of a failed call: its kind, the status and the code of the service. The errors of azcore
// print URL, headers and body, so none is ever wrapped.
type fault struct {
	kind   error
	status int            // 0: there was no answer
	code   bloberror.Code // "" unless the service named one
}

func (f *fault) Error() string {
	if f.status == 0 {
		return f.kind.Error() + ": no answer"
	}
	return fmt.Sprintf("%s: status %d %s", f.kind, f.status, f.code)
}

func (f *fault) Unwrap() error { return f.kind }

// faultOf turns an error of the library into what may be told: the cause for which ctx ended, or a fault.
func faultOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var response *azcore.ResponseError
	if errors.As(err, &response) {
		f := &fault{status: response.StatusCode}
		if word(response.ErrorCode) {
			f.code = bloberror.Code(response.ErrorCode)
		}
		f.kind = kindOf(f.status, f.code)
		return f
	}
	// How azidentity marks an error that came of getting a token.
	var noToken interface{ NonRetriable() }
	if errors.As(err, &noToken) {
		return fmt.Errorf("%w: no token for the storage account", secret.ErrUnauthorized)
	}
	return &fault{kind: secret.ErrUnavailable}
}

// word reports whether a code can be what it should be: foreign text is not repeated.
func word(code string) bool {
	for _, c := range []byte(code) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return len(code) <= 64
}

// kindOf gives each status a sentinel, and a better one to the codes that tell more
// (https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes).
func kindOf(status int, code bloberror.Code) error {
	switch code {
	case bloberror.LeaseAlreadyPresent, bloberror.LeaseIsBreakingAndCannotBeAcquired:
		return secret.ErrLeaseHeld
	case bloberror.LeaseIDMismatchWithLeaseOperation, bloberror.LeaseIDMismatchWithBlobOperation,
		bloberror.LeaseNotPresentWithLeaseOperation, bloberror.LeaseNotPresentWithBlobOperation, bloberror.LeaseLost,
		bloberror.LeaseIsBrokenAndCannotBeRenewed, bloberror.LeaseIsBreakingAndCannotBeChanged:
		return secret.ErrLeaseLost
	case bloberror.ServerBusy:
		return secret.ErrThrottled
	case bloberror.AuthenticationFailed, bloberror.InvalidAuthenticationInfo, bloberror.NoAuthenticationInformation:
		return secret.ErrUnauthorized // a wrong account key is a 403
	case bloberror.ContainerBeingDeleted, bloberror.AccountBeingCreated:
		return secret.ErrUnavailable
	case bloberror.ContainerDisabled:
		return secret.ErrForbidden
	}
	switch status {
	case http.StatusUnauthorized:
		return secret.ErrUnauthorized
	case http.StatusForbidden:
		return secret.ErrForbidden
	case http.StatusNotFound:
		return secret.ErrNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return secret.ErrConflict
	case http.StatusRequestEntityTooLarge:
		return secret.ErrTooLarge
	case http.StatusTooManyRequests:
		return secret.ErrThrottled
	case http.StatusRequestTimeout:
		return secret.ErrUnavailable
	}
	if status >= http.StatusInternalServerError {
		return secret.ErrUnavailable
	}
	return secret.ErrPermanent
}

// answered reports whether the service refused the call, so that it certainly changed nothing.
func answered(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.status >= 400 && f.status < 500 && f.status != http.StatusRequestTimeout
}

// attempt makes a call, at most four times while the fault passes, and turns its error into one that may be told.
func attempt[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	wait := retry.WithCappedDuration(4*time.Second, retry.NewExponential(300*time.Millisecond))
	return retry.DoValue(ctx, retry.WithMaxRetries(3, retry.WithJitterPercent(30, wait)), func(ctx context.Context) (T, error) {
		v, err := call(ctx)
		if err == nil {
			return v, nil
		}
		if err = faultOf(ctx, err); errors.Is(err, secret.ErrUnavailable) || errors.Is(err, secret.ErrThrottled) {
			err = retry.RetryableError(err)
		}
		return v, err
	})
}
