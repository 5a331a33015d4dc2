package rotation

import (
	"strings"
	"testing"
	"time"
)

func TestSettingsValidate(t *testing.T) {
	good := Target{Name: "random", Type: "generated", Secrets: []string{"app-*"}}
	with := func(change func(*Target)) Settings {
		target := good
		change(&target)
		return Settings{Targets: []Target{target}}
	}
	for _, c := range []struct {
		name     string
		settings Settings
		faults   []string // words of the error; none: valid
	}{
		{"the zero settings", Settings{}, nil},
		{"all set", Settings{Validity: 60 * day, RotateBefore: 10 * day, MinAge: time.Minute, Targets: []Target{good}}, nil},
		{"validity of an hour", Settings{Validity: time.Hour}, []string{"rotation.validity"}},
		{"validity of eleven years", Settings{Validity: 11 * 365 * day}, []string{"rotation.validity"}},
		{"negative times", Settings{Validity: -1, RotateBefore: -1, MinAge: -1}, []string{"rotation.validity", "rotation.rotateBefore", "rotation.minAge"}},
		{"a target that lists nothing", with(func(t *Target) { t.Secrets = nil }), []string{"rotation.targets[0].secrets: a target lists"}},
		{"an empty name in the list", with(func(t *Target) { t.Secrets = []string{""} }), []string{"targets[0].secrets"}},
		{"a broken glob", with(func(t *Target) { t.Secrets = []string{"app-[a"} }), []string{`"app-[a"`}},
		{"a glob broken behind its beginning", with(func(t *Target) { t.Secrets = []string{"a*b["} }), []string{`"a*b["`}},
		{"no name", with(func(t *Target) { t.Name = "" }), []string{"targets[0].name"}},
		{"a name with a slash", with(func(t *Target) { t.Name = "a/b" }), []string{"targets[0].name"}},
		{"no type", with(func(t *Target) { t.Type = "" }), []string{"targets[0].type"}},
		{"manual is no rotator", with(func(t *Target) { t.Type = "manual" }), []string{"targets[0].type"}},
		{"validity of a target", with(func(t *Target) { t.Validity = 1 }), []string{"targets[0].validity"}},
		{"a window that is none", with(func(t *Target) { t.Window = "at night" }), []string{"targets[0].window"}},
		{"a format that is none", with(func(t *Target) { t.Format = "xml" }), []string{"targets[0].format"}},
		{"an admin secret of ours", with(func(t *Target) { t.Admin.Secret = "keyferry--hash-key" }), []string{"targets[0].admin.secret"}},
		{"an admin without a secret", with(func(t *Target) { t.Admin.User = "root" }), []string{"targets[0].admin.secret"}},
		{"an admin", with(func(t *Target) { t.Admin = Admin{Secret: "db-admin", User: "root", Format: "url"} }), nil},
		{"grace of less than nothing", with(func(t *Target) { t.Grace = -1 }), []string{"targets[0].grace"}},
		{"write-back and no write-back", with(func(t *Target) { t.WriteBack, t.BeforeCutover = true, true }), []string{"targets[0].writeBack"}},
		{"two targets of one name", Settings{Targets: []Target{good, good}}, []string{`targets[1].name: "random" stands twice`}},
		{"every fault at once", Settings{Validity: 1, Targets: []Target{{}, {Name: "X"}}},
			[]string{"rotation.validity", "targets[0].name", "targets[0].type", "targets[0].secrets", "targets[1].name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.settings.Validate()
			if (err != nil) != (len(c.faults) > 0) {
				t.Fatalf("Validate = %v", err)
			}
			for _, word := range c.faults {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not mention %q", err, word)
				}
			}
		})
	}
}

func TestTargetLists(t *testing.T) {
	target := Target{Secrets: []string{"exact-name", "team-*", "slot-?", "db-[0-9]"}}
	for name, want := range map[string]bool{
		"exact-name": true, "EXACT-Name": true, "exact-name-2": false, "team-": true, "Team-a-b": true, "ateam-x": false,
		"slot-1": true, "slot-12": false, "db-7": true, "db-x": false, "": false,
	} {
		if got := target.Lists(name); got != want {
			t.Errorf("Lists(%q) = %v", name, got)
		}
	}
	if (Target{}).Lists("x") {
		t.Error("a target without a list serves a secret")
	}
}
