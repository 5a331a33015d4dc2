package format_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/format"
	"github.com/keyferry/keyferry/secret"
)

// marker stands in every bad value; no error may quote it, not even a part.
const marker = "Xq7Zk"

// TestFindRefuses states what is wrong with a value and that the error names it without quoting the value.
func TestFindRefuses(t *testing.T) {
	for _, c := range []struct{ name, spec, value, want string }{
		{"empty", "raw", "", "the value is empty"},
		{"not UTF-8", "raw", "Xq7Zk\xff", "not UTF-8"},

		{"no scheme", "url", "Xq7Zk", "scheme://"},
		{"scheme of two parts", "url", "jdbc:Xq7Zk://u:Xq7Zk@h", "byte 4"},
		{"no user information", "url", "pg://h/Xq7Zk?password=Xq7Zk", "no @"},
		{"an @ only in the path", "url", "pg://u:Xq7/Zk@h", "no @ ends a user information before byte 10"},
		{"no colon", "url", "pg://Xq7Zk@h", "no colon"},
		{"empty password", "url", "pg://Xq7Zk:@h", "no password"},
		{"second @", "url", "pg://u:Xq7@Zk@h", "second @ at byte 13"},
		{"bad escape", "url", "pg://u:Xq7%Zk@h", "percent sign between bytes 7 and 13"},
		{"escape that is not UTF-8", "url", "pg://u:Xq7Zk%ff@h", "not UTF-8"},
		{"space", "url", "pg://u:Xq 7Zk@h", "byte 9 that must be percent-encoded"},
		{"backslash", "url", `pg://u:Xq\7Zk@h`, "byte 9"},
		{"newline in the user", "url", "pg://Xq7Zk\nu:Xq7Zk@h", "byte 10"},
		{"password in the query", "url", "pg://u:Xq7Zk@h/d?a=1&pass%77ord=other", "the query names"},
		{"user in the query", "url", "pg://u:Xq7Zk@h/d?User=other#f", "the query names"},
		{"copy in the query", "url", "pg://u:Xq7Zk@h/d?auth=%58q7Zk", "stands again in the text at byte 13"},
		{"list of URLs", "url", "amqp://u:Xq7Zk@h1,amqp://u:Xq7Zk@h2", "stands again"},

		{"no pairs", "ado", "Xq7Zk", "without an equal sign"},
		{"no password key", "ado", "Server=Xq7Zk", "no password"},
		{"password twice", "ado", "Password=Xq7Zk;Server=h;PWD=other", "given at byte 9 and again at byte 28"},
		{"password twice, the same", "ado", "Password=Xq7Zk;Password=Xq7Zk", "given at byte"},
		{"user twice", "ado", "Password=Xq7Zk;uid=a;User ID=b", "the user is given at byte 19 and again at byte 29"},
		{"semicolon not quoted", "ado", "Password=Xq7;Zk;UID=u", "ends at byte 15"},
		{"quote not closed", "ado", `UID=u;Password="Xq7Zk;`, "quote at byte 15 is not closed"},
		{"quote not doubled", "ado", `Password="Xq"7Zk"`, "follows the closing quote at byte 12"},
		{"quote at the end", "ado", `Password=Xq7Zk"`, "ends with a quote"},
		{"control character", "ado", "Password=Xq\x017Zk", "control character at byte 11"},
		{"NUL in quotes", "ado", "Password=\"Xq\x007Zk\"", "NUL"},
		{"no key", "ado", "=Xq7Zk", "no key"},
		{"control character in a key", "ado", "Xq\x017=Zk", "control character"},
		{"empty password", "ado", "Password=;UID=Xq7Zk", "no password"},
		{"empty password in quotes", "ado", `Password="";UID=Xq7Zk`, "no password"},
		{"nested connection string", "ado", `a="Password=Xq7Zk"`, "no password"},
		{"copy", "ado", `Password=Xq7Zk;Token="a Xq7Zk"`, "stands again in the text at byte 21"},

		{"no equal sign", "odbc", "PWD={Xq7Zk};Xq7Zk", "key at byte 12"},
		{"brace not closed", "odbc", "PWD={Xq7Zk}};", "not closed"},
		{"brace not doubled", "odbc", "PWD={Xq}7Zk}", "follows the closing brace at byte 7"},
		{"space before a brace", "odbc", "PWD= {Xq7Zk}", "white space before the brace at byte 5"},
		{"space around a password", "odbc", "PWD=Xq7Zk ;UID=u", "byte 4 begins or ends with white space"},
		{"space around a user", "odbc", "PWD=Xq7Zk;UID= u", "white space"},
		{"space behind the braces of a password", "odbc", "PWD={Xq7Zk} ", "white space"},
		{"password twice", "odbc", "PWD=Xq7Zk;Password=Xq7Zk", "given at byte"},
		{"no key", "odbc", "PWD=Xq7Zk; =Xq7Zk", "no key"},
		{"empty braces", "odbc", "PWD={};UID=Xq7Zk", "no password"},

		{"no pairs", "libpq", "Xq7Zk", "no equal sign"},
		{"space not quoted", "libpq", "password=Xq7 Zk user=u", "at byte 13 stands no key"},
		{"no key", "libpq", "password=Xq7Zk =Zk", "at byte 15"},
		{"quote not closed", "libpq", `password='Xq7Zk\'`, "quote at byte 9 is not closed"},
		{"quote without a backslash", "libpq", `password='Xq'7Zk'`, "follows the closing quote at byte 12"},
		{"backslash at the end", "libpq", `password=Xq7Zk\`, "backslash at byte 14"},
		{"backslash at the end of a quote", "libpq", `password='Xq7Zk\`, "backslash at byte 15"},
		{"password twice", "libpq", "password=Xq7Zk password=Xq7Zk", "given at byte 9 and again at byte 24"},
		{"keys mind case", "libpq", "Password=Xq7Zk", "no password"},
		{"a URL", "libpq", "pg://u:Xq7Zk@h/d?a=b", "no password"},
		{"empty", "libpq", "user=Xq7Zk password= ", "no password"},

		{"no slash", "dsn", "u:Xq7Zk@tcp(h)", "no slash"},
		{"no @", "dsn", "tcp(Xq7Zk)/d", "no @"},
		{"no colon", "dsn", "Xq7Zk@tcp(h)/d", "no colon"},
		{"slash in a parameter", "dsn", "u:Xq7Zk@tcp(h)/d?loc=a/b", "no closing parenthesis"},
		{"empty password", "dsn", "Xq7Zk:@tcp(h)/d", "no password"},

		{"not JSON", "json:/p", `{"p":"Xq7Zk",}`, "not JSON from byte 14"},
		{"JSON cut off", "json:/p", `{"p":"Xq7Zk"`, "not JSON from byte"},
		{"two documents", "json:/p", `{"p":"Xq7Zk"}{}`, "not JSON from byte"},
		{"nothing there", "json:/p", `{"q":"Xq7Zk"}`, `no text stands at "/p"`},
		{"keys mind case", "json:/p", `{"P":"Xq7Zk"}`, `no text stands at "/p"`},
		{"a number there", "json:/p", `{"p":12345,"q":"Xq7Zk"}`, `no text stands at "/p"`},
		{"null there", "json:/p", `{"p":null,"q":"Xq7Zk"}`, `no text stands at "/p"`},
		{"an object there", "json:/p", `{"p":{"p":"Xq7Zk"}}`, `no text stands at "/p"`},
		{"a number with a leading zero is no index", "json:/00", `["Xq7Zk"]`, `no text stands`},
		{"empty there", "json:/p", `{"p":"","q":"Xq7Zk"}`, "no password"},
		{"no user there", "json:/p,user=/u", `{"p":"Xq7Zk"}`, `no text stands at "/u"`},
		{"key twice", "json:/p", `{"p":"Xq7Zk","p":"Xq7Zk"}`, "byte 13 stands twice"},
		{"key twice, one escaped", "json:/p", `{"p":"Xq7Zk","\u0070":"other"}`, "byte 13 stands twice"},
		{"key twice elsewhere", "json:/p", `{"p":"Xq7Zk","a":[{"b":1,"b":1}]}`, "stands twice"},
		{"half a surrogate pair", "json:/p", `{"p":"Xq\ud83d7Zk"}`, "byte 8 is half a surrogate pair"},
		{"half a surrogate pair in the user", "json:/p,user=/u", `{"p":"Xq7Zk","u":"\ude00\ud83d"}`, "half a surrogate pair"},
		{"too deep", "json:/p", `{"p":"Xq7Zk","a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", "nested"},
		{"copy", "json:/p", `{"p":"Xq7Zk","q":{"url":"pg://u:Xq7Zk@h"}}`, "stands again in the text at byte 25"},
		{"copy, percent-encoded", "json:/p", `{"p":"Xq@7Zk%","q":"pg://u:Xq%407Zk%25@h"}`, "stands again"},
		{"copy, escaped", "json:/p", `{"p":"Xq7Zk","q":"\u0058q7Zk"}`, "stands again"},
		{"copy beside a URL", "json:/c+url", `{"p":"Xq7Zk","c":"pg://u:Xq7Zk@h"}`, "stands again in the text at byte 6"},
		{"copy in the URL", "json:/c+url", `{"c":"pg://u:Xq7Zk@h?auth=Xq7Zk"}`, "stands again in the text at byte 19"},
		{"bad text at the pointer", "json:/c+ado", `{"c":"Password=Xq7;Zk"}`, `in the text at "/c": a key`},
	} {
		t.Run(c.spec+" "+c.name, func(t *testing.T) {
			f, v := parse(t, c.spec), secret.New(c.value)
			_, err := f.Find(v)
			mustRefuse(t, err, secret.ErrInvalid, c.want)
			got, err := f.Replace(v, "", secret.New("Next-1"))
			mustRefuse(t, err, secret.ErrInvalid, c.want)
			if !got.IsZero() {
				t.Error("there is a value beside the error")
			}
		})
	}
}

func TestReplaceRefuses(t *testing.T) {
	good := map[string]string{
		"raw": "old-1", "url": "pg://u:old-1@h/d", "ado": "UID=u;PWD=old-1", "odbc": "UID=u;PWD=old-1", "libpq": "user=u password=old-1", "dsn": "u:old-1@tcp(h)/d",
		"json:/p,user=/u": `{"u":"u","p":"old-1","q":"Xq7Zk"}`, "json:/c+url": `{"c":"pg://u:old-1@h"}`,
	}
	for spec, value := range good {
		for _, c := range []struct{ what, password, want string }{
			{"empty", "", "the new password is empty"},
			{"NUL", "Xq7\x00Zk", "the new password holds a NUL"},
			{"not UTF-8", "Xq7\xffZk", "the new password is not UTF-8"},
		} {
			_, err := parse(t, spec).Replace(secret.New(value), "", secret.New(c.password))
			mustRefuse(t, err, secret.ErrInvalid, c.want)
			if spec != "raw" && c.password != "" {
				_, err = parse(t, spec).Replace(secret.New(value), c.password, secret.New("Next-1"))
				mustRefuse(t, err, secret.ErrInvalid, "the new user ")
			}
		}
	}
	for _, c := range []struct{ what, spec, value, user, password, want string }{
		{"no user in raw", "raw", "old-1", "u", "Next-1", "no user to replace"},
		{"no user in the value", "url", "redis://:old-1@h", "u", "Next-1", "no user to replace"},
		{"no pointer of the user", "json:/p", `{"u":"u","p":"old-1"}`, "u", "Next-1", "no user to replace"},
		{"colon in the user of a dsn", "dsn", "u:old-1@/d", marker + ":x", "Next-1", "cannot hold"},
		{"the new password is there already", "json:/p", `{"p":"old-1","q":"Xq7Zk"}`, "", marker, "does not read back: invalid input: the password stands again"},
	} {
		_, err := parse(t, c.spec).Replace(secret.New(c.value), c.user, secret.New(c.password))
		mustRefuse(t, err, secret.ErrInvalid, c.want)
	}
}

func TestTooLarge(t *testing.T) {
	long := strings.Repeat("x", secret.MaxValue)
	if _, err := (format.Format{}).Find(secret.New(long)); err != nil {
		t.Error(err)
	}
	_, err := (format.Format{}).Find(secret.New(long + "x"))
	mustRefuse(t, err, secret.ErrTooLarge, "25601 bytes of 25600")
	_, err = parse(t, "url").Replace(secret.New("pg://u:old-1@h"), "", secret.New(long))
	mustRefuse(t, err, secret.ErrTooLarge, "bytes of 25600")
}

// mustRefuse wants an error of the kind that says this and quotes no part of the value.
func mustRefuse(t *testing.T, err, kind error, want string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("got %v, want %v: ...%s...", err, kind, want)
	}
	for _, part := range []string{marker[:3], marker[3:]} {
		if strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("the error quotes the value: %v", err)
		}
	}
}

func mustFind(t interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}, f format.Format, v secret.Value, user, password string) {
	t.Helper()
	got, err := f.Find(v)
	if err != nil {
		t.Fatal(err)
	}
	if got.User != user || got.Password.Reveal() != password {
		t.Errorf("found %q %q, want %q %q", got.User, got.Password.Reveal(), user, password)
	}
}
