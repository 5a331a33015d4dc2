package vaultsync_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// model is what edits on both sides and syncs must come to, said as simply as it can be said. Names are folded.
type model struct {
	onDelete vaultsync.OnDelete
	source   map[string]*original
	copies   map[string]*replica
}

// original is a path that Vault lists.
type original struct {
	value string // "" when the current version is deleted
}

// replica is a name in Key Vault.
type replica struct {
	path   string // of which it is the copy; "" when a person made it
	value  string
	byHand bool   // a person had it in hand last
	stands string // "active", "disabled" or "deleted"
}

func nameOf(path string) string { return secret.FoldName(vaultsync.ComputeName(path)) }

// sync is the rule: what a person wrote or switched off stays; who holds a name is kept in step; a name that nobody
// holds, or whose holder is no longer in Vault, goes to its only claimant; what is left without a source is removed as
// the rule says, unless nothing at all is left, and comes back with it.
func (m model) sync() {
	claims := map[string][]string{}
	for path := range m.source {
		claims[nameOf(path)] = append(claims[nameOf(path)], path)
	}
	for name, paths := range claims {
		c := m.copies[name]
		if c == nil && len(paths) == 1 && m.source[paths[0]].value != "" {
			c = &replica{path: paths[0], stands: "active"}
			m.copies[name] = c
		}
		if c == nil || c.byHand || c.stands == "deleted" && (len(paths) > 1 || paths[0] != c.path) {
			continue
		}
		if m.source[c.path] == nil && len(paths) == 1 && m.source[paths[0]].value != "" {
			c.path = paths[0]
		}
		if o := m.source[c.path]; o != nil && o.value != "" {
			c.value, c.stands = o.value, "active"
		}
	}
	for _, c := range m.copies {
		if o := m.source[c.path]; (o == nil || o.value == "") && !c.byHand && c.stands == "active" && len(m.source) > 0 {
			c.stands = map[vaultsync.OnDelete]string{"": "active", "disable": "disabled", "delete": "deleted"}[m.onDelete]
		}
	}
}

// TestModel: random trees, random edits on both sides and syncs between them. After each sync Key Vault holds what the
// model says, a second sync has nothing to do, what a person wrote is there, and no two names differ by case only.
func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(timeless{t}, func(rt *rapid.T) {
			r := newRig(t, emulated())
			version := rapid.IntRange(1, 2).Draw(rt, "version of KV")
			policy := rapid.SampledFrom([]vaultsync.OnDelete{vaultsync.DeleteKeep, vaultsync.DeleteDisable, vaultsync.DeleteDelete}).Draw(rt, "onDelete")
			w := &world{
				T: rt, rig: r, mount: r.mount(version, onDelete(policy)),
				model: model{onDelete: policy, source: map[string]*original{}, copies: map[string]*replica{}},
				paths: rapid.SampledFrom([]string{"a", "A", "b", "a/b", "a-b", "a_b", "c/d", "C d", "e/f%g", "日/h"}),
			}
			rt.Repeat(map[string]func(*rapid.T){
				"put": w.put, "put again": w.put, "remove": w.remove, "wipe": w.wipe, "edit": w.edit, "edit with tags": w.editTagged, "switch off": w.switchOff,
				"tag": w.addTag, "sync": w.syncs, "sync again": w.syncs, "wait": func(*rapid.T) { r.pass(10 * time.Minute) },
				"": func(*rapid.T) { r.pass(time.Second) },
			})
			w.syncs(rt)
		})
	})
}

// timeless hides the test's deadline, which is none of the bubble's time.
type timeless struct{ testing.TB }

// world is a model and the rig that must behave like it.
type world struct {
	*rapid.T
	rig   *rig
	mount mount
	model model
	paths *rapid.Generator[string]
}

func (w *world) put(t *rapid.T) {
	path, value := w.paths.Draw(t, "path"), fmt.Sprintf("value %d", rapid.IntRange(1, 3).Draw(t, "value"))
	w.mount.put(path, `{"password":"`+value+`"}`)
	o := w.model.source[path]
	if o == nil {
		o = &original{}
		w.model.source[path] = o
	}
	o.value = value
}

// existing draws a path of the source; false when there is none.
func (w *world) existing(t *rapid.T) (string, bool) {
	paths := slices.Sorted(maps.Keys(w.model.source))
	if len(paths) == 0 {
		return "", false
	}
	return rapid.SampledFrom(paths).Draw(t, "existing path"), true
}

func (w *world) remove(t *rapid.T) {
	if path, ok := w.existing(t); ok {
		w.mount.remove(path)
		w.model.source[path].value = ""
		if w.mount.version == 1 {
			delete(w.model.source, path)
		}
	}
}

func (w *world) wipe(t *rapid.T) {
	if path, ok := w.existing(t); ok {
		if w.mount.version == 2 {
			w.mount.wipe(path)
		} else {
			w.mount.remove(path)
		}
		delete(w.model.source, path)
	}
}

func (w *world) edit(t *rapid.T) {
	name := vaultsync.ComputeName(w.paths.Draw(t, "path"))
	value := fmt.Sprintf("by hand %d", rapid.IntRange(1, 3).Draw(t, "value"))
	if c := w.model.copies[secret.FoldName(name)]; c != nil && c.stands == "deleted" {
		return // Key Vault refuses it
	}
	w.rig.set(name, value, nil)
	w.model.copies[secret.FoldName(name)] = &replica{value: value, byHand: true, stands: "active"}
}

// copied draws a copy that is there and on; false when there is none.
func (w *world) copied(t *rapid.T) (string, bool) {
	var names []string
	for name, c := range w.model.copies {
		if c.path != "" && c.stands == "active" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", false
	}
	slices.Sort(names)
	return rapid.SampledFrom(names).Draw(t, "copy"), true
}

func (w *world) editTagged(t *rapid.T) {
	if name, ok := w.copied(t); ok {
		value := fmt.Sprintf("by hand %d", rapid.IntRange(1, 3).Draw(t, "value"))
		w.rig.set(name, value, w.rig.copied(name).Tags)
		w.model.copies[name].value, w.model.copies[name].byHand = value, true
	}
}

func (w *world) switchOff(t *rapid.T) {
	if name, ok := w.copied(t); ok {
		w.rig.enable(name, false)
		w.model.copies[name].byHand, w.model.copies[name].stands = true, "disabled"
	}
}

func (w *world) addTag(t *rapid.T) {
	if name, ok := w.copied(t); ok {
		w.rig.tag(name, "owner", "me")
	}
}

func (w *world) syncs(t *rapid.T) {
	engine := w.rig.engine()
	planned, _, err := engine.Plan(w.rig.t.Context(), vaultsync.Scope{})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	report, err := engine.Sync(w.rig.t.Context(), vaultsync.Scope{})
	if err != nil {
		t.Fatalf("sync: %v", err)
	}
	if diff := cmp.Diff(lines(planned), lines(report)); diff != "" {
		t.Errorf("sync did something else than planned (-plan +sync)\n%s", diff)
	}
	again, err := engine.Sync(w.rig.t.Context(), vaultsync.Scope{})
	if err != nil || again.Changes() != 0 {
		t.Errorf("a second sync is not without changes: %q, %v", lines(again), err)
	}
	w.model.sync()
	want, got := map[string]string{}, map[string]string{}
	for name, c := range w.model.copies {
		want[name] = c.value + " " + c.stands
	}
	for _, s := range w.rig.store.Secrets() {
		if s.Name == secret.HashKeyName {
			continue
		}
		name := secret.FoldName(s.Name)
		if _, twice := got[name]; twice {
			t.Errorf("%s is there twice", s.Name)
		}
		stands := string(s.State)
		if s.CurrentVersion().Disabled && stands == "active" {
			stands = "disabled"
		}
		got[name] = s.CurrentVersion().Value + " " + stands
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("key vault (-model +got)\n%s\nlast sync: %s", diff, strings.Join(lines(report), "\n"))
	}
}
