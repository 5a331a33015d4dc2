package vaultsync

import (
	"strings"
	"sync"

	"github.com/keyferry/keyferry/secret"
)

// proof is what of the source was seen in a run: which mounts, which folders, and which could not be read. It is all
// that absence may rest on.
type proof struct {
	mu     sync.Mutex
	mounts map[string]Mount // by source and path
	dirs   map[string]bool  // folders by their full place: true listed, false could not be
	inside map[string]int   // secrets found, by mount
	keys   map[ident]bool   // secrets listed whose fields are copied one by one: true when all of them are known
}

func newProof() *proof {
	return &proof{mounts: map[string]Mount{}, dirs: map[string]bool{}, inside: map[string]int{}, keys: map[ident]bool{}}
}

// place is one name for a folder or a mount of a source.
func place(source, mount, dir string) string { return source + "\x00" + mount + "\x00" + dir }

func (p *proof) mount(source string, m Mount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mounts[place(source, m.Path, "")] = m
}

func (p *proof) folder(source string, m Mount, dir string, listed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirs[place(source, m.Path, dir)] = listed
}

func (p *proof) found(source string, m Mount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inside[place(source, m.Path, "")]++
}

// listed notes a secret that is there and whose fields are not known yet.
func (p *proof) listed(e Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[e.id()] = false
}

// fields notes that all fields of a listed secret are known.
func (p *proof) fields(e Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[e.id()] = true
}

// locate finds the proven mount in which the path of a vault-path tag lies; ok is false when there is none or the tag
// was cut.
func (p *proof) locate(source, tag string) (m Mount, path, key string, ok bool) {
	whole, key, ok := secret.DecodePath(tag)
	if !ok {
		return Mount{}, "", "", false
	}
	for i := len(whole) - 1; i > 0; i-- { // mounts may hold slashes: the longest one counts
		if whole[i] != '/' {
			continue
		}
		if m, proven := p.mounts[place(source, whole[:i], "")]; proven {
			return m, whole[i+1:], key, true
		}
	}
	return Mount{}, "", "", false
}

// lacks reports whether the run proves that the entry is not in its mount. Call it only for one that was not found. Of
// a secret that is there, a field is missing only where all fields are known. Else the deepest folder above it that
// was looked at must have been listed: then either the path was not in it, or a folder on the way was not.
func (p *proof) lacks(source string, m Mount, path, key string) bool {
	if known, listed := p.keys[ident{source, secret.EncodePath(m.Path, path, "")}]; listed && key != "" {
		return known
	}
	for dir := path; ; {
		i := strings.LastIndexByte(strings.TrimSuffix(dir, "/"), '/')
		dir = dir[:i+1]
		if listed, looked := p.dirs[place(source, m.Path, dir)]; looked {
			return listed
		}
		if dir == "" {
			return false
		}
	}
}
