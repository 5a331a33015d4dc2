package vaultsync_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// planned makes a plan and takes it through a file.
func (r *rig) planned(s vaultsync.Scope, edits ...func(*vaultsync.Options)) *vaultsync.PlanFile {
	r.t.Helper()
	_, plan, err := r.engine(edits...).Plan(r.t.Context(), s)
	r.ended(err, nil)
	text, err := json.MarshalIndent(plan, "", " ")
	r.must(err)
	read, err := vaultsync.ReadPlan(text)
	r.must(err)
	return read
}

// applies applies a plan that must end with the error.
func (r *rig) applies(p *vaultsync.PlanFile, want error) *vaultsync.Report {
	r.t.Helper()
	report, err := r.engine().Apply(r.t.Context(), p)
	r.ended(err, want)
	return report
}

// estateOfVerbs is a mount in which a sync has something of everything to do.
func estateOfVerbs(r *rig, version int) mount {
	m := r.mount(version, onDelete(vaultsync.DeleteDisable), func(rule *vaultsync.Rule) {
		rule.Adopt, rule.OnConflict = true, vaultsync.DriftVault
	}).stays()
	for _, path := range []string{"moves", "goes", "drifts", "back", "tags"} {
		m.put(path, `{"password":"one"}`)
	}
	r.sync(nil)
	m.remove("back")
	r.sync(nil)
	r.pass(time.Hour)
	m.put("new", `{"password":"one"}`)
	m.put("moves", `{"password":"two"}`)
	m.remove("goes")
	r.set("drifts", "by hand", nil)
	m.put("back", `{"password":"one"}`)
	r.tag("tags", secret.TagMigrationDate, "")
	m.put("adopted", `{"password":"theirs"}`)
	r.set("adopted", "theirs", nil)
	return m
}

func wantOfVerbs() []string {
	return []string{
		"adopt adopted equal-value", "create new new", "disable goes source-deleted", "enable back source-back",
		"retag tags tags", "update drifts destination-changed", "update moves source-changed", "unchanged 1",
	}
}

// TestPlanIsApplied: a plan does what it says, once: applied again there is nothing left of it.
func TestPlanIsApplied(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				estateOfVerbs(r, version)
				before := r.snapshot()
				plan := r.planned(vaultsync.Scope{})
				r.same("after the plan", before, r.snapshot())
				r.pass(time.Hour)
				r.wants(r.applies(plan, nil), wantOfVerbs()...)
				r.settled()
				after := r.snapshot()
				report := r.applies(plan, nil)
				if report.Changes() != 0 {
					t.Errorf("applied again: %q", lines(report))
				}
				r.same("applied again", after, r.snapshot())
			})
		})
	}
}

// TestFirstPlan: a plan made before there was a hash key is applied as any other.
func TestFirstPlan(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one, two := r.mount(1), r.mount(2)
		one.put("a", `{"password":"one"}`)
		two.put("b", `{"password":"one"}`)
		r.wants(r.applies(r.planned(vaultsync.Scope{}), nil), "create a new", "create b new")
		r.settled()
	})
}

// TestMovedSincePlan: what is not as it was when the plan was made is said and left alone, and the rest is done.
func TestMovedSincePlan(t *testing.T) {
	for what, c := range map[string]struct {
		versions []int
		moves    func(r *rig, m mount)
		want     map[string]string // in the place of the planned line, by name; "" for none
	}{
		"a new one was written again": {[]int{2}, func(_ *rig, m mount) { m.put("new", `{"password":"three"}`) },
			map[string]string{"new": "conflict new moved-since-plan"}},
		"a new one was written again on v1": {[]int{1}, func(_ *rig, m mount) { m.put("new", `{"password":"three"}`) },
			map[string]string{"new": "conflict new moved-since-plan"}},
		"a new one is gone": {[]int{1, 2}, func(_ *rig, m mount) { m.gone("new") },
			map[string]string{"new": "conflict " + "new" + " moved-since-plan"}},
		"a moved one moved again": {[]int{1, 2}, func(_ *rig, m mount) { m.put("moves", `{"password":"three"}`) },
			map[string]string{"moves": "conflict moves moved-since-plan"}},
		"a moved one moved back": {[]int{1}, func(_ *rig, m mount) { m.put("moves", `{"password":"one"}`) },
			map[string]string{"moves": ""}},
		"a moved one was edited": {[]int{1, 2}, func(r *rig, _ mount) { r.set("moves", "by hand", r.copied("moves").Tags) },
			map[string]string{"moves": "conflict moves moved-since-plan"}},
		"a moved one was tagged": {[]int{1, 2}, func(r *rig, _ mount) { r.tag("moves", "owner", "me") },
			map[string]string{"moves": "conflict moves moved-since-plan"}},
		"a moved one was disabled": {[]int{1, 2}, func(r *rig, _ mount) { r.enable("moves", false) },
			map[string]string{"moves": "conflict moves destination-disabled"}},
		"a moved one was deleted": {[]int{1, 2}, func(r *rig, _ mount) { r.drops("moves") },
			map[string]string{"moves": "conflict moves destination-deleted"}},
		"one that went is back": {[]int{1, 2}, func(_ *rig, m mount) { m.put("goes", `{"password":"three"}`) },
			map[string]string{"goes": "conflict goes moved-since-plan"}},
		"one that went is back as it was": {[]int{1}, func(_ *rig, m mount) { m.put("goes", `{"password":"one"}`) },
			map[string]string{"goes": ""}},
		"one that went was edited": {[]int{1, 2}, func(r *rig, _ mount) { r.set("goes", "by hand", r.copied("goes").Tags) },
			map[string]string{"goes": "conflict goes both-changed"}},
		"one that was to be adopted was changed": {[]int{1, 2}, func(r *rig, _ mount) { r.set("adopted", "other", nil) },
			map[string]string{"adopted": "conflict adopted foreign"}},
		"another edit": {[]int{1, 2}, func(r *rig, _ mount) { r.set("drifts", "by hand again", nil) },
			map[string]string{"drifts": "conflict drifts moved-since-plan"}},
		"somebody else did it": {[]int{1, 2}, func(r *rig, _ mount) { r.sync(nil) },
			map[string]string{"new": "", "moves": "", "goes": "skip goes removed", "drifts": "", "back": "", "tags": "", "adopted": ""}},
		"something nobody planned": {[]int{1, 2}, func(_ *rig, m mount) { m.put("later", `{"password":"one"}`) },
			map[string]string{"later": "skip later not-in-plan"}},
		"a rival of a new one": {[]int{1, 2}, func(_ *rig, m mount) { m.put("new-", `{"password":"one"}`) },
			map[string]string{"new": "conflict new name-collision; conflict new name-collision"}},
	} {
		for _, version := range c.versions {
			t.Run(fmt.Sprintf("%s/v%d", what, version), func(t *testing.T) {
				onEmulator(t, func(t *testing.T, r *rig) {
					m := estateOfVerbs(r, version)
					plan := r.planned(vaultsync.Scope{})
					r.pass(time.Hour)
					c.moves(r, m)
					want := []string{}
					for _, planned := range wantOfVerbs() {
						if _, moved := c.want[strings.Fields(planned)[1]]; !moved && !strings.HasPrefix(planned, "unchanged") {
							want = append(want, planned)
						}
					}
					for _, line := range c.want {
						if line != "" {
							want = append(want, strings.Split(line, "; ")...)
						}
					}
					before := r.snapshot()
					report := r.applies(plan, nil)
					var got []string
					for _, line := range lines(report) {
						if !strings.HasPrefix(line, "unchanged") {
							got = append(got, line)
						}
					}
					r.sameLines(want, got)
					for name, line := range c.want {
						if r.snapshot()[name] != before[name] {
							t.Errorf("%s was touched: %s", name, line)
						}
					}
				})
			})
		}
	}
}

// TestPlanOfAPart: the scope of a plan is that of its application, the release of the fuse included.
func TestPlanOfAPart(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDisable)).stays()
		m.estate(12)
		r.sync(nil)
		for i := range 12 {
			m.wipe(fmt.Sprintf("team%d/s%d", i/10, i))
		}
		m.put("new", `{"password":"one"}`)
		held := r.planned(vaultsync.Scope{Prefix: m.path + "/team"})
		if report := r.applies(held, nil); report.Held != 12 || report.Counts[vaultsync.Create] != 0 {
			t.Errorf("%d held, %v", report.Held, report.Counts)
		}
		released := r.planned(vaultsync.Scope{Prefix: m.path + "/team", AllowRemovals: 12})
		if report := r.applies(released, nil); report.Counts[vaultsync.Disable] != 12 || report.Held != 0 {
			t.Errorf("%d held, %v", report.Held, report.Counts)
		}
		if r.versions("new") != 0 {
			t.Error("something outside of the scope was written")
		}
	})
}

// TestPlanOfAnother: a plan is for one Key Vault and one configuration.
func TestPlanOfAnother(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		for what, edit := range map[string]func(*vaultsync.Options){
			"configuration": func(o *vaultsync.Options) { o.Config = "other" },
			"destination":   func(o *vaultsync.Options) { o.Name, o.Settings.Rules[0].Destination = "kv2", "kv2" },
		} {
			r.applies(r.planned(vaultsync.Scope{}, edit), secret.ErrConflict)
			if len(r.store.Secrets()) != 0 {
				t.Fatalf("a plan of another %s was applied", what)
			}
		}
		twice := r.planned(vaultsync.Scope{})
		twice.Items = append(twice.Items, twice.Items...)
		r.applies(twice, secret.ErrInvalid)
	})
}

// TestPlanIsPaused: applying is syncing.
func TestPlanIsPaused(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		plan := r.planned(vaultsync.Scope{})
		_, err := r.engine(func(o *vaultsync.Options) { o.Settings.Paused = true }).Apply(t.Context(), plan)
		r.ended(err, secret.ErrPaused)
	})
}

// TestPlanHoldsNoValue: no value is in a plan, in no form, nor anything it could be guessed by.
func TestPlanHoldsNoValue(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one, two := r.mount(1), r.mount(2)
		values := []string{"value-of-one", "value-of-two", "value-by-hand"}
		one.put("a", `{"password":"value-of-one"}`)
		two.put("b", `{"password":"value-of-one"}`)
		r.sync(nil)
		one.put("a", `{"password":"value-of-two"}`)
		two.put("b", `{"password":"value-of-two"}`)
		r.set("b", "value-by-hand", nil)
		first := r.texts(r.planned(vaultsync.Scope{}))
		// without the hash key a hash could be guessed from the value
		r.drops(secret.HashKeyName)
		_, err := r.sdk.PurgeDeletedSecret(t.Context(), secret.HashKeyName, nil)
		r.must(err)
		second := r.texts(r.planned(vaultsync.Scope{}))
		for _, v := range values {
			for _, form := range []string{v, base64.StdEncoding.EncodeToString([]byte(v)), hex.EncodeToString([]byte(v)), secret.Hasher{}.Sum(secret.New(v))} {
				if strings.Contains(first+second, form) {
					t.Errorf("the plan holds %q", form)
				}
			}
		}
	})
}

func (r *rig) texts(p *vaultsync.PlanFile) string {
	r.t.Helper()
	text, err := json.Marshal(p)
	r.must(err)
	return string(text)
}

// FuzzReadPlan: no bytes make a plan of something that is none, and what is one is written as it was read.
func FuzzReadPlan(f *testing.F) {
	f.Add([]byte(`{"keyferryPlan":1,"destination":"keyvault","config":"","scope":{},"items":[{"verb":"create","reason":"new","from":"vault","ref":"m/a"}]}`))
	f.Add([]byte(`{"keyferryPlan":2}`))
	f.Add([]byte(`{"keyferryPlan":1,"items":[{"ref":"a"},{"ref":"a"}]}`))
	f.Add([]byte(`{"keyferryPlan":1}{}`))
	f.Add([]byte(`{"keyferryPlan":1,"more":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := vaultsync.ReadPlan(b)
		if err != nil {
			if secret.Code(err) != "invalid" {
				t.Errorf("got %v", err)
			}
			return
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := vaultsync.ReadPlan(text)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if second, _ := json.Marshal(again); string(second) != string(text) {
			t.Errorf("%s became %s", text, second)
		}
	})
}

// TestReadPlanRefuses: a file that is not a plan of this format, or more than one.
func TestReadPlanRefuses(t *testing.T) {
	for _, text := range []string{"", "{}", `{"keyferryPlan":2}`, `[]`, `{"keyferryPlan":1}}`, `{"keyferryPlan":1} {"keyferryPlan":1}`,
		`{"keyferryPlan":1,"allow":"all"}`, `{"keyferryPlan":1,"items":[{"ref":"a","value":"x"}]}`} {
		if p, err := vaultsync.ReadPlan([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, p.Items)
		}
	}
}
