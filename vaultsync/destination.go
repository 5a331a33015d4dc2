package vaultsync

import (
	"context"
	"iter"

	"github.com/keyferry/keyferry/secret"
)

// Destination is one Azure Key Vault. The keyvault package implements it. Implementations are safe for concurrent
// use, keep the write budget of the vault and do their own retries; errors wrap the sentinels of package secret.
type Destination interface {
	Inventory
	Keeper
	Remover
}

// Inventory tells what is there, without values.
type Inventory interface {
	// List yields every secret with the properties of its current version, disabled ones included. The Meta has
	// no Version. After an error nothing more is yielded.
	List(ctx context.Context) iter.Seq2[secret.Meta, error]
	// Versions returns all versions of one secret in any order; none when there is no such secret.
	Versions(ctx context.Context, name string) ([]secret.Meta, error)
}

// Keeper reads and writes one secret.
type Keeper interface {
	// Get returns the current version. secret.ErrDisabled, secret.ErrNotFound.
	Get(ctx context.Context, name string) (secret.Value, secret.Meta, error)
	// Set writes a new version. When the answer is lost it looks whether the version was written before it
	// repeats. secret.ErrDeleted when the name is held by a deleted secret, secret.ErrManaged.
	Set(ctx context.Context, name string, d secret.Draft) (secret.Meta, error)
	// UpdateVersion patches a version, "" the current one, and returns what it then is. A patch that rests on a look
	// at the secret names the version it saw: then it does nothing to one that somebody wrote since.
	UpdateVersion(ctx context.Context, name, version string, p secret.Patch) (secret.Meta, error)
}

// Remover takes away what can be brought back.
type Remover interface {
	// ListDeleted yields every soft-deleted secret. secret.ErrForbidden where the identity may not list them.
	ListDeleted(ctx context.Context) iter.Seq2[secret.Meta, error]
	// Delete soft-deletes the secret; nil when there is none.
	Delete(ctx context.Context, name string) error
	// Recover brings a soft-deleted secret back and returns when it can be written; nil when it is there already.
	Recover(ctx context.Context, name string) error
}
