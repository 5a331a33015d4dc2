package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

var (
	_ vaultsync.Source         = (*Client)(nil)
	_ vaultsync.Writer         = (*Client)(nil)
	_ vaultsync.DetailedLister = (*Client)(nil)
)

// Mounts returns the KV mounts the token may use, sorted by path (facts/vault-sync.md A7). Their ID is made of uuid
// and accessor.
func (c *Client) Mounts(ctx context.Context) ([]vaultsync.Mount, error) {
	a, err := c.read(ctx, request{path: "sys/internal/ui/mounts", limit: maxListing})
	if err == nil && a.status != http.StatusOK {
		err = malformed("404 for the mounts")
	}
	if err != nil {
		return nil, fmt.Errorf("list mounts of vault: %w", err)
	}
	mounts, bao, err := decodeMounts(a.body)
	if err != nil {
		return nil, fmt.Errorf("list mounts of vault: %w", err)
	}
	c.detailed.Store(bao)
	slices.SortFunc(mounts, func(a, b vaultsync.Mount) int { return strings.Compare(a.Path, b.Path) })
	return mounts, nil
}

// List returns the names in a folder, as vaultsync.Lister says. secret.ErrInvalid for a folder that cannot be asked
// for, secret.ErrConflict for a mount that is no longer the one given.
func (c *Client) List(ctx context.Context, m vaultsync.Mount, dir string) ([]string, error) {
	names, err := c.list(ctx, m, dir)
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list folder %q of mount %q: %w", dir, m.Path, err)
	}
	return names, nil
}

func (c *Client) list(ctx context.Context, m vaultsync.Mount, dir string) ([]string, error) {
	path, err := folderPath(m, "metadata", dir)
	if err != nil {
		return nil, err
	}
	a, err := c.read(ctx, request{path: path, list: true, limit: maxListing})
	if err != nil {
		return nil, err
	}
	if a.status == http.StatusNotFound {
		return nil, c.absence(ctx, m, a, secret.ErrNotFound)
	}
	return decodeList(a.body)
}

// Metadata reads the state of a secret, as vaultsync.Reader says. secret.ErrUnsupported for KV version 1.
func (c *Client) Metadata(ctx context.Context, m vaultsync.Mount, path string) (vaultsync.State, error) {
	s, err := c.metadata(ctx, m, path)
	if err != nil {
		return vaultsync.State{}, fmt.Errorf("read metadata of %q in mount %q: %w", path, m.Path, err)
	}
	return s, nil
}

func (c *Client) metadata(ctx context.Context, m vaultsync.Mount, path string) (vaultsync.State, error) {
	if m.Version == 1 {
		return vaultsync.State{}, fmt.Errorf("%w: KV version 1 keeps no metadata", secret.ErrUnsupported)
	}
	where, err := secretPath(m, "metadata", path)
	if err != nil {
		return vaultsync.State{}, err
	}
	a, err := c.read(ctx, request{path: where, limit: maxSecret})
	if err != nil {
		return vaultsync.State{}, err
	}
	if a.status == http.StatusNotFound {
		return vaultsync.State{}, c.absence(ctx, m, a, secret.ErrUnavailable)
	}
	return decodeMetadata(a.body)
}

// Read reads the state and the fields of a secret, as vaultsync.Reader says. Fields is nil for a version that is
// deleted or destroyed and for one that was written as null, which the State tells apart; a KV version 2 secret that
// has metadata only is secret.ErrNotFound here. secret.ErrTooLarge for an answer over 8 MiB.
func (c *Client) Read(ctx context.Context, m vaultsync.Mount, path string) (vaultsync.State, vaultsync.Fields, error) {
	s, fields, err := c.data(ctx, m, path)
	if err != nil {
		return vaultsync.State{}, nil, fmt.Errorf("read %q in mount %q: %w", path, m.Path, err)
	}
	return s, fields, nil
}

func (c *Client) data(ctx context.Context, m vaultsync.Mount, path string) (vaultsync.State, vaultsync.Fields, error) {
	where, err := secretPath(m, "data", path)
	if err != nil {
		return vaultsync.State{}, nil, err
	}
	a, err := c.read(ctx, request{path: where, limit: maxSecret})
	if err != nil {
		return vaultsync.State{}, nil, err
	}
	if a.status == http.StatusOK && m.Version == 1 {
		fields, err := decodePlain(a.body)
		return vaultsync.State{}, fields, err
	}
	if a.status == http.StatusOK {
		return decodeData(a.body)
	}
	if m.Version == 1 || decodeNotFound(a.body) != aVersion {
		return vaultsync.State{}, nil, c.absence(ctx, m, a, secret.ErrUnavailable)
	}
	s, fields, err := decodeData(a.body)
	if err == nil && (fields != nil || (!s.Destroyed && s.Deletion.IsZero())) {
		err = malformed("404 for a version that is not gone")
	}
	return s, fields, err
}
