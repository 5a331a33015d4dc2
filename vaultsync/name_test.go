package vaultsync

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyferry/keyferry/secret"
)

func TestComputeName(t *testing.T) {
	long := strings.Repeat("abcdefghi/", 20)
	for _, c := range []struct{ path, want string }{
		{"webapp/prod/db-password", "webapp-prod-db-password"},
		{"webapp/prod/DB_PASSWORD", "webapp-prod-DB-PASSWORD"},
		{"a//b", "a-b"},
		{"a--b", "a-b"},
		{"-a-", "a"},
		{"a b%2Fc", "a-b-2Fc"},
		{"café/clé", "caf-cl"},
		{"日本", ""},
		{"...", ""},
		{"", ""},
		{"9", "9"},
		{strings.Repeat("x", 127), strings.Repeat("x", 127)},
		{long, strings.TrimRight(strings.ReplaceAll(long, "/", "-")[:118], "-") + "-77f044eb"},
	} {
		if got := ComputeName(c.path); got != c.want {
			t.Errorf("ComputeName(%q) = %q, want %q", c.path, got, c.want)
		}
	}
}

func FuzzComputeName(f *testing.F) {
	f.Add("webapp/prod/db-password")
	f.Add(strings.Repeat("é/", 200))
	f.Add("a\x00\xff\xfe--b")
	f.Fuzz(func(t *testing.T, path string) {
		name := ComputeName(path)
		if name != "" && !secret.ValidName(name) {
			t.Errorf("%q is not a name Key Vault takes", name)
		}
		if strings.Contains(name, "--") || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
			t.Errorf("%q is not collapsed and trimmed; -- is kept for ourselves", name)
		}
		if again := ComputeName(path); again != name {
			t.Errorf("the second time it is %q, not %q", again, name)
		}
	})
}

func entriesAt(rule *Rule, paths ...string) []Entry {
	var out []Entry
	for _, p := range paths {
		m := Mount{Path: "secret", Version: 2}
		out = append(out, Entry{Rule: rule, Mount: m, Path: p, Ref: secret.EncodePath(m.Path, p, "")})
	}
	return out
}

func TestNameAll(t *testing.T) {
	ref := func(p string) string { return secret.EncodePath("secret", p, "") }
	suffixed := func(p string) string { return withSuffix(ComputeName(p), ref(p)) }
	for _, c := range []struct {
		what  string
		rule  Rule
		paths []string
		held  map[string]string // folded name -> ref
		want  []string          // "!" stands for refused
	}{
		{what: "no collision", paths: []string{"a/b", "a/c"}, want: []string{"a-b", "a-c"}},
		{what: "three spellings of one name: nobody holds it, none is written",
			paths: []string{"a/b-c", "a-b/c", "a_b/c"}, want: []string{"!", "!", "!"}},
		{what: "case alone does not tell names apart", paths: []string{"UP", "up"}, want: []string{"!", "!"}},
		{what: "two normal forms of one letter", paths: []string{"x/é", "x/e\u0301"}, want: []string{"x", "x-e"}},
		{what: "the holder keeps the name and newcomers are refused", paths: []string{"a/b", "a-b"},
			held: map[string]string{"a-b": ref("a/b")}, want: []string{"a-b", "!"}},
		{what: "suffix: nobody holds it, each gets one", rule: Rule{OnCollision: CollisionSuffix},
			paths: []string{"a/b", "a-b"}, want: []string{suffixed("a/b"), suffixed("a-b")}},
		{what: "suffix: the holder keeps the plain name", rule: Rule{OnCollision: CollisionSuffix},
			paths: []string{"a/b", "a-b"}, held: map[string]string{"a-b": ref("a-b")}, want: []string{suffixed("a/b"), "a-b"}},
		{what: "suffix: who holds a suffixed name keeps it when the rival is gone", rule: Rule{OnCollision: CollisionSuffix},
			paths: []string{"a/b"}, held: map[string]string{secret.FoldName(suffixed("a/b")): ref("a/b")}, want: []string{suffixed("a/b")}},
		{what: "a map entry is a name like any other", rule: Rule{Map: map[string]string{"x": "a-b"}},
			paths: []string{"x", "a/b"}, want: []string{"!", "!"}},
		{what: "a map entry solves a collision", rule: Rule{Map: map[string]string{"a-b": "other"}},
			paths: []string{"a/b", "a-b"}, want: []string{"a-b", "other"}},
		{what: "nothing left of the path", paths: []string{"日本"}, want: []string{"!"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			entries := entriesAt(&c.rule, c.paths...)
			nameAll(entries, func(name string) ident { return ident{DefaultSource, c.held[secret.FoldName(name)]} })
			var got []string
			for _, e := range entries {
				if e.Fault != "" {
					got = append(got, "!")
				} else {
					got = append(got, e.Name)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// Names are unique up to case, do not depend on the order of the walk, and stay with who holds them.
func TestNamesAreStableAndUnique(t *testing.T) {
	segment := rapid.StringMatching(`[aAbB_.é -]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{OnCollision: rapid.SampledFrom([]Collision{CollisionRefuse, CollisionSuffix}).Draw(t, "onCollision")}
		paths := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
		}), 1, 12, rapid.ID[string]).Draw(t, "paths")
		held := map[string]string{}
		name := func(paths []string) map[string]string {
			entries := entriesAt(&rule, paths...)
			rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
			nameAll(entries, func(n string) ident { return ident{DefaultSource, held[secret.FoldName(n)]} })
			names, seen := map[string]string{}, map[string]string{}
			for _, e := range entries {
				if e.Fault != "" {
					continue
				}
				names[e.Path] = e.Name
				if other, taken := seen[secret.FoldName(e.Name)]; taken {
					t.Fatalf("%q and %q are both called %q", e.Path, other, e.Name)
				}
				seen[secret.FoldName(e.Name)] = e.Path
			}
			return names
		}
		first := name(paths)
		if again := name(paths); fmt.Sprint(first) != fmt.Sprint(again) {
			t.Fatalf("another order of the walk gives other names: %v, %v", first, again)
		}
		for path, n := range first {
			held[secret.FoldName(n)] = secret.EncodePath("secret", path, "")
		}
		more := append(paths, rapid.SliceOfN(segment, 0, 4).Draw(t, "newcomers")...)
		slices.Sort(more)
		later := name(slices.Compact(more))
		for path, n := range first {
			if later[path] != n {
				t.Fatalf("%q was called %q and is %q after others came", path, n, later[path])
			}
		}
	})
}
