package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// ListDetailed lists a folder with the metadata of its secrets, as vaultsync.DetailedLister says. Only OpenBao can; it
// is asked when Mounts has shown an engine that is OpenBao's, so that Vault is spared a call that must fail. The call is
// the probe of facts/vault-sync.md A11 itself: to a server without the path it is an unknown one.
func (c *Client) ListDetailed(ctx context.Context, m vaultsync.Mount, dir string) ([]string, map[string]vaultsync.State, error) {
	names, states, err := c.listDetailed(ctx, m, dir)
	if errors.Is(err, errAbsent) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list folder %q of mount %q with metadata: %w", dir, m.Path, err)
	}
	return names, states, nil
}

func (c *Client) listDetailed(ctx context.Context, m vaultsync.Mount, dir string) ([]string, map[string]vaultsync.State, error) {
	path, err := folderPath(m, "detailed-metadata", dir)
	if err != nil {
		return nil, nil, err
	}
	if m.Version == 1 || !c.detailed.Load() {
		return nil, nil, fmt.Errorf("%w: only OpenBao lists with metadata, on KV version 2", secret.ErrUnsupported)
	}
	a, err := c.attempt(ctx, request{path: path, list: true, limit: maxListing})
	if err != nil {
		return nil, nil, err
	}
	if a.status == http.StatusNotFound {
		if decodeNotFound(a.body) == otherVersion {
			c.detailed.Store(false)
			return nil, nil, fmt.Errorf("%w: this server does not list with metadata", secret.ErrUnsupported)
		}
		return nil, nil, c.absence(ctx, m, a, secret.ErrNotFound)
	}
	return decodeDetailed(a.body)
}
