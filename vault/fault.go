package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// fault is a call that Vault refused or that did not reach it. Its text is ours: what came from the network is only
// looked at.
type fault struct {
	kind    error // sentinel of package secret
	text    string
	passing bool          // trying again within seconds may help
	lost    bool          // the request may have been carried out all the same
	after   time.Duration // Vault's wish for how long to wait first
	token   tokenFault    // what the refusal says of the token
}

// tokenFault is what a 403 tells of the token it was sent with (facts/vault-sync.md A9).
type tokenFault int

const (
	tokenFine    tokenFault = iota
	tokenDoubted            // "permission denied": its policies, or with old versions of Vault the token itself
	tokenInvalid            // expired or revoked
)

func (f *fault) Error() string { return f.kind.Error() + ": " + f.text }
func (f *fault) Unwrap() error { return f.kind }

// judge says what a status other than 200 and 404 means (facts/vault-sync.md A9).
func judge(a answer, after time.Duration) *fault {
	text := bytes.ToLower(a.body)
	says := func(phrase string) bool { return bytes.Contains(text, []byte(phrase)) }
	status := fmt.Sprintf("vault answered %d", a.status)
	switch {
	case a.status == http.StatusForbidden && (says("invalid token") || says("bad token")):
		return &fault{kind: secret.ErrUnauthorized, text: "vault does not know the token: expired or revoked", token: tokenInvalid}
	case a.status == http.StatusForbidden:
		return &fault{kind: secret.ErrForbidden, text: "vault denies it to the policies of this log-in", token: tokenDoubted}
	case a.status == http.StatusUnauthorized:
		return &fault{kind: secret.ErrUnauthorized, text: status + ", which a gateway before it does"}
	case a.status == http.StatusTooManyRequests:
		return &fault{kind: secret.ErrThrottled, text: status + ": a rate limit", passing: true, after: after}
	case a.status == http.StatusServiceUnavailable && says("sealed"):
		return &fault{kind: secret.ErrUnavailable, text: "vault is sealed"}
	case a.status == http.StatusBadRequest && says("upgrading from non-versioned"):
		return &fault{kind: secret.ErrUnavailable, text: "the mount is being upgraded to KV version 2", passing: true}
	case a.status == http.StatusBadRequest && says("check-and-set parameter did not match"):
		return &fault{kind: secret.ErrConflict, text: "vault holds another version than the one to be succeeded"}
	case a.status == http.StatusBadRequest:
		return &fault{kind: secret.ErrInvalid, text: status + ": it takes the request for wrong"}
	case a.status == http.StatusMethodNotAllowed:
		return &fault{kind: secret.ErrUnsupported, text: status}
	case a.status == http.StatusPreconditionFailed:
		return &fault{kind: secret.ErrUnavailable, text: status + ": this node has not caught up", passing: true}
	case a.status == http.StatusNotImplemented:
		return &fault{kind: secret.ErrUnavailable, text: "vault is not initialized"}
	case a.status >= 300 && a.status < 400:
		return &fault{kind: secret.ErrUnavailable, text: status + ", a redirect, which is not followed: set the address of the active node or of a load balancer"}
	case a.status >= 500:
		return &fault{kind: secret.ErrUnavailable, text: status, passing: true, lost: true, after: after}
	}
	return &fault{kind: secret.ErrPermanent, text: status, lost: a.status < 300}
}

// broken says why a call ended without an answer. When ctx has ended it is the cause of that; attempt is the part of
// ctx that one call may take.
func broken(ctx, attempt context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &fault{kind: secret.ErrTooLarge, text: fmt.Sprintf("the answer has more than %d bytes", tooLarge.Limit), lost: true}
	}
	text, passing := secret.NoAnswer(err)
	if attempt.Err() != nil {
		text, passing = "no answer in time", true
	}
	var op *net.OpError
	lost := passing && !(errors.As(err, &op) && op.Op == "dial") // what was never sent was never done
	return &fault{kind: secret.ErrUnavailable, text: text, passing: passing, lost: lost}
}
