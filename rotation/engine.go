package rotation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// Secrets is the Key Vault whose secrets are rotated. Implementations are safe for concurrent use and do their own
// retries; errors wrap the sentinels of package secret.
type Secrets interface {
	// Get returns the current version. secret.ErrNotFound, secret.ErrDisabled.
	Get(ctx context.Context, name string) (secret.Value, secret.Meta, error)
	// Set writes a new version. When the answer is lost it looks before it repeats; secret.ErrAmbiguous when that
	// could not be settled.
	Set(ctx context.Context, name string, d secret.Draft) (secret.Meta, error)
}

// Options is all an Engine needs. Secrets, Lock and Alerts are mandatory.
type Options struct {
	Secrets Secrets
	// Lock runs fn while holding the lease of that name, and ends fn's context when the lease is lost. It does not
	// wait: secret.ErrLeaseHeld.
	Lock     func(ctx context.Context, lease string, fn func(context.Context) error) error
	Alerts   alert.Sink
	Kinds    []Kind
	Settings Settings
	Hash     func(secret.Value) string // makes the vault-hash tag, "" when it cannot; nil: the tag is dropped
	Now      func() time.Time          // nil: time.Now
	Random   io.Reader                 // safe for concurrent use; nil: crypto/rand
	Deps     Deps                      // for the rotators
}

// Engine rotates secrets. It is safe for concurrent use and keeps no state: what was done stands in the tags of the
// secret.
type Engine struct {
	Options
	kinds map[string]Kind
}

// New checks the settings against the kinds. All faults are joined, and wrap secret.ErrUsage.
func New(o Options) (*Engine, error) {
	faults := []error{o.Settings.Validate()}
	kinds := make(map[string]Kind, len(o.Kinds))
	for _, k := range o.Kinds {
		if _, twice := kinds[k.Type]; twice || k.Type == TypeManual {
			faults = append(faults, fmt.Errorf("the name of rotator %q is taken", k.Type))
		}
		kinds[k.Type] = k
	}
	for i, t := range o.Settings.Targets {
		if k, ok := kinds[t.Type]; !ok {
			faults = append(faults, fmt.Errorf("rotation.targets[%d].type: there is no rotator %q", i, t.Type))
		} else if err := k.Check(t.Params); err != nil {
			faults = append(faults, fmt.Errorf("rotation.targets[%d].params: %w", i, err))
		}
	}
	if o.Secrets == nil || o.Lock == nil || o.Alerts == nil {
		faults = append(faults, errors.New("rotation needs a Key Vault, a lock and a sink for alerts"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%w: %w", secret.ErrUsage, err)
	}
	o.Settings = o.Settings.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Engine{Options: o, kinds: kinds}, nil
}

// Rotate brings one secret to the state that the settings want, if it is not there yet. It is idempotent: of any number
// of requests about one version, at any time and in any order, one makes a new version, unless Force is set without a
// Version.
//
// An error means that nothing is settled and that asking again may help (secret.IsTransient). The one exception is
// secret.ErrInvalid: no secret can have that name. Everything else, failures that a person has to look at included, is
// an Outcome.
func (e *Engine) Rotate(ctx context.Context, r Request) (Outcome, error) {
	if !secret.ValidName(r.Name) {
		return Outcome{}, fmt.Errorf("rotate %s: %w", quoted(r.Name), secret.ErrInvalid)
	}
	if secret.Own(r.Name) { // not even read
		d := decide(facts{request: r}, e.Settings, e.kinds)
		return outcome(r.Name, "", d), nil
	}
	// The first look takes no lease, so that duplicates and events about what is not ours cost one read.
	_, f, d, err := e.look(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	if d.verdict != Rotated {
		return e.conclude(ctx, f, d)
	}
	var done Outcome
	err = e.Lock(ctx, "rotation/"+secret.FoldName(r.Name), func(ctx context.Context) error {
		done, err = e.rotate(ctx, r)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("rotate %q: %w", r.Name, err)
	}
	return done, nil
}

// look reads the secret and decides.
func (e *Engine) look(ctx context.Context, r Request) (secret.Value, facts, decision, error) {
	value, meta, err := e.Secrets.Get(ctx, r.Name)
	f := facts{request: r, meta: meta, now: e.Now()}
	switch {
	case errors.Is(err, secret.ErrNotFound):
		f.missing = true
	case errors.Is(err, secret.ErrDisabled):
		f.disabled = true
	case secret.IsTransient(err):
		return secret.Value{}, f, decision{}, fmt.Errorf("read secret %q: %w", r.Name, err)
	case err != nil:
		return secret.Value{}, f, decision{verdict: Failed, reason: ReasonUnreadable, text: "it cannot be read: " + err.Error()}, nil
	}
	return value, f, decide(f, e.Settings, e.kinds), nil
}

// rotate does the work under the lease. The order is: apply to the target, prove, look once more, publish. Until the
// publish the candidate lives in memory only, which is enough for a target that is the Key Vault itself.
func (e *Engine) rotate(ctx context.Context, r Request) (Outcome, error) {
	value, f, d, err := e.look(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	if d.verdict != Rotated {
		return e.conclude(ctx, f, d)
	}
	next, problem, err := e.apply(ctx, d, Credential{Secret: value})
	if err != nil {
		return Outcome{}, err
	}
	if problem != nil {
		return e.conclude(ctx, f, *problem)
	}
	// Whatever happened meanwhile is found here. Key Vault has no compare-and-swap: this is as close as it gets.
	source := f.meta.Version
	_, f, again, err := e.look(ctx, Request{Name: r.Name, Version: source, Cause: r.Cause, Force: true})
	switch {
	case err != nil:
		return Outcome{}, err
	case again.reason == ReasonAlreadyRotated:
		return e.conclude(ctx, f, again)
	case again.verdict != Rotated || again.target.Name != d.target.Name:
		return e.conclude(ctx, f, decision{verdict: Conflict, reason: ReasonChanged,
			text: "it was changed while its rotation was under way, and stays as it is: " + again.text})
	}
	d.validity = again.validity
	return e.publish(ctx, f, d, next)
}

// stepTime is what one side effect may take. None starts unless the lease and the deadline outlast it.
const stepTime = 10 * time.Second

// publish writes the new version in one call.
func (e *Engine) publish(ctx context.Context, f facts, d decision, next Credential) (Outcome, error) {
	if err := state.Outlasts(ctx, stepTime); err != nil {
		return Outcome{}, fmt.Errorf("publish: %w", err)
	}
	id, err := newID(e.Random)
	if err != nil {
		return Outcome{}, err
	}
	made := secret.RotationState{ID: id, From: f.meta.Version, At: f.now.UTC().Truncate(time.Second), Credential: next.ID}
	hash := ""
	if e.Hash != nil {
		hash = e.Hash(next.Secret)
	}
	draft := successor(f.meta, next.Secret, made, d.validity, hash)
	meta, err := e.Secrets.Set(ctx, f.meta.Name, draft)
	switch {
	case secret.IsTransient(err):
		return Outcome{}, fmt.Errorf("publish: %w", err)
	case err != nil:
		return e.conclude(ctx, f, decision{verdict: Failed, reason: ReasonPublish, text: d.text + ", but Key Vault refuses a new version: " + err.Error()})
	}
	done := outcome(f.meta.Name, f.meta.Version, d)
	done.NewVersion, done.Expires = meta.Version, draft.Expires
	done.Text += ": rotated, valid until " + done.Expires.Format(time.DateOnly)
	done.Unannounced = e.Alerts.Send(ctx, e.alert(f, done))
	return done, nil
}

// conclude ends a rotation that made no version. What operators must know is told before the request counts as done.
func (e *Engine) conclude(ctx context.Context, f facts, d decision) (Outcome, error) {
	name := f.meta.Name
	if name == "" {
		name = f.request.Name
	}
	done := outcome(name, f.meta.Version, d)
	if d.verdict == Nothing {
		return done, nil
	}
	if err := e.Alerts.Send(ctx, e.alert(f, done)); err != nil {
		return Outcome{}, fmt.Errorf("send alert about %q (%s): %w: %w", name, d.reason, secret.ErrUnavailable, err)
	}
	return done, nil
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
	return hex.EncodeToString(b[:]), nil
}
