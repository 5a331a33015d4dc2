package keyvault

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/sethvargo/go-retry"

	"github.com/keyferry/keyferry/secret"
)

// ListDeleted yields every soft-deleted secret with the properties of its last version. The Meta has no Version. As
// List in everything else; secret.ErrForbidden where the identity may not list deleted secrets.
func (c *Client) ListDeleted(ctx context.Context) iter.Seq2[secret.Meta, error] {
	return func(yield func(secret.Meta, error) bool) {
		pager := c.api.NewListDeletedSecretPropertiesPager(nil)
		found := pages[*azsecrets.DeletedSecretProperties]{pager.More, func() ([]*azsecrets.DeletedSecretProperties, *string, error) {
			p, err := pager.NextPage(ctx)
			return p.Value, p.NextLink, err
		}, func(p *azsecrets.DeletedSecretProperties) (secret.Meta, bool) {
			if p == nil {
				return secret.Meta{}, false
			}
			return metaOf(p.ID, p.Attributes, p.ContentType, p.Managed, p.Tags)
		}}
		for m, err := range found.items {
			if err != nil {
				yield(secret.Meta{}, fmt.Errorf("list deleted secrets: %w", err))
				return
			}
			m.Version = ""
			if !yield(m, nil) {
				return
			}
		}
	}
}

// Recover brings a soft-deleted secret back with all its versions. Key Vault works on it for some seconds more, for
// which Set waits. Nil when there is no such deleted secret, so that it can be repeated. While the deletion itself is
// still under way it waits, for half a minute, then secret.ErrBusy.
func (c *Client) Recover(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("recover secret %q: %w", name, err)
	}
	pause := retry.WithMaxDuration(busyTime, retry.NewConstant(busyPause))
	err := retry.Do(ctx, pause, func(ctx context.Context) error {
		_, err := c.api.RecoverDeletedSecret(ctx, name, nil)
		if err == nil {
			return nil
		}
		switch f := explain(err); {
		case errors.Is(f, secret.ErrNotFound):
			return nil
		case errors.Is(f, secret.ErrBusy):
			return retry.RetryableError(f)
		default:
			return f
		}
	})
	if err != nil {
		return fmt.Errorf("recover secret %q: %w", name, err)
	}
	return nil
}
