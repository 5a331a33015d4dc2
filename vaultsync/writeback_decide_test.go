package vaultsync

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/keyferry/keyferry/secret"
)

// TestFieldText: a value keeps the kind its field has, where KV version 2 then gives it back to the letter.
func TestFieldText(t *testing.T) {
	for _, c := range []struct{ now, value, want string }{
		{`"one"`, `two`, `"two"`},
		{`"one"`, `2`, `"2"`},
		{`"1"`, `{"a":1}`, `"{\"a\":1}"`},
		{`1`, `2`, `2`},
		{`1`, `-2.5`, `-2.5`},
		{`1`, `2.0`, `"2.0"`},
		{`1`, `1e3`, `"1e3"`},
		{`1`, `007`, `"007"`},
		{`1`, `1e999`, `"1e999"`},
		{`1`, `9007199254740993`, `"9007199254740993"`},
		{`1`, ` 2`, `" 2"`},
		{`1`, `2 `, `"2 "`},
		{`1`, `true`, `"true"`},
		{`true`, `false`, `false`},
		{`false`, `true`, `true`},
		{`true`, `no`, `"no"`},
		{`true`, `truth`, `"truth"`},
		{`{"a":1}`, `{"b":[1,{"c":null}]}`, `{"b":[1,{"c":null}]}`},
		{`{"a":1}`, `{"b": 1}`, `"{\"b\": 1}"`},
		{`{"a":1}`, `{"b":1,"a":2}`, `"{\"b\":1,\"a\":2}"`},
		{`{"a":1}`, `[1]`, `"[1]"`},
		{`[1]`, `[2]`, `[2]`},
		{`null`, `x`, `"x"`},
		{`""`, ``, `""`},
		{`1`, ``, `""`},
	} {
		if got := fieldText(secret.New(c.value), secret.New(c.now)).Reveal(); got != c.want {
			t.Errorf("%s becomes %s where %s was, want %s", c.value, got, c.now, c.want)
		}
	}
}

// FuzzFieldText: whatever a field holds and is to hold, the text is JSON that is read as the value again, or the value
// is not UTF-8, which the write-back then sees and refuses.
func FuzzFieldText(f *testing.F) {
	f.Add(`1`, `2`)
	f.Add(`"a"`, "\xff\u2028<")
	f.Add(`{"a":1}`, `{"b":1e3}`)
	f.Fuzz(func(t *testing.T, now, value string) {
		text := fieldText(secret.New(value), secret.New(now))
		kept, err := throughFloat(text.Reveal())
		if err != nil {
			t.Fatalf("%q is not JSON", text.Reveal())
		}
		back, err := bare(secret.New(kept))
		if err != nil || back != value && utf8.ValidString(value) {
			t.Fatalf("%q comes back as %q, %v", value, back, err)
		}
	})
}

// FuzzObjectFields: the value of a copy is somebody else's text. What is taken from it is JSON.
func FuzzObjectFields(f *testing.F) {
	f.Add(`{"a":1,"b":{"c":[null,"x"]}}`)
	f.Add(`{"a":1e999}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, value string) {
		fields, err := objectFields(secret.New(value))
		if (err == nil) != (fields != nil) {
			t.Fatalf("fields %d, %v", len(fields), err)
		}
		for name, text := range fields {
			if !json.Valid([]byte(text.Reveal())) {
				t.Fatalf("field %q is not JSON", name)
			}
		}
	})
}
