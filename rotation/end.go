package rotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// end does what follows the publish: write-back, grace, the end of the old credential, and of the staging secret.
func (r *run) end(ctx context.Context, f *flight) error {
	if f.WriteBack {
		if err := r.writeBack(ctx, f); err != nil {
			return err
		}
	}
	if f.waits(r.Now()) {
		return nil
	}
	if err := r.retire(ctx, f); err != nil {
		return err
	}
	if err := r.unstage(ctx, f); err != nil {
		return err
	}
	r.entry.Flight = nil
	return nil
}

// writeBack brings the new value to Vault. That somebody changed it there does not undo the rotation: Key Vault stays the
// authority, and operators are told.
func (r *run) writeBack(ctx context.Context, f *flight) error {
	var err error
	switch {
	case r.Options.WriteBack == nil:
		err = fmt.Errorf("%w: there is no Vault to write to", secret.ErrUnsupported)
	case r.facts.meta.Version != f.Version:
		err = fmt.Errorf("%w: it has another version by now", secret.ErrConflict)
	default:
		err = r.touch(ctx, "write back to Vault", func(ctx context.Context) error {
			return r.Options.WriteBack.WriteBack(ctx, r.ask.Name)
		})
	}
	if err != nil && secret.IsTransient(err) {
		return err
	}
	if err != nil {
		r.owe(r.flightAlert(alert.RotationConflict, alert.Error, ReasonWriteBack,
			"it was rotated in Key Vault, and Vault keeps the old value: "+err.Error()))
	}
	f.WriteBack = false
	return nil
}

// retire takes the old credential away, if ours still is the current one. Only what this rotation replaced is retired.
func (r *run) retire(ctx context.Context, f *flight) error {
	retirer, ok := r.rotator.(Retirer)
	if !ok {
		return nil
	}
	if r.facts.missing || r.facts.disabled {
		return fmt.Errorf("retire the old credential: secret %q was deleted or disabled meanwhile", r.ask.Name)
	}
	if r.facts.meta.Version != f.Version {
		return park(Conflict, ReasonRetire, "somebody wrote another version after its rotation, so the old credential is left alive")
	}
	old, err := r.replaced(ctx, f)
	if err != nil {
		return err
	}
	_, mints := r.strategy.(minting)
	if mints && (old.ID == "" || old.ID == r.current.ID) || !mints && old.User == r.current.User && old.Secret.Equal(r.current.Secret) {
		return nil // it is not known, or it is the one that stays
	}
	r.knows(old)
	err = r.touch(ctx, "retire the old credential at target "+quoted(r.target.Name), func(ctx context.Context) error {
		return retirer.Retire(ctx, old, r.current)
	})
	if err == nil {
		return r.settle(ctx, r.current)
	}
	if final(err) {
		return park(Failed, ReasonRetire, "it was rotated, and its old credential lives on: %v", err)
	}
	return err
}

// replaced is the credential of the version that was rotated, as far as Key Vault still tells.
func (r *run) replaced(ctx context.Context, f *flight) (Credential, error) {
	old := Credential{User: f.OldUser, ID: f.OldID}
	value, meta, err := r.Secrets.GetVersion(ctx, r.ask.Name, f.Source)
	switch {
	case err == nil:
		if c, err := r.target.credential(r.format, value, meta); err == nil {
			old = c
		}
	case !errors.Is(err, secret.ErrNotFound) && !errors.Is(err, secret.ErrDisabled):
		return old, fmt.Errorf("read the version that was rotated: %w", err)
	}
	if f.OldID != "" {
		old.ID = f.OldID
	}
	return old, nil
}
