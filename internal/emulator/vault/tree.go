package vault

import (
	"slices"
	"strings"
)

// A tree keeps values by path and lists one folder at the cost of that folder.
// The zero value is empty.
type tree[V any] struct{ root folder[V] }

// A folder holds what is directly below a path. A name can be both a value and
// a folder.
type folder[V any] struct {
	values  map[string]V
	folders map[string]*folder[V]
	names   []string // sorted, folders with a slash; nil when it must be made
}

// at returns the folder of a path that is empty or ends in a slash, or nil.
// With make it is created.
func (t *tree[V]) at(dir string, create bool) *folder[V] {
	f := &t.root
	for dir != "" {
		var name string
		name, dir, _ = strings.Cut(dir, "/")
		next := f.folders[name]
		if next == nil {
			if !create {
				return nil
			}
			if f.folders == nil {
				f.folders = map[string]*folder[V]{}
			}
			next = &folder[V]{}
			f.folders[name], f.names = next, nil
		}
		f = next
	}
	return f
}

func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/') + 1
	return path[:i], path[i:]
}

// get returns the value at path.
func (t *tree[V]) get(path string) (value V, ok bool) {
	dir, name := split(path)
	if f := t.at(dir, false); f != nil {
		value, ok = f.values[name]
	}
	return value, ok
}

// put sets the value at path.
func (t *tree[V]) put(path string, value V) {
	dir, name := split(path)
	f := t.at(dir, true)
	if f.values == nil {
		f.values = map[string]V{}
	}
	if _, there := f.values[name]; !there {
		f.names = nil
	}
	f.values[name] = value
}

// remove drops the value at path, and the folders that it leaves empty.
func (t *tree[V]) remove(path string) {
	dir, name := split(path)
	f := t.at(dir, false)
	if f == nil {
		return
	}
	delete(f.values, name)
	f.names = nil
	for dir != "" && len(f.values) == 0 && len(f.folders) == 0 {
		dir, name = split(strings.TrimSuffix(dir, "/"))
		f = t.at(dir, false)
		delete(f.folders, name)
		f.names = nil
	}
}

// list returns the sorted names in a folder; the caller must not change them.
// It is empty when the folder is absent.
func (t *tree[V]) list(dir string) []string {
	f := t.at(dir, false)
	if f == nil {
		return nil
	}
	if f.names == nil {
		for name := range f.values {
			f.names = append(f.names, name)
		}
		for name := range f.folders {
			f.names = append(f.names, name+"/")
		}
		slices.Sort(f.names)
	}
	return f.names
}

// walk returns the paths of all values below a folder, relative to it, sorted
// within each folder.
func (t *tree[V]) walk(dir string) []string {
	var paths []string
	for _, name := range t.list(dir) {
		if !strings.HasSuffix(name, "/") {
			paths = append(paths, name)
			continue
		}
		for _, below := range t.walk(dir + name) {
			paths = append(paths, name+below)
		}
	}
	return paths
}
