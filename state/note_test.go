package state

import "testing"

func FuzzParseNote(f *testing.F) {
	for _, text := range []string{``, `{}`, `{"holder":"run 1","since":"2026-01-02T03:04:05Z"}`, `{"holder":"a\u0000b"}`, `{"holder":1}`, `[]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if n := parseNote(text); n != (note{}) && !validHolder(n.Holder) {
			t.Errorf("holder %q", n.Holder)
		}
	})
}

func TestParseNote(t *testing.T) {
	if n := parseNote([]byte(`{"holder":"run 1","since":"2026-01-02T03:04:05Z"}`)); n.Holder != "run 1" || n.Since.Year() != 2026 {
		t.Errorf("got %+v", n)
	}
	if n := parseNote([]byte(`{"holder":"a\nb"}`)); n != (note{}) {
		t.Errorf("an improper holder was read: %+v", n)
	}
}
