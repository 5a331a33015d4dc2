package state

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/keyferry/keyferry/secret"
)

// stampName is the metadata by which a Put knows its own write. Equal bytes would not do: two runs may try to write
// the same, and only one of them wins.
const stampName = "write"

// Get returns a record; secret.ErrNotFound, and secret.ErrTooLarge for what somebody else made longer than MaxRecord.
func (b *Blob) Get(ctx context.Context, key string) (Record, error) {
	err := checkKey(key)
	var r Record
	if err == nil {
		r, err = b.download(ctx, records, key)
	}
	if err == nil && len(r.Data) > MaxRecord {
		err = secret.ErrTooLarge
	}
	if err != nil {
		return Record{}, fmt.Errorf("get record %q: %w", key, err)
	}
	return r, nil
}

// download reads a blob, up to one byte more than a record may have.
func (b *Blob) download(ctx context.Context, folder, key string) (Record, error) {
	return attempt(ctx, func(ctx context.Context) (Record, error) {
		resp, err := b.blob(folder, key).DownloadStream(ctx, nil)
		if err != nil {
			return Record{}, err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(io.LimitReader(resp.Body, MaxRecord+1))
		return Record{Data: data, ETag: etagText(resp.ETag)}, err
	})
}

// Put writes a record and returns its new ETag, if the record still has the ETag given; "" = there is none yet.
// secret.ErrConflict otherwise. secret.ErrTooLarge over MaxRecord. secret.ErrAmbiguous when it is not known whether
// the record was written.
func (b *Blob) Put(ctx context.Context, key string, data []byte, etag string) (string, error) {
	err := checkPut(key, data)
	var tag string
	if err == nil {
		tag, err = b.put(ctx, key, data, etag)
	}
	if err != nil {
		return "", fmt.Errorf("put record %q: %w", key, err)
	}
	return tag, nil
}

func (b *Blob) put(ctx context.Context, key string, data []byte, etag string) (string, error) {
	stamp := rand.Text()
	lost := false // an answer, so that the record may have been written by this call
	tag, err := attempt(ctx, func(ctx context.Context) (string, error) {
		return inContainer(ctx, b, func(ctx context.Context) (string, error) {
			resp, err := b.blob(records, key).Upload(ctx, streaming.NopCloser(bytes.NewReader(data)), &blockblob.UploadOptions{
				HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: to.Ptr("application/octet-stream")},
				Metadata:         map[string]*string{stampName: &stamp},
				AccessConditions: ifMatch(etag),
			})
			lost = lost || err != nil && !answered(faultOf(ctx, err))
			return etagText(resp.ETag), err
		})
	})
	if err == nil {
		return tag, nil
	}
	if lost {
		tag, own, lookErr := b.stamped(ctx, key, stamp)
		if own {
			return tag, nil
		}
		if lookErr != nil {
			return "", fmt.Errorf("%w: %w", secret.ErrAmbiguous, err)
		}
	}
	if absent(err) {
		err = secret.ErrConflict // the record of that ETag is gone
	}
	return "", err
}

// stamped looks whether the record is the one that was written with the stamp.
func (b *Blob) stamped(ctx context.Context, key, stamp string) (etag string, own bool, err error) {
	resp, err := b.properties(ctx, key)
	if absent(err) {
		return "", false, nil
	}
	for name, value := range resp.Metadata {
		if strings.EqualFold(name, stampName) && value != nil && *value == stamp {
			return etagText(resp.ETag), true, nil
		}
	}
	return "", false, err
}

func (b *Blob) properties(ctx context.Context, key string) (blob.GetPropertiesResponse, error) {
	return attempt(ctx, func(ctx context.Context) (blob.GetPropertiesResponse, error) {
		return b.blob(records, key).GetProperties(ctx, nil)
	})
}

// Delete removes a record if it still has the ETag given, secret.ErrConflict otherwise. Nil when there is none.
func (b *Blob) Delete(ctx context.Context, key, etag string) error {
	err := checkDelete(key, etag)
	if err == nil {
		_, err = attempt(ctx, func(ctx context.Context) (blob.DeleteResponse, error) {
			return b.blob(records, key).Delete(ctx, &blob.DeleteOptions{AccessConditions: ifMatch(etag)})
		})
	}
	if errors.Is(err, secret.ErrConflict) {
		// A blob that is not there does not match either.
		if _, lookErr := b.properties(ctx, key); absent(lookErr) {
			return nil
		}
	}
	if err != nil && !absent(err) {
		return fmt.Errorf("delete record %q: %w", key, err)
	}
	return nil
}

// List returns the keys that begin with prefix, sorted.
func (b *Blob) List(ctx context.Context, prefix string) ([]string, error) {
	err := checkPrefix(prefix)
	var keys []string
	if err == nil {
		keys, err = b.list(ctx, prefix)
	}
	if err != nil && !absent(err) {
		return nil, fmt.Errorf("list records %q: %w", prefix, err)
	}
	slices.Sort(keys)
	return keys, nil
}

func (b *Blob) list(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	pages := b.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(records + prefix)})
	for pages.More() {
		page, err := attempt(ctx, pages.NextPage)
		if err != nil {
			return nil, err
		}
		if page.Segment == nil {
			return nil, fmt.Errorf("%w: a page without entries", secret.ErrPermanent)
		}
		for _, item := range page.Segment.BlobItems {
			if item == nil || item.Name == nil {
				continue
			}
			if key, ok := strings.CutPrefix(*item.Name, records); ok && ValidKey(key) {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

// ifMatch is the condition for a record with that ETag, or for none at all.
func ifMatch(etag string) *blob.AccessConditions {
	if etag == "" {
		return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	}
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(etag))}}
}

func etagText(tag *azcore.ETag) string {
	if tag == nil {
		return ""
	}
	return string(*tag)
}
