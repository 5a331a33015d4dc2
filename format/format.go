package format

import (
	"fmt"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// Format says where the password stands inside a value. The zero Format is raw. Formats compare with ==, are
// immutable and safe for concurrent use.
type Format struct {
	spec     string // as it was given; "" for raw
	flat     string // the format of the value or, with a pointer, of the text there; "" for raw
	password string // JSON pointer, "" without JSON
	user     string // JSON pointer, "" for none
}

// String returns the text that Parse took.
func (f Format) String() string {
	if f.spec == "" {
		return "raw"
	}
	return f.spec
}

// userMark separates the pointer of the password from that of the user.
const userMark = ",user="

// Parse reads the text of a setting or a tag; the package's page lists what it may be, and "" is raw. Names are lower
// case. In a JSON format the last "+" followed by the name of a format ends the pointer, so a key that ends so needs
// "+raw" after it; a key that holds ",user=/" cannot be expressed.
//
// Errors wrap secret.ErrInvalid.
func Parse(spec string) (Format, error) {
	f, err := parse(spec)
	if err != nil {
		return Format{}, fmt.Errorf("parse format %q: %w: %w", secret.Shorten(spec, 64), secret.ErrInvalid, err)
	}
	return f, nil
}

func parse(spec string) (Format, error) {
	if spec == "" || spec == "raw" {
		return Format{}, nil
	}
	if _, ok := flat(spec); ok {
		return Format{spec: spec, flat: spec}, nil
	}
	pointers, ok := strings.CutPrefix(spec, "json:")
	if !ok {
		return Format{}, fmt.Errorf("want raw, json:/pointer, url, ado, odbc, libpq or dsn")
	}
	f := Format{spec: spec}
	if plus := strings.LastIndexByte(pointers, '+'); plus >= 0 {
		if _, ok := flat(pointers[plus+1:]); ok {
			f.flat, pointers = pointers[plus+1:], pointers[:plus]
		}
	}
	if at := strings.LastIndex(pointers, userMark+"/"); at >= 0 {
		pointers, f.user = pointers[:at], pointers[at+len(userMark):]
		if f.flat != "" && f.flat != "raw" {
			return Format{}, fmt.Errorf("the %s holds the user, so it has no pointer of its own", f.flat)
		}
		if err := checkPointer(f.user); err != nil {
			return Format{}, fmt.Errorf("the pointer of the user %w", err)
		}
	}
	if err := checkPointer(pointers); err != nil {
		return Format{}, fmt.Errorf("the pointer of the password %w", err)
	}
	if pointers == f.user {
		return Format{}, fmt.Errorf("user and password stand at one pointer")
	}
	f.password = pointers
	return f, nil
}

// grammar is how values of one format are read and written. Both functions are pure.
type grammar struct {
	// locate finds the places in a text that is valid UTF-8 and not empty. A password or user with an empty text is
	// one that is not there.
	locate func(text string) (layout, error)
	// write encodes a text for the place that held another. That it reads back is checked by its caller.
	write func(text string) string
}

// flat returns the grammar of a format that needs no pointer.
func flat(name string) (grammar, bool) {
	switch name {
	case "raw", "":
		return grammar{locateRaw, verbatim}, true
	case "url":
		return grammar{locateURL, writeURL}, true
	case "ado":
		return grammar{locateADO, writeADO}, true
	case "odbc":
		return grammar{locateODBC, writeODBC}, true
	case "libpq":
		return grammar{locateLibpq, writeLibpq}, true
	case "dsn":
		return grammar{locateDSN, verbatim}, true
	}
	return grammar{}, false
}

func (f Format) grammar() grammar {
	g, _ := flat(f.flat)
	if f.password == "" {
		return g
	}
	return grammar{
		locate: func(text string) (layout, error) { return locateJSON(text, f.password, f.user, g) },
		write:  func(text string) string { return escapeText(g.write(text)) },
	}
}

func locateRaw(text string) (layout, error) {
	return layout{password: place{to: len(text), text: text}}, nil
}

func verbatim(text string) string { return text }
