package vaultsync

import (
	"slices"
	"sync"
)

// census is what the source has shown: its secrets, and of each the state as far as it was read. The destination's
// copies are told to it as well, so that it knows what both sides have. It is safe for concurrent use; the zero census is
// empty.
type census struct {
	mu      sync.Mutex
	entries []Entry                     // by number
	states  []glimpse                   // by number
	numbers map[string]map[string]int32 // by source and Ref
}

// unmet is the number of a secret that only the destination has shown.
const unmet = -1

// number finds a secret by its id. ok is false when nobody has shown it.
func (c *census) number(id ident) (n int32, ok bool) {
	n, ok = c.numbers[id.source][id.ref]
	return n, ok
}

func (c *census) setNumber(id ident, n int32) {
	if c.numbers == nil {
		c.numbers = map[string]map[string]int32{}
	}
	if c.numbers[id.source] == nil {
		c.numbers[id.source] = map[string]int32{}
	}
	c.numbers[id.source][id.ref] = n
}

// found adds a secret of the source, with its state where the listing told it. met reports whether the destination has
// shown a copy of it, so that its state is to be read.
func (c *census) found(e Entry, told *State) (n int32, met bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var g glimpse
	if told != nil {
		g = glimpseOf(*told)
	}
	if told == nil || int(g.version) != told.Version { // a version no glimpse holds is read when it is needed
		g = glimpse{}
		if _, met = c.number(e.id()); met {
			g.sight = asked
		}
	}
	n = int32(len(c.entries))
	c.setNumber(e.id(), n)
	c.entries, c.states = append(c.entries, e), append(c.states, g)
	return n, met
}

// copied notes that the destination has a copy of the secret. ref is the secret's Ref when the source has shown it; met
// reports whether this is the first copy of it.
func (c *census) copied(id ident) (n int32, ref string, met bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, known := c.number(id)
	if !known || n == unmet {
		c.setNumber(id, unmet)
		return unmet, "", false
	}
	if met = c.states[n].sight == unseen; met {
		c.states[n].sight = asked
	}
	return n, c.entries[n].Ref, met
}

// at is the secret of that number.
func (c *census) at(n int32) Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[n]
}

// take hands the entries over, sorted. Their numbers stay good for their states.
func (c *census) take() []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := c.entries
	c.entries = nil
	slices.SortFunc(entries, byPlace)
	return entries
}

// learn keeps the state of a secret.
func (c *census) learn(id ident, s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.number(id)
	if g := glimpseOf(s); ok && n != unmet && int(g.version) == s.Version { // else it is read again when it is needed
		c.states[n] = g
	}
}

// state is what was learned of a secret.
func (c *census) state(id ident) (s State, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.number(id)
	if !ok || n == unmet || c.states[n].sight != seen {
		return State{}, false
	}
	return c.states[n].state(), true
}
