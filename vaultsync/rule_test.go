package vaultsync

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
)

func TestRuleSelects(t *testing.T) {
	for _, c := range []struct {
		what     string
		include  []string
		exclude  []string
		path     string
		selected bool
	}{
		{"everything by default", nil, nil, "a/b", true},
		{"a folder and below", []string{"webapp/**"}, nil, "webapp/prod/db", true},
		{"one level only", []string{"webapp/*"}, nil, "webapp/prod/db", false},
		{"another folder", []string{"webapp/**"}, nil, "webapp2/db", false},
		{"exclude wins", []string{"webapp/**"}, []string{"**/scratch/**"}, "webapp/scratch/x", false},
		{"exclude alone", nil, []string{"tmp-*"}, "tmp-1", false},
		{"alternatives", []string{"{a,b}/**"}, nil, "b/x", true},
		{"odd characters are only characters", []string{"webapp/**"}, nil, "webapp/a b%2F[x]", true},
		{"case counts", []string{"webapp/**"}, nil, "Webapp/x", false},
	} {
		r := Rule{Include: c.include, Exclude: c.exclude}
		if got := r.selects(c.path); got != c.selected {
			t.Errorf("%s: %q selected = %t", c.what, c.path, got)
		}
	}
}

func TestBasesCoverWhatRulesSelect(t *testing.T) {
	for _, c := range []struct {
		include [][]string // of each rule
		want    []string
	}{
		{[][]string{nil}, []string{""}},
		{[][]string{{"webapp/**"}}, []string{"webapp/"}},
		{[][]string{{"webapp/prod/**", "webapp/test/*"}}, []string{"webapp/prod/", "webapp/test/"}},
		{[][]string{{"webapp/**"}, {"webapp/prod/**"}}, []string{"webapp/"}},
		{[][]string{{"webapp/**"}, {"webapp/**"}}, []string{"webapp/"}},
		{[][]string{{"webapp/prod/db"}}, []string{"webapp/prod/"}},
		{[][]string{{"web*/**"}, {"x/**"}}, []string{""}},
	} {
		m := mountRules{}
		for _, in := range c.include {
			m.rules = append(m.rules, &Rule{Include: in})
		}
		if got := m.bases(DefaultDestination); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.include, got, c.want)
		}
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	negative := -time.Hour
	err := Settings{Rules: []Rule{
		{},
		{Name: "a", Mount: "/"},
		{Name: "a", Mount: "secret", As: "keys", OnCollision: "steal", OnDelete: "purge", OnConflict: "me", OnDestinationRemoved: "x", NameAs: "{{.Nope}}", Expiry: &negative, Include: []string{"[a"},
			Map: map[string]string{"x": "a--b"}, Metadata: []string{"Vault-Path"}, Rotation: Rotation{Days: 9}},
	}}.Validate()
	if !errors.Is(err, secret.ErrUsage) {
		t.Fatalf("got %v, want secret.ErrUsage", err)
	}
	for _, want := range []string{
		"sync.rules[0]: name is missing", "sync.rules[0]: mount is missing", `"a": mount is missing`, "used twice",
		"as is auto", "onCollision is", "onDelete is", "onConflict is", "onDestinationRemoved is", "name: the template", "expiry is negative", "not a glob", `the name "a--b"`, "a tag of Keyferry", "needs a type",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
	if err := (Settings{Rules: []Rule{{Name: "a", Mount: "secret"}}}).Validate(); err != nil {
		t.Errorf("the smallest rule is refused: %v", err)
	}
}

func TestWantTags(t *testing.T) {
	many := map[string]string{}
	for _, k := range strings.Split("abcdefghijklmnop", "") {
		many[k] = "foreign"
	}
	e := copyOf(2).entry
	e.Rule = &Rule{Name: "r", Metadata: []string{"owner", "a", secret.TagAuthority}, Rotation: Rotation{Type: "generated"}}
	s := stamp{field: strings.Repeat("f", 300), version: 3, state: secret.State{Print: "p", Written: noon}, hash: "h", migrated: "2026-02-28"}
	tags, dropped := wantTags(e, s, many, map[string]string{"owner": strings.Repeat("o", 300), "a": "copied", secret.TagAuthority: "me"})
	if len(tags) != secret.MaxTags {
		t.Errorf("%d tags, want %d", len(tags), secret.MaxTags)
	}
	for _, k := range []string{secret.TagMigratedFrom, secret.TagVaultPath, secret.TagVaultState, secret.TagVaultHash, secret.TagAuthority, secret.TagRotationType} {
		if tags[k] == "" {
			t.Errorf("tag %s was dropped before foreign ones", k)
		}
	}
	if tags[secret.TagAuthority] != secret.AuthorityVault {
		t.Errorf("custom_metadata set %s to %q", secret.TagAuthority, tags[secret.TagAuthority])
	}
	for k, v := range tags {
		if len(v) > secret.MaxTagValue {
			t.Errorf("tag %s has %d bytes", k, len(v))
		}
	}
	if !slices.Contains(dropped, "owner") || len(dropped)+len(tags) != 9+15+2 {
		t.Errorf("%d tags and %q dropped: some went without a word", len(tags), dropped)
	}
	again, _ := wantTags(e, s, many, map[string]string{"owner": strings.Repeat("o", 300), "a": "copied"})
	if !maps.Equal(tags, again) {
		t.Error("the same input gives other tags")
	}
}

func TestWantExpiry(t *testing.T) {
	zero, month := time.Duration(0), 30*day
	e := func(r Rule) Entry { return Entry{Rule: &r, Ref: "secret/db"} }
	for _, c := range []struct {
		what     string
		rule     Rule
		state    State
		has      time.Time
		from, to time.Duration // from now
	}{
		{"new: a year less a spread", Rule{}, State{}, time.Time{}, 305 * day, 365 * day},
		{"far ahead stays", Rule{}, State{}, noon.Add(100 * day), 100 * day, 100 * day},
		{"low moves on", Rule{}, State{}, noon.Add(44 * day), 305 * day, 365 * day},
		{"past moves on", Rule{}, State{}, noon.Add(-day), 305 * day, 365 * day},
		{"short life is not always low", Rule{Expiry: &month}, State{}, noon.Add(20 * day), 20 * day, 20 * day},
		{"short life moves on at half", Rule{Expiry: &month}, State{}, noon.Add(14 * day), 22 * day, 30 * day},
		{"the rule got shorter", Rule{Expiry: &month}, State{}, noon.Add(300 * day), 22 * day, 30 * day},
		{"zero keeps what a hand set", Rule{Expiry: &zero}, State{}, noon.Add(day), day, day},
		{"Vault deletes it sooner", Rule{}, State{Deletion: noon.Add(9 * day)}, noon.Add(100 * day), 9 * day, 9 * day},
		{"to be rotated: the rotation's validity", Rule{Rotation: Rotation{Type: "generated"}}, State{}, time.Time{}, 90 * day, 90 * day},
		{"to be rotated: its own", Rule{Rotation: Rotation{Type: "generated", Days: 7}}, State{}, time.Time{}, 7 * day, 7 * day},
		{"to be rotated: never moved on", Rule{Rotation: Rotation{Type: "generated"}}, State{}, noon.Add(day), day, day},
	} {
		got := wantExpiry(e(c.rule), c.state, c.has, noon).Sub(noon)
		if got < c.from || got > c.to {
			t.Errorf("%s: %v from now, want %v to %v", c.what, got, c.from, c.to)
		}
	}
	if none := wantExpiry(e(Rule{Expiry: &zero}), State{}, time.Time{}, noon); !none.IsZero() {
		t.Errorf("a rule with expiry 0 gives %v", none)
	}
	a, b := wantExpiry(Entry{Rule: &Rule{}, Ref: "a"}, State{}, time.Time{}, noon), wantExpiry(Entry{Rule: &Rule{}, Ref: "b"}, State{}, time.Time{}, noon)
	if a.Equal(b) {
		t.Error("two secrets copied at once expire at once")
	}
}
