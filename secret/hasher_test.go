package secret_test

import (
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

func TestHasher(t *testing.T) {
	key, value := secret.NewHashKey(), secret.New(content)
	h := secret.NewHasher("v1", key)
	sum := h.Sum(value)
	switch {
	case len(sum) > secret.MaxTagValue:
		t.Errorf("a sum of %d bytes does not fit into a tag", len(sum))
	case sum != h.Sum(secret.New(content)):
		t.Error("equal values have different sums")
	case sum == h.Sum(secret.New(content+"x")):
		t.Error("different values have one sum")
	case !strings.HasPrefix(sum, "v1."):
		t.Errorf("%q does not name the version of the key", sum)
	}
	mustNotHold(t, "the sum", sum)

	other, zero := secret.NewHasher("v1", secret.NewHashKey()), secret.Hasher{}
	for _, c := range []struct {
		name           string
		h              secret.Hasher
		sum            string
		v              secret.Value
		knows, matches bool
	}{
		{"same key, same value", h, sum, value, true, true},
		{"same key, other value", h, sum, secret.New("x"), true, false},
		{"other key of the same version", other, sum, value, true, false},
		{"other version", secret.NewHasher("v2", key), sum, value, false, false},
		{"not a sum", h, "v1", value, false, false},
		{"no sum", h, "", value, false, false},
		{"zero Hasher", zero, sum, value, false, false},
		{"zero Hasher, sum without a version", zero, ".x", value, false, false},
	} {
		if c.h.Knows(c.sum) != c.knows || c.h.Matches(c.sum, c.v) != c.matches {
			t.Errorf("%s: Knows %v, Matches %v, want %v, %v", c.name, c.h.Knows(c.sum), c.h.Matches(c.sum, c.v), c.knows, c.matches)
		}
	}
}

func TestHashKeyIsRandom(t *testing.T) {
	a, b := secret.NewHashKey(), secret.NewHashKey()
	if a.Equal(b) || a.Len() < 43 {
		t.Error("two keys are equal, or a key has fewer than 256 bits")
	}
}
