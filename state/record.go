package state

import (
	"fmt"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// MaxRecord is the size limit of a record in bytes.
const MaxRecord = 1 << 20

// maxKey keeps a key, with the folder a store puts before it, below Azure's limits of 1,024 characters and 254
// segments.
const maxKey = 400

// Record is what Get returns: the data and the ETag that names this state of it. An ETag is opaque, never empty,
// and never comes back once the record was changed.
type Record struct {
	Data []byte
	ETag string
}

// ValidKey reports whether key may name a record or a lease: 1 to 400 bytes of [a-z0-9._-] in segments parted by
// single slashes, where no segment begins or ends with a dot (Azure drops such dots from a blob's address).
func ValidKey(key string) bool {
	if len(key) > maxKey {
		return false
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment[0] == '.' || segment[len(segment)-1] == '.' || !keyBytes(segment) {
			return false
		}
	}
	return true
}

func keyBytes(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("/._-", c) >= 0) {
			return false
		}
	}
	return true
}

func checkKey(key string) error {
	if !ValidKey(key) {
		return fmt.Errorf("%w: a key is up to %d bytes of a-z, 0-9, '.', '_', '-' in segments parted by '/'",
			secret.ErrInvalid, maxKey)
	}
	return nil
}

func checkPut(key string, data []byte) error {
	if len(data) > MaxRecord {
		return fmt.Errorf("%w: %d bytes, at most %d", secret.ErrTooLarge, len(data), MaxRecord)
	}
	return checkKey(key)
}

// checkDelete refuses an empty ETag: a record is removed only as it was read.
func checkDelete(key, etag string) error {
	if etag == "" {
		return fmt.Errorf("%w: no etag", secret.ErrInvalid)
	}
	return checkKey(key)
}

func checkPrefix(prefix string) error {
	if len(prefix) > maxKey || !keyBytes(prefix) {
		return fmt.Errorf("%w: a prefix is up to %d bytes of a-z, 0-9, '/', '.', '_', '-'", secret.ErrInvalid, maxKey)
	}
	return nil
}
