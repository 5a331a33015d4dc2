package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentationIsComplete asks of docs/configuration.md that its tables have a row for each setting and each key,
// and none for what there is not.
func TestDocumentationIsComplete(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{FileSetting}
	for _, s := range Settings() {
		want = append(want, s.Name)
		if s.Doc == "" {
			t.Errorf("%s has no text", s.Name)
		}
	}
	want = append(want, keys(reflect.TypeFor[file](), "")...)
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .").FindAllStringSubmatch(string(text), -1) {
		if !strings.HasPrefix(row[1], "Keyferry.") { // a type of alert
			got = append(got, row[1])
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s has no row", name)
		}
	}
	for _, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("%s has a row, and there is no such key or setting", name)
		}
	}
}

// keys are the keys of a file, as the documentation writes them.
func keys(t reflect.Type, prefix string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("yaml")
		switch {
		case f.Type.Kind() == reflect.Struct:
			out = append(out, keys(f.Type, name+".")...)
			continue
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			out = append(out, keys(f.Type.Elem(), name+"[].")...)
		}
		out = append(out, name)
	}
	return out
}
