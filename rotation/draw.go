package rotation

import (
	"errors"
	"fmt"
	"io"
)

// draw takes uniform numbers from a source of random bytes.
type draw struct {
	from io.Reader
	buf  [64]byte
	left []byte
}

// below returns a number from 0 to n-1, each equally likely; n is 1 to 256. Bytes beyond the largest multiple of n are
// thrown away, because folding them in would favour the small numbers.
func (d *draw) below(n int) (int, error) {
	fair := 256 - 256%n
	for range 1000 { // a byte is fair with a chance above one half
		if len(d.left) == 0 {
			if _, err := io.ReadFull(d.from, d.buf[:]); err != nil {
				return 0, fmt.Errorf("read randomness: %w", err)
			}
			d.left = d.buf[:]
		}
		b := int(d.left[0])
		d.left = d.left[1:]
		if b < fair {
			return b % n, nil
		}
	}
	return 0, errors.New("read randomness: the source repeats itself")
}
