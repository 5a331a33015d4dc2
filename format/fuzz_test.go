package format_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

// fuzz reads foreign values. Nothing panics; whatever is found can be replaced, by plain and by hostile passwords, and
// the way to a credential leaves no trace in what stands around it.
func fuzz(f *testing.F, spec string, seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	form := parse(f, spec)
	f.Fuzz(func(t *testing.T, value string) {
		v := secret.New(value)
		was, err := form.Find(v)
		if err != nil {
			if !errors.Is(err, secret.ErrInvalid) && !errors.Is(err, secret.ErrTooLarge) {
				t.Errorf("the error has no class: %v", err)
			}
			return
		}
		if strings.Contains(value, "Zq9") || len(value) > 10_000 {
			return // may hold one of the passwords below, or have no room for them
		}
		replace := func(v secret.Value, password string) secret.Value {
			t.Helper()
			next, err := form.Replace(v, was.User, secret.New(password))
			if err != nil {
				t.Fatalf("%q: %v", v.Reveal(), err)
			}
			mustFind(t, form, next, was.User, password)
			return next
		}
		wild := hostile + "Zq9"
		plain := replace(v, "Zq9fuzz")
		if !replace(replace(v, wild), "Zq9fuzz").Equal(plain) {
			t.Errorf("%q: a password between has left a trace", value)
		}
		slot := strings.Index(plain.Reveal(), "Zq9fuzz")
		before, after := plain.Reveal()[:slot], plain.Reveal()[slot+len("Zq9fuzz"):]
		if !strings.HasPrefix(value, before) || !strings.HasSuffix(value, after) || len(before)+len(after) > len(value) {
			t.Errorf("%q became %q: more than the password has changed", value, plain.Reveal())
		}
	})
}

func FuzzRaw(f *testing.F) { fuzz(f, "raw", "old", "", " \n", "\xff") }

func FuzzURL(f *testing.F) {
	fuzz(f, "url", "pg://u:p%40%20@h:1/d?a=b#c", "redis://:p@h", "a://u:p@h,u2@h", "a://u:%zz@h", "://u:p@h", "a://u:p@h?user=x", "a://u:p@h/p", "a://ü:^p@h")
}

// FuzzURLAsNetURL states that a credential that net/url reads too is the same.
func FuzzURLAsNetURL(f *testing.F) {
	for _, seed := range []string{"pg://u:p%40%20@h:1/d?a=b#c", "redis://:p@h", "a://u:p:q@[::1]:1", "a:///u:p@h", "a://u:p?@h"} {
		f.Add(seed)
	}
	form := parse(f, "url")
	f.Fuzz(func(t *testing.T, value string) {
		got, err := form.Find(secret.New(value))
		u, theirs := url.Parse(value)
		if err != nil || theirs != nil {
			return
		}
		if password, _ := u.User.Password(); u.User.Username() != got.User || password != got.Password.Reveal() {
			t.Errorf("%q: found %q %q, net/url reads %q %q", value, got.User, got.Password.Reveal(), u.User.Username(), password)
		}
	})
}

func FuzzADO(f *testing.F) {
	fuzz(f, "ado", "Server=h;UID=u;PWD=p", ` ;; a==b = 'c;''' ; Password = "p;""q" ;`, "Password==x=y", "pwd=a'b;x=", "pwd='", "pwd=a b \u00a0;", "=;", "pwd=\n")
}

func FuzzODBC(f *testing.F) {
	fuzz(f, "odbc", "Driver={x;};UID=u;PWD={p;}}q};", "PWD=p}{;", "PWD={", "pwd={a} ", "d={a} ;pwd=b", "pwd={a};b={c}d", ";;=x", "PWD= x", "PWD=x;UID={}")
}

func FuzzLibpq(f *testing.F) {
	fuzz(f, "libpq", "host=h user=u password=p", `password = 'p \'\\q' user='' `, `password=a\ b`, `password='`, `a='b'c=d`, "password=\\", "password\t\n=\vx")
}

func FuzzDSN(f *testing.F) {
	fuzz(f, "dsn", "u:p@tcp(h:1)/d?x=y", "u:p/@:@/", ":p@/", "u@/", "u:p@unix(@/a)/b", "/", "u:p@(a/b")
}

func FuzzJSON(f *testing.F) {
	fuzz(f, "json:/p,user=/u/0", `{"u":["a"],"p":"b\u00e4\ud83d\ude00\/"}`, ` {"u":["a",1e5,null],"\u0070":"b", "x":{"p":"c"}} `, `{"u":["a"],"p":"\ud83d"}`, `{"p":`, "[[[[", `{"u":{"0":"a"},"p":"b"}`)
}

func FuzzJSONWithURL(f *testing.F) {
	fuzz(f, "json:/c+url", `{"c":"pg://u:p@h"}`, `{"c":"\u0070g:\/\/u\u003ap\u0025\u0034\u0030@h\ud83d\ude00"}`, `{"c":"pg://u:p@h","d":"p"}`, `{"c":1}`)
}
