package cli

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRoutes compares the triggers of serve with the folders the host reads, to the letter: the host calls a function
// by the name of its folder, case included (facts/functions-host.md 2.1).
func TestRoutes(t *testing.T) {
	files, err := fs.Glob(os.DirFS(".."), "*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, f := range files {
		folders = append(folders, path.Dir(f))
	}
	slices.Sort(folders)
	served := (&functions{}).triggers()
	routes := slices.Sorted(maps.Keys(served.Events))
	routes = slices.AppendSeq(routes, maps.Keys(served.Timers))
	routes = slices.AppendSeq(routes, maps.Keys(served.HTTP))
	slices.Sort(routes)
	if d := cmp.Diff(folders, routes); d != "" {
		t.Errorf("folders (-) and routes (+):\n%s", d)
	}
}
