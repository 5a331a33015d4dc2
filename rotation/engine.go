package rotation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// Secrets is the Key Vault whose secrets are rotated. Implementations are safe for concurrent use and do their own
// retries; errors wrap the sentinels of package secret.
type Secrets interface {
	// GetVersion returns a version, "" = the current one. secret.ErrNotFound, secret.ErrDisabled.
	GetVersion(ctx context.Context, name, version string) (secret.Value, secret.Meta, error)
	// Set writes a new version. When the answer is lost it looks before it repeats; secret.ErrAmbiguous when that
	// could not be settled.
	Set(ctx context.Context, name string, d secret.Draft) (secret.Meta, error)
	// UpdateVersion patches one version. It may be repeated.
	UpdateVersion(ctx context.Context, name, version string, p secret.Patch) (secret.Meta, error)
}

// WriteBack is the way of a new value to the HashiCorp Vault that the secret was copied from, as its tags tell. The sync
// engine is a WriteBack.
type WriteBack interface {
	// PreflightWriteBack says whether the secret could be written back, and changes nothing; secret.ErrConflict when
	// Vault has another version than the tags record.
	PreflightWriteBack(ctx context.Context, name string) error
	// WriteBack writes the current value of the secret to Vault, if Vault still has what the tags record, and brings
	// the tags up to date; secret.ErrConflict if it has not. It is idempotent: when Vault has the value already, only
	// the tags are seen to.
	WriteBack(ctx context.Context, name string) error
}

// Options is all an Engine needs. Secrets, Records, Lock and Alerts are mandatory.
type Options struct {
	Secrets Secrets
	Staging Secrets // keeps the candidates of rotations under way; nil: Secrets
	Records Ledger
	Scope   string // sets the records of this Key Vault apart from those of others, as its host name does; "": nothing to set apart
	// Lock runs fn while holding the lease of that name, and ends fn's context when the lease is lost. It does not
	// wait: secret.ErrLeaseHeld.
	Lock   func(ctx context.Context, lease string, fn func(context.Context) error) error
	Alerts alert.Sink
	// List yields the properties of all secrets, without versions, and StagingList those of Staging. Nil: the sweep
	// does not look for what is due, or for what StagingList would show.
	List        func(ctx context.Context) iter.Seq2[secret.Meta, error]
	StagingList func(ctx context.Context) iter.Seq2[secret.Meta, error]
	WriteBack   WriteBack // nil: no target may ask for it

	Kinds    []Kind
	Settings Settings
	Hash     func(secret.Value) string // makes the vault-hash tag, "" when it cannot; nil: the tag is dropped
	Now      func() time.Time          // nil: time.Now
	Random   io.Reader                 // safe for concurrent use; nil: crypto/rand
	Deps     Deps                      // for the rotators
}

// Engine rotates secrets. It is safe for concurrent use and keeps no state of its own: what was done stands in the tags
// of the secret, what is still owed in its record.
type Engine struct {
	Options
	kinds map[string]Kind
}

// New checks the settings against the kinds. All faults are joined, and wrap secret.ErrUsage.
func New(o Options) (*Engine, error) {
	e := &Engine{Options: o, kinds: make(map[string]Kind, len(o.Kinds))}
	faults := []error{o.Settings.Validate()}
	for _, k := range o.Kinds {
		if _, twice := e.kinds[k.Type]; twice || k.Type == TypeManual {
			faults = append(faults, fmt.Errorf("the name of rotator %q is taken", k.Type))
		}
		e.kinds[k.Type] = k
	}
	for i, t := range o.Settings.Targets {
		for _, err := range e.faultsOf(t) {
			faults = append(faults, fmt.Errorf("rotation.targets[%d].%w", i, err))
		}
	}
	if o.Secrets == nil || o.Records == nil || o.Lock == nil || o.Alerts == nil {
		faults = append(faults, errors.New("rotation needs a Key Vault, records, a lock and a sink for alerts"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%w: %w", secret.ErrUsage, err)
	}
	e.Settings = o.Settings.withDefaults()
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Random == nil {
		e.Random = rand.Reader
	}
	if e.Staging == nil {
		e.Staging, e.StagingList = e.Secrets, nil
	}
	return e, nil
}

// faultsOf judges what of a target depends on the rest of the program.
func (e *Engine) faultsOf(t Target) []error {
	var faults []error
	if k, ok := e.kinds[t.Type]; !ok {
		faults = append(faults, fmt.Errorf("type: there is no rotator %q", t.Type))
	} else if err := k.Check(t.Params); err != nil {
		faults = append(faults, fmt.Errorf("params: %w", err))
	}
	if t.WriteBack && e.WriteBack == nil {
		faults = append(faults, errors.New("writeBack: there is no Vault to write to"))
	}
	return faults
}

// Rotate brings one secret to the state that the settings want, if it is not there yet, or goes on with what was begun.
// It is idempotent: of any number of requests about one version, at any time and in any order, one makes a new version,
// unless Force is set without a Version.
//
// An error means that nothing is settled and that asking again may help (secret.IsTransient). The one exception is
// secret.ErrInvalid: no secret can have that name. Everything else, failures that a person has to look at included, is
// an Outcome.
func (e *Engine) Rotate(ctx context.Context, r Request) (Outcome, error) {
	if !secret.ValidName(r.Name) {
		return Outcome{}, fmt.Errorf("rotate %s: %w", quoted(r.Name), secret.ErrInvalid)
	}
	if d, stop := untouched(r, e.Settings); stop {
		return outcome(r.Name, "", d), nil
	}
	return e.attend(ctx, ask{Request: r})
}

// ask is a request with what only the engine may ask for.
type ask struct {
	Request
	quiet    bool // leave the alerts to the sweep
	vanished bool // the secret lost its rotation-type
	stray    bool // its staging secret holds a candidate of which no record tells
}

// attend works on one secret under its lease.
func (e *Engine) attend(ctx context.Context, a ask) (Outcome, error) {
	var done Outcome
	err := e.Lock(ctx, LeaseName(a.Name), func(ctx context.Context) (err error) {
		done, err = e.work(ctx, a)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("rotate %q: %w", a.Name, err)
	}
	return done, nil
}

func (e *Engine) work(ctx context.Context, a ask) (Outcome, error) {
	n, err := e.load(ctx, a.Name)
	r := &run{Engine: e, ask: a, entry: n}
	var done Outcome
	switch {
	case errors.Is(err, secret.ErrInvalid):
		done, err = r.unreadable(err)
	case err == nil:
		done, err = r.dispatch(ctx)
	}
	if err != nil {
		return Outcome{}, err
	}
	if !a.quiet || n.frozen {
		done.Unannounced = r.deliver(ctx)
	}
	return done, r.entry.save(ctx)
}

// dispatch finds out what is to be done first.
func (r *run) dispatch(ctx context.Context) (Outcome, error) {
	switch {
	case r.ask.Exit != "":
		return r.exit(ctx)
	case r.entry.Flight != nil:
		return r.carryOn(ctx)
	case r.entry.Attempts > 0 && r.Now().Before(r.entry.Next) && !r.ask.Force:
		return r.waiting(), nil
	}
	return r.begin(ctx)
}

// waiting is the outcome of a request that comes before the next attempt is due.
func (r *run) waiting() Outcome {
	return r.outcome(decision{verdict: Continuing, reason: ReasonBackOff,
		text: fmt.Sprintf("its last attempt failed (%s); the next is at %s", r.entry.Trouble, r.entry.Next.UTC().Format(time.RFC3339))})
}

// unreadable leaves a record alone that another release wrote, or that somebody edited. Only an operator drops it.
func (r *run) unreadable(err error) (Outcome, error) {
	if r.ask.Exit == Abandon {
		r.entry.record = record{Secret: r.ask.Name}
		return r.outcome(decision{verdict: Closed, reason: ReasonAbandoned, text: "its record could not be read and is dropped"}), nil
	}
	d := decision{verdict: Failed, reason: ReasonRecord, text: "nothing is done while its record cannot be read: " + err.Error()}
	r.facts = facts{request: r.ask.Request, now: r.Now()}
	r.entry.record = record{Secret: r.ask.Name}
	r.entry.frozen = true
	r.owe(r.told(d))
	return r.outcome(d), nil
}

func outcome(name, version string, d decision) Outcome {
	return Outcome{Verdict: d.verdict, Reason: d.reason, Text: d.text, Name: name, OldVersion: version}
}

// newID makes the id of a rotation.
func newID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return fmt.Sprintf("%x", b), nil
}
