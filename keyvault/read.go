package keyvault

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyferry/keyferry/secret"
)

// List yields every secret with the properties of its current version, disabled and managed ones included, in pages
// of 25. The Meta has no Version, because the listing names none. After an error nothing more is yielded; an error is
// never silent, so a listing without one is complete.
func (c *Client) List(ctx context.Context) iter.Seq2[secret.Meta, error] {
	return func(yield func(secret.Meta, error) bool) {
		pager := c.api.NewListSecretPropertiesPager(nil)
		found := pages[*azsecrets.SecretProperties]{pager.More, func() ([]*azsecrets.SecretProperties, *string, error) {
			p, err := pager.NextPage(ctx)
			return p.Value, p.NextLink, err
		}, listed}
		for m, err := range found.items {
			if err != nil {
				yield(secret.Meta{}, fmt.Errorf("list secrets: %w", err))
				return
			}
			m.Version = ""
			if !yield(m, nil) {
				return
			}
		}
	}
}

// Versions returns all versions of one secret, in no order that means anything; none when there is no such secret.
func (c *Client) Versions(ctx context.Context, name string) ([]secret.Meta, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("list versions of secret %q: %w", name, err)
	}
	pager := c.api.NewListSecretPropertiesVersionsPager(name, nil)
	found := pages[*azsecrets.SecretProperties]{pager.More, func() ([]*azsecrets.SecretProperties, *string, error) {
		p, err := pager.NextPage(ctx)
		return p.Value, p.NextLink, err
	}, listed}
	var all []secret.Meta
	for m, err := range found.items {
		if errors.Is(err, secret.ErrNotFound) {
			return nil, nil
		}
		if err == nil && (m.Version == "" || !secret.SameName(m.Name, name)) {
			err = malformed()
		}
		if err != nil {
			return nil, fmt.Errorf("list versions of secret %q: %w", name, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// pages is a pager of the SDK, whichever answers it gives.
type pages[T any] struct {
	more func() bool
	next func() (items []T, link *string, err error)
	read func(T) (secret.Meta, bool)
}

// items yields what the pages hold until the first failure. A page that links to the page it was linked from would
// never end, and is one.
func (p pages[T]) items(yield func(secret.Meta, error) bool) {
	for last := ""; p.more(); {
		items, link, err := p.next()
		if err != nil {
			yield(secret.Meta{}, explain(err))
			return
		}
		if next := deref(link); next != "" && next == last {
			yield(secret.Meta{}, malformed())
			return
		}
		last = deref(link)
		for _, item := range items {
			m, ok := p.read(item)
			if !ok {
				yield(secret.Meta{}, malformed())
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// listed reads an item of a listing.
func listed(p *azsecrets.SecretProperties) (secret.Meta, bool) {
	if p == nil {
		return secret.Meta{}, false
	}
	return metaOf(p.ID, p.Attributes, p.ContentType, p.Managed, p.Tags)
}

// Get returns the current version. secret.ErrDisabled when it is disabled: Key Vault then does not fall back to an
// older one. secret.ErrNotFound also when the name is held by a deleted secret. A version outside its validity is
// returned like any other.
func (c *Client) Get(ctx context.Context, name string) (secret.Value, secret.Meta, error) {
	return c.GetVersion(ctx, name, "")
}

// GetVersion returns one version; "" is the current one. Errors as for Get.
func (c *Client) GetVersion(ctx context.Context, name, version string) (secret.Value, secret.Meta, error) {
	v, m, err := c.get(ctx, name, version)
	if err != nil {
		return secret.Value{}, secret.Meta{}, fmt.Errorf("get secret %q%s: %w", name, ofVersion(version), err)
	}
	return v, m, nil
}

func (c *Client) get(ctx context.Context, name, version string) (secret.Value, secret.Meta, error) {
	if err := checkNameVersion(name, version); err != nil {
		return secret.Value{}, secret.Meta{}, err
	}
	resp, err := c.api.GetSecret(ctx, name, version, nil)
	if err != nil {
		return secret.Value{}, secret.Meta{}, explain(err)
	}
	m, ok := namedMeta(name, resp.Secret)
	if !ok || resp.Value == nil || version != "" && m.Version != version {
		return secret.Value{}, secret.Meta{}, malformed()
	}
	return secret.New(*resp.Value), m, nil
}
