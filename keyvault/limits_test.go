package keyvault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
)

func TestDraftsAreCheckedBeforeTheCall(t *testing.T) {
	tags := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("tag", i)] = strings.Repeat("ä", secret.MaxTagValue)
		}
		return m
	}
	text := func(n int) secret.Value { return secret.New(strings.Repeat("x", n)) }
	for _, c := range []struct {
		what  string
		name  string
		draft secret.Draft
		want  error
	}{
		{"as long as can be", strings.Repeat("n", secret.MaxName), secret.Draft{Value: text(secret.MaxValue), ContentType: strings.Repeat("c", secret.MaxContentType), Tags: tags(secret.MaxTags)}, nil},
		{"one byte", "n", secret.Draft{Value: text(1)}, nil},
		{"no value", "n", secret.Draft{}, secret.ErrInvalid},
		{"empty value", "n", secret.Draft{Value: text(0)}, secret.ErrInvalid},
		{"a byte too many", "n", secret.Draft{Value: text(secret.MaxValue + 1)}, secret.ErrTooLarge},
		{"not UTF-8", "n", secret.Draft{Value: secret.New("a\xff")}, secret.ErrInvalid},
		{"no name", "", secret.Draft{Value: text(1)}, secret.ErrInvalid},
		{"a name Key Vault refuses", "a/b", secret.Draft{Value: text(1)}, secret.ErrInvalid},
		{"long name", strings.Repeat("n", secret.MaxName+1), secret.Draft{Value: text(1)}, secret.ErrInvalid},
		{"long content type", "n", secret.Draft{Value: text(1), ContentType: strings.Repeat("c", secret.MaxContentType+1)}, secret.ErrInvalid},
		{"sixteen tags", "n", secret.Draft{Value: text(1), Tags: tags(secret.MaxTags + 1)}, secret.ErrInvalid},
		{"long tag", "n", secret.Draft{Value: text(1), Tags: map[string]string{"t": strings.Repeat("x", secret.MaxTagValue+1)}}, secret.ErrInvalid},
		{"tag without a name", "n", secret.Draft{Value: text(1), Tags: map[string]string{"": "x"}}, secret.ErrInvalid},
		{"expiry before 1970", "n", secret.Draft{Value: text(1), Expires: time.Unix(-1, 0)}, secret.ErrInvalid},
	} {
		if err := checkDraft(c.name, c.draft); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

func TestPatchesAreCheckedBeforeTheCall(t *testing.T) {
	long, zero, on := strings.Repeat("c", secret.MaxContentType+1), time.Time{}, true
	for _, c := range []struct {
		what  string
		patch secret.Patch
		want  error
	}{
		{"nothing to do", secret.Patch{}, secret.ErrInvalid},
		{"no tags any more", secret.Patch{Tags: map[string]string{}}, nil},
		{"enable", secret.Patch{Enabled: &on}, nil},
		{"long content type", secret.Patch{ContentType: &long}, secret.ErrInvalid},
		{"take the expiry back", secret.Patch{Expires: &zero}, secret.ErrInvalid},
	} {
		if err := checkPatch(c.patch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

// An id is the server's word, and the SDK panics on some.
func FuzzSplitID(f *testing.F) {
	for _, id := range []string{
		"https://kv1.vault.azure.net/secrets/a/0123456789abcdef0123456789abcdef",
		"https://kv1.vault.azure.net:443/secrets/a-B-9",
		"https://kv1.vault.azure.net/secrets", "https://kv1.vault.azure.net/keys/a/b", "/secrets/a/b/c", "", "::",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		name, version, ok := splitID(id)
		if ok != (name != "") || ok && !secret.ValidName(name) || version != "" && !validVersion(version) {
			t.Errorf("%q: name %q, version %q, %v", id, name, version, ok)
		}
	})
}
