package vaultsync_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/keyferry/keyferry/vaultsync"
)

// history is a source and what people do on both sides, the same for the same seed.
type history struct {
	rig     *rig
	random  *rand.Rand
	mounts  []mount           // v1, v2, v2 by field
	fields  map[string]string // :: mount and path -> what it holds; "" when it is gone
	touched map[string]bool   // was ever gone, or people had it in hand in Key Vault
	value   int
}

func newHistory(r *rig, seed uint64) *history {
	h := &history{rig: r, random: rand.New(rand.NewPCG(seed, 7)), fields: map[string]string{}, touched: map[string]bool{}}
	h.mounts = []mount{
		r.mount(1, onDelete(vaultsync.DeleteDelete)),
		r.mount(2, onDelete(vaultsync.DeleteDisable)),
		r.mount(2, onDelete(vaultsync.DeleteDelete), byKey),
	}
	return h
}

// options lets the history's removals through the fuse, and has rules say what becomes of edits.
func (h *history) options(o *vaultsync.Options) {
	o.Settings.Limits = vaultsync.Limits{Removals: 100}
	o.Sources[vaultsync.DefaultSource], o.Destination = h.rig.source, h.rig.destination
}

// put writes something new.
func (h *history) put(m int, name string) {
	h.value++
	fields := fmt.Sprintf(`{"password":"value %d"}`, h.value)
	if m == 2 {
		fields = fmt.Sprintf(`{"password":"value %d","user":"u","host":"h%d"}`, h.value, h.value%3)
	}
	h.mounts[m].put(name, fields)
	h.fields[fmt.Sprint(m, "/", name)] = fields
}

// some draws a path of a mount that is there, or one that is gone.
func (h *history) some(m int, there bool) (string, bool) {
	var all []string
	for i := range 40 {
		name := fmt.Sprintf("m%d/s%d", m, i)
		if fields, known := h.fields[fmt.Sprint(m, "/", name)]; known && (fields != "") == there {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return "", false
	}
	return all[h.random.IntN(len(all))], true
}

// edit is a day in the life of both sides.
func (h *history) edit(happens func(h *history)) {
	h.rig.pass(24 * time.Hour)
	happens(h)
	h.rig.pass(time.Hour)
}

// story is what happens, day by day.
var story = []func(h *history){
	func(h *history) {
		for m, n := range []int{12, 40, 10} {
			for i := range n {
				h.put(m, fmt.Sprintf("m%d/s%d", m, i))
			}
		}
	},
	(*history).workday, (*history).workday, (*history).workday, (*history).workday,
}

// workday changes, rewrites, removes and brings back secrets, and has people edit copies.
func (h *history) workday() {
	for m := range h.mounts {
		for range 4 {
			if name, ok := h.some(m, true); ok {
				h.put(m, name)
			}
		}
		if name, ok := h.some(m, true); ok { // again as it is
			h.mounts[m].put(name, h.fields[fmt.Sprint(m, "/", name)])
		}
		for range 2 {
			if name, ok := h.some(m, false); ok {
				h.put(m, name)
			}
		}
		for i := range 3 {
			name, ok := h.some(m, true)
			if !ok {
				continue
			}
			if i == 0 && h.mounts[m].version == 2 {
				h.mounts[m].remove(name)
			} else {
				h.mounts[m].gone(name)
			}
			h.fields[fmt.Sprint(m, "/", name)] = ""
			h.touched[fmt.Sprint(m, "/", name)] = true
		}
		h.put(m, fmt.Sprintf("m%d/s%d", m, 20+h.random.IntN(20)))
	}
	// People: an edit, a tag, a secret switched off.
	for i, does := range []func(name string){
		func(name string) { h.rig.set(name, "by hand", nil) },
		func(name string) { h.rig.tag(name, "owner", "me") },
		func(name string) { h.rig.enable(name, false) },
	} {
		path, ok := h.some(1, true)
		name := vaultsync.ComputeName(path)
		if s, there := h.rig.store.Secret(name); !ok || !there || s.State != "active" || s.CurrentVersion().Disabled {
			continue
		}
		does(name)
		h.touched["1/"+path] = h.touched["1/"+path] || i != 1
	}
}
