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

// Errors by which a rotator tells the engine what is certain. Both mean that nothing was changed. An error that wraps
// secret.ErrPermanent says that trying again cannot help. Any other error is ambiguous: the change may have happened,
// and the engine asks (Verify, Slots, Minted) before it repeats anything.
var (
	// ErrRefused is of Set: the target does not take this candidate, by its policy for instance. Another may do.
	ErrRefused = errors.New("refused by the target")
	// ErrDenied is of every method: the credential by which it authenticates is certainly not accepted. Not reached,
	// too many connections or a server that starts up are not ErrDenied.
	ErrDenied = errors.New("credential denied by the target")
)

// Credential is what authenticates at a target. User and ID are not secret; both may be empty.
type Credential struct {
	// User is the account: the settings of the target name it, or the value of the secret does (a URL), or Choose.
	User string
	// ID is the target's name for the credential, for those that name them: the slot, the id of a minted key. It
	// comes back from the tags of the secret when the credential is the current one.
	ID string
	// Secret is zero only where a method says so.
	Secret secret.Value
}

// Rotator speaks to one target. It sees credentials only: the engine keeps the lease, the versions, the record, the
// tags, the grace and the alerts. A rotator is made for one run, used by one goroutine at a time, remembers nothing, and
// never puts a credential into an error or a log. Every call honours its context and is over in ten seconds.
//
// A method makes at most one change at the target and need not be idempotent unless it says so: the engine asks before
// it repeats one. What a rotator can do follows from what it implements beside Rotator:
//
//   - Setter: we choose the value. With Retirer the old credential works on until it is retired (overlap); without, it
//     dies in Set, and the target needs outage: accepted in the settings.
//   - Slotter: the target has two slots, both readable, and makes the values itself.
//   - Minter: the target makes credentials and shows each of them once.
//   - Chooser alone: the value lives in Key Vault only, and the publish is the change.
type Rotator interface {
	// Verify proves over a new connection that c authenticates: nil, ErrDenied when the target refused it, any
	// other error when that cannot be told. It changes nothing.
	Verify(ctx context.Context, c Credential) error
}

// Setter is a Rotator whose target takes the value we choose.
type Setter interface {
	Rotator
	// Set makes next valid at the target. It authenticates by Deps.Admin when there is one, else by now, which is
	// the current credential. next.User is now.User unless Choose says otherwise. The engine calls it when next was
	// never sent, or was sent and is denied.
	Set(ctx context.Context, now, next Credential) error
}

// Slotter is a Rotator whose target has two slots, one of which readers use while the other is made anew.
type Slotter interface {
	Rotator
	// Slots reads both slots, always in the same order: ID names the slot, Secret is its value.
	Slots(ctx context.Context) ([2]Credential, error)
	// Regenerate makes the target put a new value into the slot of that ID, and is over when Slots shows it.
	Regenerate(ctx context.Context, slot string) error
}

// Minter is a Rotator whose target makes credentials and shows the value once.
type Minter interface {
	Rotator
	Retirer
	// Mint makes a credential that carries the label, 1 to 64 lower-case letters, digits and hyphens, and returns it
	// with its ID, which is never empty.
	Mint(ctx context.Context, label string) (Credential, error)
	// Minted lists the IDs of the live credentials that carry exactly this label. By it a credential is found whose
	// value was lost with the answer of Mint.
	Minted(ctx context.Context, label string) ([]string, error)
}

// Chooser is for a Rotator that has a say in what comes next: another policy than the default one, the other of two
// users, a prescribed value.
type Chooser interface {
	// Choose returns the candidate that is to follow now. It makes no call and takes its randomness from random.
	Choose(now Credential, random io.Reader) (Credential, error)
}

// Settler is for a Rotator whose target forgets what was not saved, as Redis does with its ACL.
type Settler interface {
	// Settle makes the target keep what was set, before the publish and after Retire. It authenticates like Set, by
	// now, which is the credential that stays. It is idempotent.
	Settle(ctx context.Context, now Credential) error
}

// Retirer is for a Rotator whose old credential works on beside the new one until it is taken away.
type Retirer interface {
	// Retire makes old invalid, and nothing else. It authenticates by Deps.Admin when there is one, else by now,
	// which is the current credential and stays. It is idempotent: nil when old is not there any more. old.Secret is
	// zero when nobody knows it: a credential found by its label, or a version that Key Vault does not give any more.
	Retire(ctx context.Context, old, now Credential) error
}

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Deps is all of the outside world that a rotator may touch. A test puts its own there.
type Deps struct {
	HTTP  *http.Client
	Azure azcore.TokenCredential
	Dial  DialFunc
	// Admin may change the credentials of others. Nil: the target names no admin secret, and a credential changes
	// itself.
	Admin *Credential
	Now   func() time.Time
}
