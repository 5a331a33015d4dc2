package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// minStagingLife keeps the expiry of a candidate far from any policy on short lives.
const minStagingLife = 90 * day

// placeholder is the value of a staging secret that holds an intent only.
const placeholder = "intent"

// staged is what the staging secret of a rotation holds.
type staged struct {
	secret.Pending
	version   string
	candidate secret.Value
}

// readStaging reads a version of the staging secret, "" = the current one. It reports false when nothing is pending:
// no staging secret, or a disabled version. What somebody else put there is a halt.
func (r *run) readStaging(ctx context.Context, version string) (staged, bool, error) {
	name := secret.PendingName(r.ask.Name)
	value, meta, err := r.Staging.GetVersion(ctx, name, version)
	switch {
	case errors.Is(err, secret.ErrNotFound), errors.Is(err, secret.ErrDisabled):
		return staged{}, false, nil
	case err != nil && secret.IsTransient(err):
		return staged{}, false, fmt.Errorf("read staging secret: %w", err)
	case err != nil:
		return staged{}, false, stop(Failed, ReasonStaging, "its staging secret %s cannot be read: %v", name, err)
	}
	p, err := secret.ParsePending(meta.Tags)
	if err != nil || !secret.SameName(p.For, r.ask.Name) {
		return staged{}, false, stop(Failed, ReasonStaging, "its staging secret %s holds a version that is not ours, and is not overwritten", name)
	}
	s := staged{Pending: p, version: meta.Version, candidate: value}
	if !p.Intent {
		r.knows(s.credential())
	}
	return s, true, nil
}

func (s staged) credential() Credential {
	return Credential{User: s.User, ID: s.State.Credential, Secret: s.candidate}
}

// stage makes the candidate of a rotation durable, or with the zero Credential the intent to have one made. That it can
// is also the proof that Key Vault can be written before anything outside of it is touched.
func (r *run) stage(ctx context.Context, f *flight, next Credential) error {
	p := secret.Pending{
		For: r.entry.Secret, User: next.User, Intent: next.Secret.IsZero(), WriteBack: f.WriteBack,
		State: secret.RotationState{ID: f.ID, From: f.Source, At: f.Began.UTC().Truncate(time.Second), Credential: next.ID},
	}
	tags, err := p.Tags()
	if err != nil {
		return stop(Failed, ReasonStaging, "the candidate cannot be kept in a staging secret: %v", err)
	}
	value := next.Secret
	if p.Intent {
		value = secret.New(placeholder)
	}
	r.knows(next)
	var meta secret.Meta
	err = r.touch(ctx, "keep the candidate", func(ctx context.Context) (err error) {
		meta, err = r.Staging.Set(ctx, secret.PendingName(r.ask.Name), secret.Draft{
			Value: value, ContentType: secret.PendingType, Expires: f.Began.Add(max(f.Validity, minStagingLife)), Tags: tags,
		})
		return err
	})
	if err != nil {
		if !secret.IsTransient(err) {
			return stop(Failed, ReasonStaging, "Key Vault does not take its staging secret: %v", err)
		}
		return err
	}
	f.Pending, f.User, f.Credential = meta.Version, next.User, next.ID
	return nil
}

// unstage disables the version that held the candidate. Repeating it does no harm.
func (r *run) unstage(ctx context.Context, f *flight) error {
	if f.Pending == "" {
		return nil
	}
	off := false
	return r.touch(ctx, "close the staging secret", func(ctx context.Context) error {
		_, err := r.Staging.UpdateVersion(ctx, secret.PendingName(r.ask.Name), f.Pending, secret.Patch{Enabled: &off})
		if errors.Is(err, secret.ErrNotFound) {
			return nil
		}
		return err
	})
}

// adopted is the rotation of which only the staging secret tells: its record was lost, or never written. f is the one
// that would begin now.
func adopted(f flight, s staged, meta secret.Meta, grace time.Duration) flight {
	f.ID, f.Source, f.Pending, f.Began = s.State.ID, s.State.From, s.version, s.State.At
	f.User, f.Credential, f.WriteBack = s.User, s.State.Credential, s.WriteBack
	f.Label = labelOf(meta.Name, f.Source)
	made, err := secret.ParseRotationState(meta.Tags[secret.TagRotationState])
	if err == nil && made.ID == f.ID {
		f.Phase, f.Source, f.Version, f.At, f.Retire = published, made.From, meta.Version, made.At, made.At.Add(grace)
	}
	if f.Source != meta.Version {
		f.OldID, f.OldUser = "", "" // of the version that was replaced, which this one is not
	}
	return f
}
