package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableAndFileSayTheSame(t *testing.T) {
	all := []measurement{
		{figure{name: "coldstart_ms", unit: "ms", aim: "< 50"}, 12.3456, "median"},
		{figure{name: "noop_speedup", unit: "x"}, 40, "against the naive loop"},
	}
	file := filepath.Join(t.TempDir(), "figures.json")
	if err := write(file, all); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{
		"coldstart_ms": {"value": 12.35, "unit": "ms"},
		"noop_speedup": {"value": 40.0, "unit": "x"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	lines := strings.Split(strings.TrimSpace(table(all)), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], "12.35") || !strings.Contains(lines[2], "40 ") {
		t.Errorf("table:\n%s", table(all))
	}
}

func TestFiguresHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range figures() {
		if f.name == "" || f.unit == "" || seen[f.name] {
			t.Errorf("figure %q with unit %q: a name or unit is missing, or the name is taken", f.name, f.unit)
		}
		seen[f.name] = true
	}
}
