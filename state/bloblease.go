package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"github.com/keyferry/keyferry/secret"
)

// note is the content of a lease's blob: who took it, for others to read.
type note struct {
	Holder string    `json:"holder"`
	Since  time.Time `json:"since"`
}

// Acquire implements Leaser. A lease whose taking is in doubt is given up before the error returns.
func (b *Blob) Acquire(ctx context.Context, name, holder string) (Lease, error) {
	if err := checkLease(name, holder); err != nil {
		return Lease{}, fmt.Errorf("acquire lease %q: %w", name, err)
	}
	// One random ID for all tries: taking a lease again with the ID that has it succeeds, so no answer can be lost.
	client, err := lease.NewBlobClient(b.blob(leases, name), nil)
	if err != nil || client.LeaseID() == nil {
		return Lease{}, fmt.Errorf("acquire lease %q: %w", name, secret.ErrPermanent)
	}
	l := Lease{Name: name, Holder: holder, ID: *client.LeaseID()}
	l.Since, err = b.take(ctx, client, name)
	if err == nil {
		err = b.sign(ctx, l)
	}
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, secret.ErrLeaseHeld):
		by := b.holder(ctx, name)
		return Lease{}, &HeldError{Name: name, Holder: by.Holder, Since: by.Since}
	}
	release(ctx, b, l)
	return Lease{}, fmt.Errorf("acquire lease %q: %w", name, err)
}

// take acquires the lease, of a blob that it makes when there is none, and returns when that was.
func (b *Blob) take(ctx context.Context, client *lease.BlobClient, name string) (time.Time, error) {
	acquire := func(ctx context.Context) (lease.BlobAcquireResponse, error) {
		return client.AcquireLease(ctx, int32(LeaseTime/time.Second), nil)
	}
	resp, err := attempt(ctx, acquire)
	if absent(err) {
		if err := b.plant(ctx, name); err != nil {
			return time.Time{}, err
		}
		resp, err = attempt(ctx, acquire)
	}
	if err != nil || resp.Date == nil {
		return time.Time{}, err
	}
	return *resp.Date, nil
}

// plant makes the blob that is leased. That somebody else has just made it is as good.
func (b *Blob) plant(ctx context.Context, name string) error {
	_, err := attempt(ctx, func(ctx context.Context) (blockblob.UploadResponse, error) {
		return inContainer(ctx, b, func(ctx context.Context) (blockblob.UploadResponse, error) {
			return b.upload(ctx, name, note{}, ifMatch(""))
		})
	})
	var f *fault
	if errors.Is(err, secret.ErrConflict) || errors.As(err, &f) && f.code == bloberror.LeaseIDMissing {
		return nil
	}
	return err
}

// sign writes the holder into the blob, which only the one who has the lease can do.
func (b *Blob) sign(ctx context.Context, l Lease) error {
	_, err := attempt(ctx, func(ctx context.Context) (blockblob.UploadResponse, error) {
		return b.upload(ctx, l.Name, note{Holder: l.Holder, Since: l.Since},
			&blob.AccessConditions{LeaseAccessConditions: &blob.LeaseAccessConditions{LeaseID: &l.ID}})
	})
	return err
}

func (b *Blob) upload(ctx context.Context, name string, n note, when *blob.AccessConditions) (blockblob.UploadResponse, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return blockblob.UploadResponse{}, err
	}
	return b.blob(leases, name).Upload(ctx, streaming.NopCloser(bytes.NewReader(text)), &blockblob.UploadOptions{
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: to.Ptr("application/json")},
		AccessConditions: when,
	})
}

// holder reads who has the lease; the zero note when that cannot be told.
func (b *Blob) holder(ctx context.Context, name string) note {
	r, err := b.download(ctx, leases, name)
	if err != nil {
		return note{}
	}
	return parseNote(r.Data)
}

// parseNote decodes what anybody may have written to the blob: the zero note unless it names a proper holder.
func parseNote(text []byte) note {
	var n note
	if json.Unmarshal(text, &n) != nil || !validHolder(n.Holder) {
		return note{}
	}
	return n
}

// Renew implements Leaser.
func (b *Blob) Renew(ctx context.Context, l Lease) error {
	err := b.withLease(l, func(client *lease.BlobClient) error {
		_, err := attempt(ctx, func(ctx context.Context) (lease.BlobRenewResponse, error) { return client.RenewLease(ctx, nil) })
		return err
	})
	if absent(err) || errors.Is(err, secret.ErrConflict) {
		err = secret.ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("renew lease %q: %w", l.Name, err)
	}
	return nil
}

// Release implements Leaser.
func (b *Blob) Release(ctx context.Context, l Lease) error {
	err := b.withLease(l, func(client *lease.BlobClient) error {
		_, err := attempt(ctx, func(ctx context.Context) (lease.BlobReleaseResponse, error) { return client.ReleaseLease(ctx, nil) })
		return err
	})
	if err == nil || absent(err) || errors.Is(err, secret.ErrConflict) || errors.Is(err, secret.ErrLeaseLost) {
		return nil
	}
	return fmt.Errorf("release lease %q: %w", l.Name, err)
}

// withLease calls f for a lease that Acquire returned. The zero Lease is one that was lost.
func (b *Blob) withLease(l Lease, f func(*lease.BlobClient) error) error {
	if l.ID == "" || checkKey(l.Name) != nil {
		return secret.ErrLeaseLost
	}
	client, err := lease.NewBlobClient(b.blob(leases, l.Name), &lease.BlobClientOptions{LeaseID: &l.ID})
	if err != nil {
		return secret.ErrPermanent
	}
	return f(client)
}
