package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/goccy/go-yaml"

	"github.com/keyferry/keyferry/secret"
)

// content is not a secret, but long and odd enough to be found wherever it appears.
const content = `not-a-secret "quoted" %41/ü`

// forms are the shapes in which a value would be recognised.
func forms() []string {
	inJSON, _ := json.Marshal(content)
	return []string{
		content, "not-a-secret", strings.Trim(string(inJSON), `"`), fmt.Sprintf("%q", content),
		hex.EncodeToString([]byte(content)), strings.ToUpper(hex.EncodeToString([]byte(content))),
		base64.StdEncoding.EncodeToString([]byte(content)), strings.Trim(fmt.Sprint([]byte(content)), "[]"),
		"110 111 116 45", // %d of the bytes
	}
}

func mustNotHold(t *testing.T, what, printed string) {
	t.Helper()
	for _, form := range forms() {
		if strings.Contains(printed, form) {
			t.Errorf("%s shows the value: %q", what, printed)
			return
		}
	}
}

type outer struct {
	Public  secret.Value
	private secret.Value
	pointer *secret.Value
	list    []secret.Value
	byName  map[string]secret.Value
	any     any
	inner   struct{ deep secret.Value }
}

func holders() map[string]any {
	v := secret.New(content)
	o := outer{Public: v, private: v, pointer: &v, list: []secret.Value{v}, byName: map[string]secret.Value{"k": v}, any: v}
	o.inner.deep = v
	return map[string]any{"value": v, "pointer": &v, "slice": []secret.Value{v}, "map": map[string]secret.Value{"k": v},
		"struct": o, "pointer to struct": &o, "slice of structs": []outer{o}}
}

func TestValueIsNeverPrinted(t *testing.T) {
	for name, holder := range holders() {
		for verb := rune('A'); verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "32", ".4"} {
				format := "%" + flags + string(verb)
				mustNotHold(t, format+" of "+name, fmt.Sprintf(format, holder))
			}
		}
		mustNotHold(t, "Sprint of "+name, fmt.Sprint(holder))
		mustNotHold(t, "Errorf of "+name, fmt.Errorf("store %v", holder).Error())
		mustNotHold(t, "wrapped error with "+name, errors.Join(errors.New("x"), fmt.Errorf("%+v", holder)).Error())
	}
	v := secret.New(content)
	if got := v.String() + v.GoString(); got != "[secret][secret]" {
		t.Errorf("String and GoString = %q", got)
	}
}

func TestValueIsNeverLogged(t *testing.T) {
	for name, holder := range holders() {
		var out bytes.Buffer
		options := &slog.HandlerOptions{AddSource: true, Level: slog.LevelDebug}
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, options), slog.NewJSONHandler(&out, options)} {
			log := slog.New(h).With("with", holder).WithGroup("g")
			log.Info("msg", "attr", holder, slog.Group("deeper", "attr", holder), "err", fmt.Errorf("x: %v", holder))
		}
		mustNotHold(t, "slog of "+name, out.String())
	}
}

func TestValueIsNeverEncoded(t *testing.T) {
	encoders := map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"json indent": func(v any) ([]byte, error) {
			return json.MarshalIndent(v, "", " ")
		},
		"yaml": func(v any) ([]byte, error) { return yaml.Marshal(v) },
		"xml":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
		"template": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse(`{{.}} {{printf "%v %q %x" . . .}}`)).Execute(&b, v)
			return b.Bytes(), err
		},
	}
	for encoder, encode := range encoders {
		for name, holder := range holders() {
			out, err := encode(holder)
			mustNotHold(t, encoder+" of "+name, string(out))
			if err != nil {
				mustNotHold(t, "error of "+encoder+" of "+name, err.Error())
			}
		}
		if _, err := encode(secret.New(content)); err == nil && encoder != "template" {
			t.Errorf("%s of a bare value did not fail", encoder)
		}
	}
	if _, err := json.Marshal(struct{ Forgotten secret.Value }{secret.New(content)}); err == nil {
		t.Error("json of a struct with a value in an exported field did not fail")
	}
}

func TestValueIsNotComparable(t *testing.T) {
	if reflect.TypeFor[secret.Value]().Comparable() {
		t.Error("secret.Value is comparable, so that == compiles: it would compare addresses, and in variable time what they hold")
	}
}

func TestValueEqual(t *testing.T) {
	var zero secret.Value
	for _, c := range []struct {
		name string
		a, b secret.Value
		want bool
	}{
		{"same content", secret.New("a"), secret.New("a"), true},
		{"other content", secret.New("a"), secret.New("b"), false},
		{"other length", secret.New("a"), secret.New("aa"), false},
		{"zero and zero", zero, zero, true},
		{"zero and empty", zero, secret.New(""), false},
		{"empty and zero", secret.New(""), zero, false},
		{"empty and empty", secret.New(""), secret.New(""), true},
	} {
		if got := c.a.Equal(c.b); got != c.want {
			t.Errorf("%s: Equal = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestValueReveal(t *testing.T) {
	v := secret.New(content)
	if v.Reveal() != content || v.Len() != len(content) || v.IsZero() {
		t.Error("New does not keep its content")
	}
	var zero secret.Value
	if zero.Reveal() != "" || zero.Len() != 0 || !zero.IsZero() {
		t.Error("the zero Value holds something")
	}
	if empty := secret.New(""); empty.IsZero() {
		t.Error(`New("") is the zero Value`)
	}
}
