package vaultsync

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

// FuzzRender: whatever Vault holds, the value is the same bytes each time, says the same as its fields do, keeps to
// Key Vault's limit, and no error shows a part of it.
func FuzzRender(f *testing.F) {
	for _, s := range []struct{ a, b string }{
		{`"plain"`, ``}, {`"é<&>\u2028\n"`, `1.10`}, {`{"b":[1,{"z":null}],"a":1e3}`, `"x"`}, {`12345678901234567890`, ``},
		{`null`, ``}, {`""`, ``}, {`{}`, ``}, {`"-----BEGIN CERTIFICATE-----"`, ``}, {`not JSON`, ``}, {`"cut`, `[1,`},
		{`{"a":1,"a":2}`, ``}, {" \t[ ] ", ``}, {`"\ud800"`, ``}, {` "spaced" `, ``}, {`1 2`, ``},
	} {
		f.Add("password", s.a, "user", s.b, uint8(0), false)
		f.Add("", s.a, "é<&>", s.b, uint8(1), true)
		f.Add("a", s.a, "a", s.b, uint8(2), false)
	}
	f.Fuzz(func(t *testing.T, name, raw, name2, raw2 string, shape uint8, pem bool) {
		in := Fields{name: secret.New(raw)}
		if raw2 != "" {
			in[name2] = secret.New(raw2)
		}
		as := []Shape{ShapeAuto, ShapeValue, ShapeJSON}[shape%3]
		r, err := render(in, as, pem)
		if err != nil {
			if !errors.Is(err, secret.ErrInvalid) {
				t.Errorf("error %v is not of secret.ErrInvalid", err)
			}
			for _, v := range in {
				if text := v.Reveal(); len(text) > 8 && !strings.Contains(name+name2, text) && strings.Contains(err.Error(), text) {
					t.Errorf("the error shows the value: %v", err)
				}
			}
			return
		}
		again, err := render(in, as, pem)
		if err != nil || again.fault != r.fault || !again.value.Equal(r.value) && !r.value.IsZero() {
			t.Errorf("rendered twice: %+v and %+v, %v", r, again, err)
		}
		if r.fault != "" {
			return
		}
		text := r.value.Reveal()
		switch {
		case text == "" || len(text) > secret.MaxValue:
			t.Errorf("a value of %d bytes has no fault", len(text))
		case r.contentType == contentText && (r.field != name && r.field != name2 || as == ShapeJSON || len(in) != 1 || r.field == ""):
			t.Errorf("bare value of field %q, shape %q, %d fields", r.field, as, len(in))
		case r.contentType == contentText:
			checkBare(t, in[r.field].Reveal(), text)
		case r.contentType != contentJSON || r.field != "" || as == ShapeValue && in[""].IsZero():
			t.Errorf("content type %q of field %q, shape %q", r.contentType, r.field, as)
		default:
			object := map[string]json.RawMessage{}
			for k, v := range in {
				object[k] = json.RawMessage(v.Reveal())
			}
			whole, err := json.Marshal(object)
			if err != nil {
				t.Fatalf("rendered what is not JSON: %v", err)
			}
			checkJSON(t, string(whole), text)
		}
	})
}

// checkBare compares a value with the JSON text it was made of.
func checkBare(t *testing.T, raw, got string) {
	t.Helper()
	var s string
	if json.Unmarshal([]byte(raw), &s) == nil && strings.HasPrefix(strings.TrimSpace(raw), `"`) {
		if s != got {
			t.Errorf("string %q became %q", s, got)
		}
		return
	}
	checkJSON(t, raw, got)
}

// checkJSON checks that got says what raw says, and is in the one form it can have.
func checkJSON(t *testing.T, raw, got string) {
	t.Helper()
	if want, is := tree(t, raw), tree(t, got); !reflect.DeepEqual(want, is) {
		t.Errorf("%q became %q", raw, got)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(got)); err != nil || compact.String() != got {
		t.Errorf("%q is not compact", got)
	}
	if again, err := canonical(json.RawMessage(got)); err != nil || again != got {
		t.Errorf("%q is not canonical: %q, %v", got, again, err)
	}
}

func tree(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}
