package rotation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// publish writes the new version in one call: value, tags, content type and expiry. Whatever happened meanwhile is found
// by the look before it. Key Vault has no compare-and-swap: this is as close as it gets.
func (r *run) publish(ctx context.Context, f *flight) error {
	if err := r.look(ctx); err != nil {
		return keep(err)
	}
	if r.wrote(f) {
		_ = r.learn()
		return r.acknowledge(ctx, f)
	}
	if err := r.mayPublish(ctx, f); err != nil {
		return err
	}
	if err := r.learn(); err != nil {
		return keep(err)
	}
	value, err := render(r.format, r.value, r.current, r.next)
	if err != nil {
		return park(Failed, ReasonFormat, "the new password does not go into its value: %v", err)
	}
	if d, err := validityOf(r.facts.meta.Tags, r.target, r.Settings); err == nil {
		f.Validity = d // what somebody made of the tag meanwhile
	}
	made := secret.RotationState{ID: f.ID, From: f.Source, At: r.facts.now.UTC().Truncate(time.Second), Credential: r.next.ID}
	hash := ""
	if r.Hash != nil {
		hash = r.Hash(value)
	}
	old := r.facts.meta
	draft := successor(old, value, made, f.Validity, hash)
	var meta secret.Meta
	err = r.touch(ctx, "publish", func(ctx context.Context) (err error) {
		meta, err = r.Secrets.Set(ctx, old.Name, draft)
		return err
	})
	switch {
	case err == nil:
	case secret.IsTransient(err) || errors.Is(err, secret.ErrDeleted) && !f.Local:
		return err
	case !f.Local:
		return park(Failed, ReasonPublish, "Key Vault refuses its new version: %v", err)
	default:
		return stop(Failed, ReasonPublish, "Key Vault refuses its new version: %v", err)
	}
	f.Phase, f.Version, f.At, f.Retire = published, meta.Version, made.At, made.At.Add(r.grace())
	f.Credential = r.next.ID
	r.value, r.facts.meta, r.current = value, meta, r.next
	r.announce(f, old.Expires, draft.Expires)
	return r.entry.save(ctx)
}

// announce makes the outcome of a publish and owes the alert of it. before is the expiry of the version that was
// replaced, zero when that is not known any more.
func (r *run) announce(f *flight, before, expires time.Time) {
	text := map[Reason]string{
		ReasonNearExpiry: "it was close to its expiry", ReasonExpired: "it had expired",
		ReasonAge: "it was as old as it may get", ReasonForced: "somebody asked for it",
	}[f.Reason]
	if f.Reason == ReasonNearExpiry && !before.IsZero() {
		text = "it expires in " + inDays(before.Sub(f.Began))
	}
	r.made = &Outcome{
		Verdict: Rotated, Reason: f.Reason, Name: r.entry.Secret, OldVersion: f.Source, NewVersion: f.Version, Expires: expires,
		Text: text + ": rotated, valid until " + expires.UTC().Format(time.DateOnly),
	}
	r.owe(r.success(f))
}

// mayPublish judges what stands in Key Vault now. Only the version that was rotated is replaced, or a later one that
// has the same value or the new one.
func (r *run) mayPublish(ctx context.Context, f *flight) error {
	name := r.ask.Name
	switch tags := r.facts.meta.Tags; {
	case r.facts.missing:
		return fmt.Errorf("publish: secret %q was deleted meanwhile", name)
	case r.facts.disabled:
		return fmt.Errorf("publish: secret %q was disabled meanwhile", name)
	case r.facts.meta.Managed:
		return r.conflict("it became part of a certificate")
	default:
		if fromVault, err := vaultOwns(tags); err != nil || fromVault && !r.target.WriteBack && !r.target.BeforeCutover {
			return r.conflict("it was given to Vault")
		}
	}
	if r.facts.meta.Version == f.Source {
		return nil
	}
	theirs, err := r.target.credential(r.format, r.value, r.facts.meta)
	if err == nil && theirs.Secret.Equal(r.next.Secret) {
		f.Source = r.facts.meta.Version
		return nil
	}
	before, _, err := r.Secrets.GetVersion(ctx, name, f.Source)
	switch {
	case err == nil && before.Equal(r.value):
		f.Source = r.facts.meta.Version
		return nil
	case err != nil && secret.IsTransient(err):
		return fmt.Errorf("read the version that is rotated: %w", err)
	}
	return r.conflict("somebody wrote another value")
}

// conflict is what somebody else did and we do not undo. When the value lives in Key Vault only there is nothing left to
// settle.
func (r *run) conflict(what string) error {
	text := "%s while its rotation was under way, and it stays as it is"
	if _, only := r.strategy.(local); only {
		return stop(Conflict, ReasonChanged, text, what)
	}
	return park(Conflict, ReasonChanged, text+"; the target has the new credential", what)
}

// successor is the version that follows meta: its value, content type, expiry and the complete tags, since Key Vault
// carries nothing over. hash makes the vault-hash of the value, or "" when it cannot.
func successor(meta secret.Meta, value secret.Value, made secret.RotationState, validity time.Duration, hash string) secret.Draft {
	contentType := meta.ContentType
	if contentType == "" {
		contentType = "text/plain"
	}
	return secret.Draft{
		Value: value, ContentType: contentType,
		Expires: made.At.Add(validity),
		Tags:    successorTags(meta.Tags, made, hash),
	}
}

// successorTags keeps every tag, foreign ones too, but those that tell of the old value. Key Vault is the authority from
// here on, so that no sync brings the old value back.
func successorTags(old map[string]string, made secret.RotationState, hash string) map[string]string {
	tags := make(map[string]string, len(old)+2)
	maps.Copy(tags, old)
	delete(tags, secret.TagVaultHash)
	tags[secret.TagAuthority] = secret.AuthorityKeyVault
	tags[secret.TagRotationState] = made.String()
	if _, had := old[secret.TagCredentialID]; had && made.Credential != "" {
		tags[secret.TagCredentialID] = made.Credential
	}
	if _, had := old[secret.TagVaultHash]; had && hash != "" && len(tags) < secret.MaxTags {
		tags[secret.TagVaultHash] = hash
	}
	return tags
}
