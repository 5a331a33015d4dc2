package vaultsync_test

import (
	"strings"
	"testing"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

func suffix(r *vaultsync.Rule) { r.OnCollision = vaultsync.CollisionSuffix }

// TestCollisionsAreRefused: of paths that want one name nobody gets it, and all others are copied.
func TestCollisionsAreRefused(t *testing.T) {
	for what, family := range map[string][]string{
		"separators":       {"a/b-c", "a-b/c", "a_b/c", "a.b c"},
		"case":             {"app/DB", "app/db", "App/Db"},
		"spaces":           {"app/db", "app/db ", "app/ db"},
		"percent":          {"app/50%", "app/50"},
		"unicode":          {"caf\u00e9", "caf", "cafe\u0301"}, // composed: caf, decomposed: cafe
		"a long tail":      {strings.Repeat("x", 127), strings.Repeat("x", 127) + "-"},
		"folder and name":  {"app/db", "app-db"},
		"a mark in a word": {"p@ss", "p-ss"},
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				m.put("alone", `{"a":"1"}`)
				rivals := map[string]int{}
				for _, path := range family {
					m.put(path, `{"a":"`+vaultsync.ComputeName(path)+`"}`)
					rivals[secret.FoldName(vaultsync.ComputeName(path))]++
				}
				want := []string{}
				for _, path := range family {
					name := vaultsync.ComputeName(path)
					if rivals[secret.FoldName(name)] > 1 {
						want = append(want, "conflict "+name+" name-collision")
					} else {
						want = append(want, "create "+name+" new")
					}
				}
				want = append(want, "create alone new")
				r.wantsUnordered(r.plan(nil), want)
				r.wantsUnordered(r.sync(nil), want)
				r.settled()
				for name, n := range rivals {
					if _, there := r.store.Secret(name); there != (n == 1) {
						t.Errorf("%s is in Key Vault: %v, wanted by %d", name, there, n)
					}
				}
			})
		})
	}
}

// TestHolderKeepsItsName: who had the name first stays in sync; the newcomer is refused until the holder is proven gone.
func TestHolderKeepsItsName(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a/b", `{"password":"one"}`)
		r.sync(nil)
		m.put("a-b", `{"password":"newcomer"}`)
		m.put("a/b", `{"password":"two"}`)
		r.wants(r.sync(nil), "conflict a-b name-collision", "update a-b source-changed")
		r.holds("a-b", "two", 2)
		m.wipe("a/b")
		r.wants(r.sync(nil), "update a-b source-changed")
		r.holds("a-b", "newcomer", 3)
	})
}

// TestSuffixOnCollision: where the rule says so, newcomers get a suffix that never changes again, whoever comes and
// goes.
func TestSuffixOnCollision(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, suffix)
		m.put("a/b", `{"password":"held"}`)
		r.sync(nil)
		m.put("a-b", `{"password":"first"}`)
		m.put("a_b", `{"password":"second"}`)
		report := r.sync(nil)
		if got := lines(report); len(got) != 3 || got[2] != "unchanged 1" {
			t.Fatalf("the newcomers: %q", got)
		}
		r.holds("a-b", "held", 1)
		names := map[string]string{}
		for _, item := range report.Items {
			names[item.Source] = item.Name
			if item.Verb != vaultsync.Create || !strings.HasPrefix(item.Name, "a-b-") {
				t.Errorf("%s %s, want a name with a suffix", item.Verb, item.Name)
			}
		}
		r.holds(names[m.path+"/a-b"], "first", 1)
		r.holds(names[m.path+"/a_b"], "second", 1)
		r.settled()

		m.wipe("a/b")
		m.wipe("a_b")
		m.put("a-b", `{"password":"changed"}`)
		r.wants(r.sync(nil), "skip a-b source-deleted", "skip "+names[m.path+"/a_b"]+" source-deleted",
			"update "+names[m.path+"/a-b"]+" source-changed")
		r.holds(names[m.path+"/a-b"], "changed", 2)
		r.holds("a-b", "held", 1)
		r.settled()
	})
}

// TestSuffixFromTheStart: where nobody holds the name and all may have a suffix, all get one.
func TestSuffixFromTheStart(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(1, suffix)
		m.put("UP", `{"password":"upper"}`)
		m.put("up", `{"password":"lower"}`)
		report := r.sync(nil)
		if report.Counts[vaultsync.Create] != 2 {
			t.Fatalf("got %q", lines(report))
		}
		for _, item := range report.Items {
			if secret.SameName(item.Name, "up") {
				t.Errorf("%s got the plain name", item.Source)
			}
		}
		r.settled()
	})
}

// TestCollisionAcrossRules: names are one for the whole scope, also over mounts, versions and rules, and whatever part
// of it a run was asked for.
func TestCollisionAcrossRules(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one, two := r.mount(1), r.mount(2)
		one.put("app/db", `{"password":"one"}`)
		two.put("app/db", `{"password":"two"}`)
		for _, scope := range []vaultsync.Scope{{Rule: "rule-1"}, {Prefix: two.path + "/app"}} {
			report, err := r.engine().Sync(t.Context(), scope)
			r.ended(err, nil)
			r.wants(report, "conflict app-db name-collision")
			other := map[bool]string{true: two.path, false: one.path}[scope.Rule != ""]
			if text := report.Items[0].Text; !strings.Contains(text, other+"/app/db") {
				t.Errorf("the line does not name the rival: %s", text)
			}
		}
		r.rules[0].Map = map[string]string{"app/db": "old-db"}
		r.wants(r.sync(nil), "create app-db new", "create old-db new")
		r.holds("app-db", "two", 1)
		r.holds("old-db", "one", 1)
	})
}

// TestNamesThatCannotBe: no letter or digit, or more of them than fit.
func TestNamesThatCannotBe(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		long := strings.Repeat("long/", 60) + "x"
		m.put("日本", `{"a":"1"}`)
		m.put(long, `{"a":"2"}`)
		name := vaultsync.ComputeName(long)
		if len(name) != secret.MaxName {
			t.Fatalf("the name has %d characters", len(name))
		}
		r.wants(r.sync(nil), "conflict "+m.path+"/日本 name-empty", "create "+name+" new")
		r.holds(name, "2", 1)
		r.rules[0].Map = map[string]string{"日本": "japan"}
		r.wants(r.sync(nil), "create japan new", "unchanged 1")
		r.settled()
	})
}

// foreign is a secret that somebody else made.
func foreign(name string) kvemulator.Secret {
	return kvemulator.Secret{Name: name, Versions: []kvemulator.Version{{Value: "theirs"}}}
}
