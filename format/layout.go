package format

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// place is where a text stands in a value.
type place struct {
	from, to int    // the bytes that hold it, quotes included
	text     string // what they mean
}

// layout is what a grammar sees in a value.
type layout struct {
	password, user place
	rest           []place // other texts in which a copy of the password would go stale
}

var errNoPassword = errors.New("there is no password")

// check refuses a layout whose password is not there exactly once.
func (l layout) check() error {
	if l.password.text == "" {
		return errNoPassword
	}
	for _, p := range l.rest {
		if holds(p.text, l.password.text) {
			return fmt.Errorf("the password stands again in the text at byte %d, which would keep the old one", p.from)
		}
	}
	return nil
}

// holds reports whether the password stands in the text as a word of its own, plain or percent-encoded. Inside a
// longer word it is there by chance.
func holds(text, password string) bool {
	if hasWord(text, password) {
		return true
	}
	if !strings.Contains(text, "%") {
		return false
	}
	return hasWord(unescapeAll(text), password)
}

func hasWord(text, word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(word):])
		if !(inWord(before) && inWord(first)) && !(inWord(last) && inWord(after)) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		from = i + size
	}
}

// inWord reports whether the character joins others to a word. A name such as my-secret_db.local is one: what sets a
// password apart is none of its three marks.
func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' || r == '.'
}

// unescapeAll decodes the percent signs that can be decoded and leaves the others.
func unescapeAll(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if s, err := url.PathUnescape(text[i : i+3]); err == nil {
				b.WriteString(s)
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

type edit struct {
	at   place
	text string // encoded
}

// splice puts the encoded texts in the places of a value. The places do not overlap.
func splice(value string, edits ...edit) string {
	if len(edits) == 2 && edits[0].at.from > edits[1].at.from {
		edits[0], edits[1] = edits[1], edits[0]
	}
	var b strings.Builder
	done := 0
	for _, e := range edits {
		b.WriteString(value[done:e.at.from])
		b.WriteString(e.text)
		done = e.at.to
	}
	b.WriteString(value[done:])
	return b.String()
}
