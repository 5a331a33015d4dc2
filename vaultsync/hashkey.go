package vaultsync

import (
	"context"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// hashKeyLife is far enough for no near-expiry event and near enough for an Azure Policy that wants an expiry.
const hashKeyLife = 10 * 365 * 24 * time.Hour

// hasher reads the hash key; secret.ErrNotFound when there is none yet.
func (e *Engine) hasher(ctx context.Context) (secret.Hasher, error) {
	key, m, err := e.Destination.Get(ctx, secret.HashKeyName)
	if err != nil {
		return secret.Hasher{}, fmt.Errorf("read the hash key: %w", err)
	}
	return secret.NewHasher(m.Version, key), nil
}

// makeHasher makes the hash key. Call it under the lease only: two keys would not know each other's hashes.
func (e *Engine) makeHasher(ctx context.Context) (secret.Hasher, error) {
	key := e.HashKey()
	m, err := e.Destination.Set(ctx, secret.HashKeyName, secret.Draft{
		Value:       key,
		ContentType: contentText,
		Expires:     e.Now().Add(hashKeyLife).UTC().Truncate(time.Second),
	})
	if err != nil {
		return secret.Hasher{}, fmt.Errorf("make the hash key: %w", err)
	}
	return secret.NewHasher(m.Version, key), nil
}
