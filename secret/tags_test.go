package secret_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
)

func TestOwnTags(t *testing.T) {
	seen := map[string]bool{}
	for _, tag := range secret.OwnTags() {
		if seen[tag] || !secret.IsOwnTag(tag) || !secret.IsOwnTag(strings.ToUpper(tag)) {
			t.Errorf("tag %q stands twice, or is not known as our own whatever its case", tag)
		}
		seen[tag] = true
	}
	if len(seen) > secret.MaxTags {
		t.Errorf("%d tags of ours do not fit into %d", len(seen), secret.MaxTags)
	}
	if secret.IsOwnTag("owner") || secret.IsOwnTag("") {
		t.Error("a foreign tag is taken for ours")
	}
	secret.OwnTags()[0] = "changed"
	if secret.OwnTags()[0] == "changed" {
		t.Error("the caller of OwnTags can change the list")
	}
}

func TestEncodePath(t *testing.T) {
	for _, c := range []struct{ mount, path, key, want string }{
		{"secret", "webapp/prod/db", "", "secret/webapp/prod/db"},
		{"secret/", "webapp", "password", "secret/webapp#password"},
		{"team/kv", "a", "", "team/kv/a"},
		{"secret", "odd#path", "", "secret/odd%23path"},
		{"secret", "odd", "path", "secret/odd#path"},
		{"secret", "100%", "k#1", "secret/100%25#k%231"},
		{"secret", "100%25", "", "secret/100%2525"},
		{"secret", "grüße/a b", "ß", "secret/grüße/a b#ß"},
	} {
		if got := secret.EncodePath(c.mount, c.path, c.key); got != c.want {
			t.Errorf("EncodePath(%q, %q, %q) = %q, want %q", c.mount, c.path, c.key, got, c.want)
		}
	}
}

func TestEncodePathKeepsLongPathsApart(t *testing.T) {
	long := strings.Repeat("segment/", 40)
	a, b := secret.EncodePath("secret", long+"a", ""), secret.EncodePath("secret", long+"b", "")
	if a == b || len(a) > secret.MaxTagValue || len(b) > secret.MaxTagValue {
		t.Errorf("two paths of 321 bytes become %q and %q", a, b)
	}
}

// FuzzEncodePath proves that no two places of a mount share a tag, by decoding what was encoded.
func FuzzEncodePath(f *testing.F) {
	f.Add("webapp/prod", "password")
	f.Add("a#b", "")
	f.Add("a%23b", "c%")
	f.Add("\xff\x80", "\x00")
	f.Add(strings.Repeat("ü", 300), "k")
	f.Fuzz(func(t *testing.T, path, key string) {
		tag := secret.EncodePath("secret", path, key)
		if len(tag) > secret.MaxTagValue {
			t.Fatalf("%d bytes do not fit into a tag", len(tag))
		}
		if utf8.ValidString(path) && utf8.ValidString(key) && !utf8.ValidString(tag) {
			t.Fatalf("%q is cut inside a character", tag)
		}
		if unescaped := strings.NewReplacer("%", "%25", "#", "%23").Replace(path + key); len("secret/")+len(unescaped)+1 > secret.MaxTagValue {
			return // shortened: kept apart by a hash
		}
		rest, ok := strings.CutPrefix(tag, "secret/")
		gotPath, gotKey, _ := strings.Cut(rest, "#")
		unescape := strings.NewReplacer("%25", "%", "%23", "#").Replace
		if !ok || unescape(gotPath) != path || unescape(gotKey) != key {
			t.Fatalf("EncodePath(%q, %q) = %q, which means %q, %q", path, key, tag, unescape(gotPath), unescape(gotKey))
		}
	})
}

func TestShorten(t *testing.T) {
	for _, s := range []string{"", "a", strings.Repeat("a", 64)} {
		if got := secret.Shorten(s, 64); got != s {
			t.Errorf("%d bytes fit into 64, but became %q", len(s), got)
		}
	}
	long := []string{strings.Repeat("a", 65), strings.Repeat("a", 66), strings.Repeat("ü", 40), strings.Repeat("日", 30),
		strings.Repeat("👩‍🚀", 10), "x" + strings.Repeat("👩‍🚀", 10)}
	seen := map[string]bool{}
	for _, s := range long {
		got := secret.Shorten(s, 64)
		head, _, _ := strings.Cut(got, "~")
		if len(got) > 64 || !utf8.ValidString(got) || !strings.HasPrefix(s, head) || len(head) < 64-17-3 || seen[got] {
			t.Errorf("Shorten(%q) = %q", s, got)
		}
		seen[got] = true
	}
}

func TestState(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	want := secret.State{Print: "0aZ9", Written: at}
	got, err := secret.ParseState(want.String())
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("ParseState(%q) = %v, %v", want, got, err)
	}
	for _, bad := range []string{"", ".", "abc", "abc.", ".1", "a b.1", "a-b.1", "abc.x", "abc.-1", "abc.1.2", "abc.99999999999999999999",
		strings.Repeat("a", 65) + ".1", "abc.1 "} {
		if got, err := secret.ParseState(bad); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("ParseState(%q) = %v, %v, want invalid", bad, got, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add("0aZ9.1772600767")
	f.Add("a.9223372036854775807")
	f.Add("a.+7")
	f.Fuzz(func(t *testing.T, tag string) {
		s, err := secret.ParseState(tag)
		if err != nil {
			return
		}
		again, err := secret.ParseState(s.String())
		if err != nil || again.Print != s.Print || !again.Written.Equal(s.Written) {
			t.Fatalf("%q is %v, which is written %q and read %v, %v", tag, s, s.String(), again, err)
		}
	})
}

func TestRotationState(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, want := range []secret.RotationState{
		{ID: "a1", From: "b2", At: at},
		{ID: "a1", From: "b2", At: at, Credential: "key-1"},
		{ID: "a1", From: "b2", At: at, Credential: "with.dots"},
	} {
		got, err := secret.ParseRotationState(want.String())
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("ParseRotationState(%q) = %v, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "a.b", "a.b.", "a..1", ".b.1", "a.b.c", "a.b.-1", "a.b.1.", "a b.c.1", "a-b.c.1"} {
		if got, err := secret.ParseRotationState(bad); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("ParseRotationState(%q) = %v, %v, want invalid", bad, got, err)
		}
	}
}

func TestRotationStateFitsIntoATag(t *testing.T) {
	id := strings.Repeat("f", 32)
	s := secret.RotationState{ID: id, From: id, At: time.Now(), Credential: strings.Repeat("c", 128)}
	if n := len(s.String()); n > secret.MaxTagValue {
		t.Errorf("it takes %d bytes", n)
	}
}

func FuzzParseRotationState(f *testing.F) {
	f.Add("a1.b2.1772600767")
	f.Add("a1.b2.1772600767.key.1")
	f.Add("a.b.9223372036854775807")
	f.Fuzz(func(t *testing.T, tag string) {
		s, err := secret.ParseRotationState(tag)
		if err != nil {
			return
		}
		again, err := secret.ParseRotationState(s.String())
		if err != nil || again.ID != s.ID || again.From != s.From || again.Credential != s.Credential || !again.At.Equal(s.At) {
			t.Fatalf("%q is %v, which is read back as %v, %v", tag, s, again, err)
		}
	})
}

func TestErrorsOfCodecsDoNotRepeatTheTag(t *testing.T) {
	const typed = "hunter2 somebody typed here"
	_, a := secret.ParseState(typed)
	_, b := secret.ParseRotationState(typed)
	if s := fmt.Sprint(a, b); strings.Contains(s, "hunter2") {
		t.Errorf("the error shows what a person typed: %q", s)
	}
}
