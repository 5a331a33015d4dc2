package vaultsync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestNameTemplates: what a rule makes of the parts of a path.
func TestNameTemplates(t *testing.T) {
	for template, want := range map[string]string{
		"":                                 "app-prod-DB-pass",
		"{{.Path}}":                        "app-prod-DB-pass",
		"{{.Base | lower}}":                "db-pass",
		"{{.Dir}}-{{.Base | upper}}":       "app-prod-DB-PASS",
		"kv-{{.Source}}-{{.Path | lower}}": "kv-vault-app-prod-db-pass",
		`{{.Path | trimPrefix "app/" | replace "_" "x"}}`:          "prod-DBxpass",
		`{{.Path | trimSuffix "_pass"}}`:                           "app-prod-DB",
		`{{if eq .Dir "app/prod"}}p{{else}}other{{end}}-{{.Base}}`: "p-DB-pass",
	} {
		t.Run(template, func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2, func(rule *vaultsync.Rule) { rule.NameAs = template })
				m.put("app/prod/DB_pass", `{"password":"one"}`)
				r.wants(r.sync(nil), "create "+want+" new")
				r.settled()
			})
		})
	}
}

// TestNameOfMountAndField: the mount and the field can be part of a name.
func TestNameOfMountAndField(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey, func(rule *vaultsync.Rule) { rule.NameAs = "{{.Mount}}-{{.Base}}-{{.Key}}" })
		m.put("app/db", `{"user":"u"}`)
		r.wants(r.sync(nil), "create "+m.path+"-db-user new")
		r.settled()
	})
}

// TestTemplateThatGivesNothing: a name without letter or digit, and one that is too long.
func TestTemplateThatGivesNothing(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, func(rule *vaultsync.Rule) { rule.NameAs = `{{if eq .Base "none"}}--{{else}}{{.Path}}{{end}}` })
		m.put("none", `{"password":"one"}`)
		long := strings.Repeat("x", 300)
		m.put(long, `{"password":"one"}`)
		name := vaultsync.ComputeName(long)
		if len(name) > secret.MaxName {
			t.Fatalf("the name has %d characters", len(name))
		}
		r.wants(r.sync(nil), "conflict "+m.path+"/none name-empty", "create "+name+" new")
	})
}

// TestTemplateChange: other names are other secrets. The copies under the old names stay, are told, and hold nothing
// up; the old names back again, nothing is written twice.
func TestTemplateChange(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete))
		m.put("app/a", `{"password":"one"}`)
		m.put("app/b", `{"password":"one"}`)
		r.sync(nil)
		r.rules[0].NameAs = "new-{{.Path}}"
		want := []string{"skip app-a renamed", "skip app-b renamed"}
		r.wants(r.plan(nil), append([]string{"create new-app-a new", "create new-app-b new"}, want...)...)
		r.sync(nil)
		r.wants(r.sync(nil), append(want, "unchanged 2")...)
		m.put("app/a", `{"password":"two"}`)
		r.wants(r.sync(nil), append(append([]string{}, want...), "update new-app-a source-changed", "unchanged 1")...)
		r.holds("app-a", "one", 1)
		r.rules[0].NameAs = ""
		r.wants(r.sync(nil), "skip new-app-a renamed", "skip new-app-b renamed", "update app-a source-changed", "unchanged 1")
		r.holds("new-app-b", "one", 1)
		// when the source is gone, every copy of it is an orphan
		m.stays()
		m.wipe("app/b")
		r.wants(r.sync(nil), "create stays new", "delete app-b source-deleted", "delete new-app-b source-deleted", "skip new-app-a renamed", "unchanged 1")
	})
}

// TestMapWins: a name given by hand wins over template and path, and over the suffix of a collision.
func TestMapWins(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, suffix, func(rule *vaultsync.Rule) {
			rule.NameAs = "t-{{.Path}}"
			rule.Map = map[string]string{"a/b": "mine"}
		})
		m.put("a/b", `{"password":"one"}`)
		m.put("a-b", `{"password":"two"}`)
		r.wants(r.sync(nil), "create mine new", "create t-a-b new")
		r.rules[0].Map["a-b"] = "MINE"
		report := r.plan(nil)
		if got := strings.Join(lines(report), "; "); !strings.Contains(got, "create MINE-") || !strings.Contains(got, "skip t-a-b renamed") {
			t.Errorf("two paths mapped to one name: %s", got)
		}
	})
}

// TestTakeover: a name whose copy came from another path goes to the newcomer only when that path is proven gone, and
// not when somebody edited, disabled or cut the copy over.
func TestTakeover(t *testing.T) {
	for what, c := range map[string]struct {
		old  func(r *rig, m mount) // what becomes of the old path and its copy
		want string
		made int
	}{
		"gone":                {func(_ *rig, m mount) { m.wipe("a/b") }, "update a-b source-changed", 2},
		"soft-deleted":        {func(_ *rig, m mount) { m.remove("a/b") }, "conflict a-b name-collision", 1},
		"not selected":        {func(r *rig, _ mount) { r.rules[0].Exclude = []string{"a/**"} }, "conflict a-b other-path", 1},
		"its folder is sick":  {func(r *rig, _ mount) { r.toVault.meet(sickFolder("/a")) }, "conflict a-b other-path", 1},
		"gone, and edited":    {func(r *rig, m mount) { m.wipe("a/b"); r.set("a-b", "by hand", r.copied("a-b").Tags) }, "conflict a-b both-changed", 2},
		"gone, and disabled":  {func(r *rig, m mount) { m.wipe("a/b"); r.enable("a-b", false) }, "conflict a-b destination-disabled", 1},
		"gone, and cut over":  {func(r *rig, m mount) { m.wipe("a/b"); r.tag("a-b", secret.TagAuthority, secret.AuthorityKeyVault) }, "skip a-b late-write", 1},
		"gone, and removed":   {func(r *rig, m mount) { m.wipe("a/b"); r.sync(nil); r.stands("a-b", "disabled", true) }, "update a-b source-back", 2},
		"another mount's":     {func(r *rig, m mount) { m.disable(); m.enable(); m.stays() }, "conflict a-b other-path", 1},
		"its own source only": {func(r *rig, m mount) { m.wipe("a/b"); r.tag("a-b", secret.TagMigratedFrom, "another") }, "conflict a-b other-path", 1},
	} {
		t.Run(what, func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2, onDelete(vaultsync.DeleteDisable)).stays()
				m.put("a/b", `{"password":"old"}`)
				r.sync(nil)
				r.pass(time.Hour)
				c.old(r, m)
				m.put("a-b", `{"password":"new"}`)
				report, _, _ := r.engine().Plan(t.Context(), vaultsync.Scope{})
				if got := line(report, "a-b", m.path+"/a-b"); got != c.want {
					t.Errorf("the plan says %q, want %q", got, c.want)
				}
				report, _ = r.engine().Sync(t.Context(), vaultsync.Scope{})
				if got := line(report, "a-b", m.path+"/a-b"); got != c.want {
					t.Errorf("the sync says %q, want %q", got, c.want)
				}
				if n := r.versions("a-b"); n != c.made {
					t.Errorf("%d versions, want %d", n, c.made)
				}
			})
		})
	}
}

// line is what a report says of the secret of a name that comes from there.
func line(report *vaultsync.Report, name, source string) string {
	for _, i := range report.Items {
		if i.Name == name && i.Source == source {
			return string(i.Verb) + " " + i.Name + " " + string(i.Reason)
		}
	}
	return ""
}
