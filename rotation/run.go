package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/format"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// run is the work on one secret under its lease. The fields below entry are filled on the way.
type run struct {
	*Engine
	ask   ask
	entry *entry

	facts facts
	value secret.Value // of the current version

	target   Target
	format   format.Format
	rotator  Rotator
	strategy strategy
	fresh    bool // the target was told nothing before this run
	resumed  bool // this run found its rotation by the staging secret

	current Credential // of the current version; zero when that holds none
	next    Credential // the candidate, once it is known
	known   []Credential
	made    *Outcome // the version that this run published
}

// stepTime is what one call that changes something may take. None starts unless the lease and the deadline outlast it.
const stepTime = 10 * time.Second

// halt ends the work on a rotation in a way that trying again does not change.
type halt struct {
	decision
	park bool // the rotation stays until a person orders an exit; else nothing was changed and it is forgotten
}

func (h halt) Error() string { return h.text }

// stop forgets the rotation: it is certain that the target has not changed.
func stop(v Verdict, r Reason, format string, args ...any) error {
	return halt{decision: decision{verdict: v, reason: r, text: fmt.Sprintf(format, args...)}}
}

// park keeps the rotation for a person.
func park(v Verdict, r Reason, format string, args ...any) error {
	return halt{decision: decision{verdict: v, reason: r, text: fmt.Sprintf(format, args...)}, park: true}
}

// look reads the secret. The error is one that may pass.
func (r *run) look(ctx context.Context) error {
	value, meta, err := r.Secrets.GetVersion(ctx, r.ask.Name, "")
	r.value, r.current = value, Credential{}
	r.facts = facts{request: r.ask.Request, meta: meta, now: r.Now(), vanished: r.ask.vanished}
	switch {
	case errors.Is(err, secret.ErrNotFound):
		r.facts.missing = true
	case errors.Is(err, secret.ErrDisabled):
		r.facts.disabled = true
	case secret.IsTransient(err):
		return fmt.Errorf("read secret %q: %w", r.ask.Name, err)
	case err != nil:
		r.facts.meta.Name = r.ask.Name
		return stop(Failed, ReasonUnreadable, "it cannot be read: %v", err)
	default:
		r.entry.Secret = meta.Name
	}
	return nil
}

// learn reads the current credential out of the value that was looked at.
func (r *run) learn() error {
	c, err := r.target.credential(r.format, r.value, r.facts.meta)
	if err != nil {
		return stop(Failed, ReasonFormat, "its value is not of the format %s: %v", quoted(r.target.Format), err)
	}
	r.current = c
	r.knows(c)
	return nil
}

// knows keeps a credential out of every error from here on.
func (r *run) knows(c ...Credential) { r.known = append(r.known, c...) }

// open makes the rotator of the target, with the admin's credential when it has one. It makes no call to the target.
func (r *run) open(ctx context.Context, t Target) error {
	var err error
	r.target = t
	if r.format, err = format.Parse(t.Format); err != nil {
		return stop(Failed, ReasonFormat, "the format of its target %s: %v", t.Name, err)
	}
	deps := r.Deps
	deps.Admin = nil
	if t.Admin.Secret != "" {
		admin, err := r.admin(ctx, t.Admin)
		if err != nil {
			return err
		}
		deps.Admin = &admin
		r.knows(admin)
	}
	if r.rotator, err = r.kinds[t.Type].Open(deps, t.Params); err != nil {
		return stop(Failed, ReasonTargetFailed, "its rotator %s cannot start: %v", t.Type, scrub(err, r.known...))
	}
	if r.strategy = strategyOf(r.rotator); r.strategy == nil {
		return stop(Failed, ReasonTargetFailed, "its rotator %s cannot set a value", t.Type)
	}
	return nil
}

// admin reads the credential of the target's administrator.
func (r *run) admin(ctx context.Context, a Admin) (Credential, error) {
	where, err := format.Parse(a.Format)
	var value secret.Value
	if err == nil {
		value, _, err = r.Secrets.GetVersion(ctx, a.Secret, "")
	}
	if err != nil && secret.IsTransient(err) {
		return Credential{}, fmt.Errorf("read admin secret %q: %w", a.Secret, err)
	}
	var c Credential
	if err == nil {
		c, err = Target{User: a.User}.credential(where, value, secret.Meta{})
	}
	if err != nil {
		return Credential{}, stop(Failed, ReasonTargetFailed, "the admin secret %s of its target cannot be used: %v", a.Secret, err)
	}
	return c, nil
}

// errNotVerified says that a target reports success and does not accept the result.
var errNotVerified = errors.New("not verified")

// errLater says that what is left of the time is too short for the next step.
var errLater = errors.New("too little time is left")

// touch makes one call to the outside, if lease and deadline outlast it. The error holds no credential.
func (r *run) touch(ctx context.Context, what string, call func(context.Context) error) error {
	if err := state.Outlasts(ctx, stepTime); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: %w: %w", what, errLater, err)
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	step, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if err := call(step); err != nil {
		return fmt.Errorf("%s: %w", what, scrub(err, r.known...))
	}
	return nil
}

// proof is what a target says of a credential.
type proof int

const (
	unclear proof = iota
	denied
	proven
)

// prove asks the target whether it accepts a credential. Without a clear answer there is an error too.
func (r *run) prove(ctx context.Context, c Credential) (proof, error) {
	if c.Secret.IsZero() {
		return denied, nil
	}
	err := r.touch(ctx, "verify at target "+quoted(r.target.Name), func(ctx context.Context) error { return r.rotator.Verify(ctx, c) })
	switch {
	case err == nil:
		return proven, nil
	case errors.Is(err, ErrDenied):
		return denied, nil
	}
	return unclear, err
}

// final reports whether an error of a rotator says that the attempt certainly failed and trying again cannot help.
func final(err error) bool {
	return errors.Is(err, ErrDenied) || err != nil && !secret.IsTransient(err)
}

// outcome is what this run ends with.
func (r *run) outcome(d decision) Outcome {
	name := r.facts.meta.Name
	if name == "" {
		name = r.entry.Secret
	}
	return outcome(name, r.facts.meta.Version, d)
}
