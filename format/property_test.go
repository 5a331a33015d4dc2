package format_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyferry/keyferry/secret"
)

// frame is a value around a user and a password that need no escape; <> stands for words that rapid draws.
type frame struct{ spec, before, between, after string }

var frames = []frame{
	{"url", "pg+<>://", ":", "@<>:1/<>?x=%2F%3d<>&<>#<>"},
	{"ado", ";; Server = <> ;a==b=\"<>;\"\"<>\"; User ID =", ";Pwd=\t", " ;X='<>''';Y=;"},
	{"odbc", "Driver={<>;}}<>};UID=", ";;PWD=", ";Z= <> ;"},
	{"libpq", "  host = '<>\\' <>' user\t=", "\npassword = ", " x=<>\\ <> y=''"},
	{"dsn", "", ":", "@tcp(<>:3306)/<>?x=<>%2F"},
	{"json:/d/1/p,user=/u", "{ \"<>\":1.50E+1,\"u\":\"", "\" ,\n\"d\":[null,{\"\\u0070\":\"", "\",\"<>\\/\\ud83d\\ude00\":\"<>\"}]}\n"},
	{"json:/c+url", "{\"<>\":[],\"c\":\"\\u0070g:\\/\\/", "\\u003a", "@<>\\/\\\\\\u00e4\"}"},
	{"json:/c+libpq", "{\"c\":\"us\\u0065r=", " password\\u003d", " <>='\\\"<>\\\\\\u0027'\",\"<>\":true}"},
}

func (f frame) fill(t *rapid.T) frame {
	word := rapid.StringMatching(`[a-y]{1,8}`)
	for _, s := range []*string{&f.before, &f.between, &f.after} {
		for strings.Contains(*s, "<>") {
			*s = strings.Replace(*s, "<>", word.Draw(t, "word")+"w", 1)
		}
	}
	return f
}

// passwords hold what means something to a format. The word in their middle keeps them from being in the frame by
// chance.
func passwords() *rapid.Generator[string] {
	char := rapid.OneOf(rapid.SampledFrom([]rune(hostile)), rapid.SampledFrom([]rune("\n\r\x01\x7f\u0085\u2028\ufffd[]()!*^`<>|,aZ9")), rapid.Rune())
	part := rapid.StringOfN(char, 0, 12, -1)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.ReplaceAll(part.Draw(t, "begin")+"Zq9"+part.Draw(t, "end"), "\x00", "")
	})
}

// TestReplacedIsFound states what Replace promises: Find returns what was put in, the bytes around the two places are
// those of before, and the way by which a value came to its credential leaves no trace in it.
func TestReplacedIsFound(t *testing.T) {
	for _, shape := range frames {
		t.Run(shape.spec, func(t *testing.T) {
			f := parse(t, shape.spec)
			rapid.Check(t, func(t *rapid.T) {
				at := shape.fill(t)
				value := secret.New(at.before + "app" + at.between + "old-1" + at.after)
				mustFind(t, f, value, "app", "old-1")
				one, two := passwords().Draw(t, "one"), passwords().Draw(t, "two")
				user := passwords().Draw(t, "user")
				if shape.spec == "dsn" {
					user = strings.ReplaceAll(user, ":", "")
				}
				replace := func(v secret.Value, user, password string) secret.Value {
					t.Helper()
					next, err := f.Replace(v, user, secret.New(password))
					if err != nil {
						t.Fatal(err)
					}
					return next
				}

				kept := replace(value, "", one)
				mustFind(t, f, kept, "app", one)
				mustFrame(t, kept, at.before+"app"+at.between, at.after)
				crossCheck(t, shape.spec, kept, "app", one)

				changed := replace(value, user, two)
				mustFind(t, f, changed, user, two)
				mustFrame(t, changed, at.before, at.after)
				if !strings.Contains(changed.Reveal()[len(at.before):], at.between) {
					t.Errorf("%q has lost what stands between user and password", changed.Reveal())
				}
				crossCheck(t, shape.spec, changed, user, two)

				if !replace(kept, user, two).Equal(changed) {
					t.Errorf("the password between, %q, has left a trace", one)
				}
				if !replace(replace(changed, "app", "old-1"), "", one).Equal(kept) {
					t.Errorf("the user between, %q, has left a trace", user)
				}
			})
		})
	}
}

func mustFrame(t *rapid.T, v secret.Value, before, after string) {
	t.Helper()
	if got := v.Reveal(); !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) {
		t.Errorf("%q has lost %q or %q", got, before, after)
	}
}

// crossCheck reads the value as the standard library does, where it knows the format.
func crossCheck(t *rapid.T, spec string, v secret.Value, user, password string) {
	t.Helper()
	text := v.Reveal()
	if strings.HasPrefix(spec, "json:") {
		var doc struct {
			U, C string
			D    []struct{ P string }
		}
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if doc.D != nil && (doc.D[1].P != password || doc.U != user) {
			t.Errorf("encoding/json reads %q %q, want %q %q", doc.U, doc.D[1].P, user, password)
		}
		text = doc.C
	}
	if strings.HasSuffix(spec, "url") {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, _ := u.User.Password(); got != password || u.User.Username() != user {
			t.Errorf("net/url reads %q %q, want %q %q", u.User.Username(), got, user, password)
		}
	}
}
