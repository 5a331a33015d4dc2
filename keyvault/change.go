package keyvault

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyferry/keyferry/secret"
)

// Update patches the current version, disabled or not, and returns what it then is. It makes no version and reads no
// value. A patch says how the version shall be, so doing it twice is doing it once, and it is repeated after a lost
// answer. secret.ErrNotFound, secret.ErrInvalid for a patch over the limits of Key Vault or without a change.
func (c *Client) Update(ctx context.Context, name string, p secret.Patch) (secret.Meta, error) {
	return c.UpdateVersion(ctx, name, "", p)
}

// UpdateVersion patches one version; "" is the current one. Use it where the patch is meant for a version that may
// have been succeeded meanwhile. Otherwise as Update.
func (c *Client) UpdateVersion(ctx context.Context, name, version string, p secret.Patch) (secret.Meta, error) {
	m, err := c.update(ctx, name, version, p)
	if err != nil {
		return secret.Meta{}, fmt.Errorf("update secret %q%s: %w", name, ofVersion(version), err)
	}
	return m, nil
}

func (c *Client) update(ctx context.Context, name, version string, p secret.Patch) (secret.Meta, error) {
	if err := errors.Join(checkNameVersion(name, version), checkPatch(p)); err != nil {
		return secret.Meta{}, err
	}
	params := azsecrets.UpdateSecretPropertiesParameters{ContentType: p.ContentType, Tags: pointers(p.Tags)}
	if p.Enabled != nil || p.Expires != nil {
		params.SecretAttributes = &azsecrets.SecretAttributes{Enabled: p.Enabled, Expires: p.Expires}
	}
	resp, err := c.api.UpdateSecretProperties(ctx, name, version, params, nil)
	if err != nil {
		return secret.Meta{}, explain(err)
	}
	m, ok := namedMeta(name, resp.Secret)
	if !ok || version != "" && m.Version != version {
		return secret.Meta{}, malformed()
	}
	return m, nil
}

// Delete soft-deletes the secret with all its versions: the name stays taken until it is purged or recovered. It is
// nil when there is no such secret, so that it can be repeated. secret.ErrManaged.
func (c *Client) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("delete secret %q: %w", name, err)
	}
	if _, err := c.api.DeleteSecret(ctx, name, nil); err != nil {
		if f := explain(err); !errors.Is(f, secret.ErrNotFound) {
			return fmt.Errorf("delete secret %q: %w", name, f)
		}
	}
	return nil
}
