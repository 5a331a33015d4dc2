package rotation

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/keyferry/keyferry/secret"
)

// Errors by which a rotator tells the engine what to do next. An error that wraps secret.ErrPermanent ends the
// rotation with an alert. Any other error is ambiguous: the change may have happened, and the engine asks Verify
// before it repeats anything.
var (
	ErrRefused = errors.New("refused by the target")           // the candidate, not the credential that proposes it: choose another
	ErrDenied  = errors.New("credential denied by the target") // it certainly does not authenticate
)

// Credential is what authenticates at a target. User and ID are not secret; both may be empty.
type Credential struct {
	User   string
	ID     string // of the credential at the target, for those that number them
	Secret secret.Value
}

// Rotator speaks to one target. It sees credentials only: the engine keeps the lease, the versions, the tags and the
// alerts. A rotator is used by one goroutine at a time, holds nothing between calls, and never puts a credential into
// an error.
//
// Each method makes at most one change at the target. It need not be idempotent.
type Rotator interface {
	// Verify proves over a new connection that c authenticates: nil, ErrDenied when the target refused it, any
	// other error when it cannot tell.
	Verify(ctx context.Context, c Credential) error
}

// Setter is a Rotator whose target takes the value we choose.
type Setter interface {
	Rotator
	// Set makes next the credential, authenticated by now or by an admin. ErrRefused makes the engine choose
	// another candidate.
	Set(ctx context.Context, now, next Credential) error
}

// Chooser is for a Rotator that has a say in what comes next: another policy than the default one, another user,
// a prescribed value.
type Chooser interface {
	// Choose returns the candidate that is to follow now. It makes no call and takes its randomness from random.
	Choose(now Credential, random io.Reader) (Credential, error)
}

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Deps is all of the outside world that a rotator may touch. A test puts its own there.
type Deps struct {
	HTTP  *http.Client
	Azure azcore.TokenCredential
	Dial  DialFunc
	Now   func() time.Time
}
