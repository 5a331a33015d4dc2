package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/handler"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// sweepRotations is the timer that goes on with what is owed: open rotations, graces, events that never came, alerts.
func (f *functions) sweepRotations(ctx context.Context, _ handler.Timer) (handler.Answer, error) {
	s, err := f.system(ctx)
	if err != nil {
		return handler.Answer{}, err
	}
	faults := []error{s.drain(ctx)}
	worked := 0
	for _, v := range s.vaults {
		swept, err := v.rotation.Sweep(ctx)
		faults = append(faults, err)
		for _, o := range swept.Outcomes {
			f.log.InfoContext(ctx, "rotation", "secret", o.Name, "verdict", o.Verdict, "reason", o.Reason, "text", o.Text)
		}
		worked += len(swept.Outcomes)
	}
	if err := errors.Join(faults...); err != nil {
		return handler.Answer{}, err
	}
	return handler.Answer{Outcome: "swept", Detail: fmt.Sprintf("%d secrets worked on", worked)}, nil
}

// asked is the body of RotateSecret.
type asked struct {
	Force       bool          `json:"force"`       // rotate even when not due or too young
	Exit        rotation.Exit `json:"exit"`        // resume, abandon or rollback what is stuck
	Destination string        `json:"destination"` // which Key Vault; empty: the one called keyvault
}

// rotateSecret rotates one secret because a person or a program asks for it.
func (f *functions) rotateSecret(ctx context.Context, name string, q asked) (handler.Answer, error) {
	s, err := f.system(ctx)
	if err != nil {
		return handler.Answer{}, err
	}
	done, err := s.rotate(ctx, name, q)
	if err != nil {
		return handler.Answer{}, err
	}
	if done.Unannounced != nil {
		f.log.WarnContext(ctx, "alert not delivered", "error", done.Unannounced.Error())
	}
	return handler.Answer{
		Outcome: string(done.Verdict), Detail: string(done.Reason) + ": " + done.Text,
		Pending: done.Verdict == rotation.Continuing, Body: outcomeBody(done),
	}, outcomeError(done)
}

// rotate finds the Key Vault and asks its engine.
func (s *system) rotate(ctx context.Context, name string, q asked) (rotation.Outcome, error) {
	if !secret.ValidName(name) {
		return rotation.Outcome{}, fmt.Errorf("rotate: %w: a name is 1 to 127 letters, digits and hyphens", secret.ErrInvalid)
	}
	switch q.Exit {
	case "", rotation.Resume, rotation.Abandon, rotation.Rollback:
	default:
		return rotation.Outcome{}, fmt.Errorf("rotate %q: %w: exit is resume, abandon or rollback", name, secret.ErrInvalid)
	}
	if q.Force && q.Exit != "" {
		return rotation.Outcome{}, fmt.Errorf("rotate %q: %w: force and %s exclude each other", name, secret.ErrInvalid, q.Exit)
	}
	v := s.vaults[0]
	if q.Destination != "" {
		chosen, err := s.choose(q.Destination)
		if err != nil {
			return rotation.Outcome{}, err
		}
		v = chosen[0]
	}
	return v.rotation.Rotate(ctx, rotation.Request{Name: name, Cause: rotation.CauseAsked, Force: q.Force, Exit: q.Exit})
}

// outcomeError is what an outcome means to somebody who asked for a rotation and waits for it.
func outcomeError(o rotation.Outcome) error {
	switch {
	case o.Reason == rotation.ReasonNotFound:
		return fmt.Errorf("rotate %q: %w", o.Name, secret.ErrNotFound)
	case o.Verdict == rotation.Conflict:
		return fmt.Errorf("rotate %q: %s: %w", o.Name, o.Text, secret.ErrConflict)
	case o.Verdict == rotation.Failed, o.Verdict == rotation.Manual:
		return fmt.Errorf("rotate %q: %s: %w", o.Name, o.Text, secret.ErrPermanent)
	}
	return nil
}

// outcomeBody is an outcome as JSON.
func outcomeBody(o rotation.Outcome) map[string]any {
	body := map[string]any{"name": o.Name, "verdict": o.Verdict, "reason": o.Reason, "text": o.Text, "oldVersion": o.OldVersion}
	if o.NewVersion != "" {
		body["newVersion"], body["expires"] = o.NewVersion, o.Expires.UTC().Format(time.RFC3339)
	}
	return body
}
