package format_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/format"
	"github.com/keyferry/keyferry/secret"
)

func parse(t interface {
	Helper()
	Fatal(...any)
}, spec string) format.Format {
	t.Helper()
	f, err := format.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParse(t *testing.T) {
	for _, spec := range []string{
		"raw", "url", "ado", "odbc", "libpq", "dsn", "json:/password", "json:/a~0b~1c/0/d", "json:/", "json:/password,user=/username",
		"json:/conn+url", "json:/conn+ado", "json:/conn+raw", "json:/a+url+raw", "json:/a+b", "json:/p,user=/u+raw", "json:/a,user=b",
	} {
		if got := parse(t, spec).String(); got != spec {
			t.Errorf("%q prints as %q", spec, got)
		}
	}
	for _, spec := range []string{
		"Raw", " raw", "xml", "json", "json:", "json:password", "json:/a~2", "json:/a~", "json:/a,user=/~", "json:/a,user=/a", "json:,user=/a",
		"json:/conn,user=/u+url", "url:/a", "json:+url", "json:/a~+url", "auto",
	} {
		if _, err := format.Parse(spec); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("Parse(%q) = %v, want ErrInvalid", spec, err)
		}
	}
	if _, err := format.Parse(strings.Repeat("x", 10_000)); len(err.Error()) > 300 {
		t.Errorf("an error of %d bytes quotes all of a bad format", len(err.Error()))
	}
}

func TestZeroFormatIsRaw(t *testing.T) {
	if parse(t, "raw") != (format.Format{}) || parse(t, "") != (format.Format{}) || (format.Format{}).String() != "raw" {
		t.Error("the zero Format is not raw")
	}
}

func FuzzParse(f *testing.F) {
	for _, spec := range []string{"", "raw", "url", "json:/a~1b/0", "json:/p,user=/u", "json:/conn+libpq", "json:/,user=/~0+raw"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		got, err := format.Parse(spec)
		if err != nil {
			return
		}
		if again := parse(t, got.String()); again != got {
			t.Errorf("%q reads back as %#v, not %#v", got, again, got)
		}
	})
}
