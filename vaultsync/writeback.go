package vaultsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// VersionPatcher is what a Destination must also do for a write-back: patch the version that was read and no other, so
// that a value somebody sets meanwhile is not marked as ours.
type VersionPatcher interface {
	UpdateVersion(ctx context.Context, name, version string, p secret.Patch) (secret.Meta, error)
}

// WriteBack writes the value of a copy that was changed by us in Key Vault, by a rotation, to the place in Vault it was
// copied from: the field it came from, or all fields of a copy that is a JSON object, as the successor of exactly the
// version that the copy records. Then it brings the copy's tags up to date and makes Vault its authority again, so that
// the next Sync finds it unchanged.
//
// It may be repeated: when Vault holds the value already, as after a run that was cut off, only the tags are written.
// secret.ErrConflict, naming both versions, when Vault moved, or lost the secret, since the copy: then neither side
// changes and the authority stays Key Vault's. secret.ErrUnsupported when no rule with WriteBack selects the place, for
// KV v1, and for a path that is too long for its tag. secret.ErrInvalid for a value that Vault would not give back as it
// is. secret.ErrLeaseHeld while a run works on the destination, secret.ErrAmbiguous when an answer of Vault was lost:
// repeat it then.
func (e *Engine) WriteBack(ctx context.Context, name string) error {
	err := e.Lock(ctx, "sync", func(ctx context.Context) error {
		hasher, err := e.hasher(ctx)
		if errors.Is(err, secret.ErrNotFound) {
			hasher, err = e.makeHasher(ctx)
		}
		if err != nil {
			return err
		}
		o, err := e.trace(ctx, name)
		if err != nil {
			return err
		}
		o.k.hasher = hasher
		return o.writeBack(ctx)
	})
	if err != nil {
		return fmt.Errorf("write %q back to vault: %w", name, err)
	}
	return nil
}

// PreflightWriteBack reports why a WriteBack of the secret would fail as things are, and changes nothing: Vault must
// answer, hold the version that the copy records, on KV v2, and let the token write. The errors are those of WriteBack
// and secret.ErrForbidden.
func (e *Engine) PreflightWriteBack(ctx context.Context, name string) error {
	if err := e.preflight(ctx, name); err != nil {
		return fmt.Errorf("see whether %q can be written back to vault: %w", name, err)
	}
	return nil
}

func (e *Engine) preflight(ctx context.Context, name string) error {
	o, err := e.trace(ctx, name)
	if err != nil {
		return err
	}
	m, path := o.k.entry.Mount, o.k.entry.Path
	s, err := o.source.Metadata(ctx, m, path)
	if err := o.learn(s, err); err != nil {
		return err
	}
	if err := decideReady(o.k); err != nil {
		return err
	}
	return o.writer.MayWrite(ctx, m, path)
}

// original is the place in Vault that a copy was made from, and what is known of both.
type original struct {
	k       knowledge
	version string // of the copy in Key Vault
	source  Source
	writer  Writer
	keeper  VersionPatcher
}

// trace reads the copy and finds where it came from. The tags alone do not decide that: the rules must give the place
// that they name the name of the copy, so that an edited tag cannot aim the value at another secret.
func (e *Engine) trace(ctx context.Context, name string) (*original, error) {
	value, meta, err := e.Destination.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the copy: %w", err)
	}
	row := newRow(meta)
	if row.managed {
		return nil, secret.ErrManaged
	}
	if row.path == "" {
		return nil, fmt.Errorf("%w: it was not copied from vault", secret.ErrUnsupported)
	}
	o := &original{version: meta.Version, source: e.Sources[row.source]}
	if o.source == nil {
		return nil, fmt.Errorf("%w: its source is not configured", secret.ErrUnsupported)
	}
	mounts, err := o.source.Mounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the mounts of %s: %w", row.source, err)
	}
	seen := newProof()
	for _, m := range mounts {
		seen.mount(row.source, m)
	}
	m, path, key, ok := seen.locate(row.source, row.path)
	if !ok {
		return nil, fmt.Errorf("%w: no mount that the token may see has the path of tag %s, or the tag is cut", secret.ErrUnsupported, secret.TagVaultPath)
	}
	rule := ruleOf((&run{Engine: e}).rulesOf(row.source, m.Path), path)
	entry := Entry{Rule: rule, Mount: m, Path: path, Key: key, Ref: row.path}
	if err := e.mayGoBack(&entry, name); err != nil {
		return nil, err
	}
	o.k = knowledge{now: e.Now(), entry: entry, row: row, have: &value}
	o.writer, ok = o.source.(Writer)
	if ok {
		o.keeper, ok = e.Destination.(VersionPatcher)
	}
	if !ok {
		return nil, fmt.Errorf("%w: the source or the destination cannot", secret.ErrUnsupported)
	}
	return o, nil
}

// mayGoBack reports why the rules do not let the copy of that name go back to the entry; else it names the entry.
func (e *Engine) mayGoBack(entry *Entry, name string) error {
	rule := entry.Rule
	switch {
	case rule == nil || rule.destination() != e.Name || (rule.As == ShapeKey) != (entry.Key != ""):
		return fmt.Errorf("%w: no rule selects %q for this destination", secret.ErrUnsupported, entry.Where())
	case !rule.WriteBack:
		return fmt.Errorf("%w: rule %q does not say writeBack", secret.ErrUnsupported, rule.Name)
	case entry.Mount.Version != 2:
		return fmt.Errorf("%w: %q lies in KV version 1, which has no check-and-set", secret.ErrUnsupported, entry.Where())
	}
	named := []Entry{*entry}
	nameAll(named, func(wanted string) ident {
		if secret.SameName(wanted, name) {
			return entry.id()
		}
		return ident{}
	})
	if !secret.SameName(named[0].Name, name) {
		return fmt.Errorf("%w: the rules do not copy %q to this name", secret.ErrConflict, entry.Where())
	}
	entry.Name = name
	return nil
}

// learn takes up what a read of the source brought.
func (o *original) learn(s State, err error) error {
	switch {
	case errors.Is(err, secret.ErrNotFound):
		o.k.absent = true
	case err != nil:
		return fmt.Errorf("read %q: %w", o.k.entry.Where(), err)
	}
	o.k.state = &s
	return nil
}

// writeBack reads Vault, writes what is missing there, and then the tags.
func (o *original) writeBack(ctx context.Context) error {
	s, fields, err := o.source.Read(ctx, o.k.entry.Mount, o.k.entry.Path)
	if err := o.learn(s, err); err != nil {
		return err
	}
	w, err := decideWriteBack(o.k, fields)
	if err != nil {
		return err
	}
	if w.fields != nil {
		if err := o.write(ctx, w); err != nil {
			return err
		}
	}
	d := decideTags(o.k, w.made)
	if d.Verb == Unchanged {
		return nil
	}
	if err := state.Outlasts(ctx, stepTime); err != nil {
		return fmt.Errorf("tag the copy: %w", err)
	}
	if _, err := o.keeper.UpdateVersion(ctx, o.k.entry.Name, o.version, d.patch); err != nil {
		return fmt.Errorf("tag the copy: %w", err)
	}
	return nil
}

// write succeeds the recorded version in Vault.
func (o *original) write(ctx context.Context, w writeBack) error {
	if err := state.Outlasts(ctx, stepTime); err != nil {
		return fmt.Errorf("write %q: %w", o.k.entry.Where(), err)
	}
	m, path := o.k.entry.Mount, o.k.entry.Path
	var s State
	var err error
	if w.field == "" {
		s, err = o.writer.WriteObject(ctx, m, path, w.fields, w.cas)
	} else {
		s, err = o.writer.WriteField(ctx, m, path, w.field, w.fields[w.field], w.cas)
	}
	if errors.Is(err, secret.ErrConflict) {
		return fmt.Errorf("the copy was made from version %d: %w", w.cas, err)
	}
	if err != nil {
		return err
	}
	o.k.state = &s
	return nil
}
