package format

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decode returns what the text means and, for every offset in that, its end included, the offset in the document. It
// refuses half a surrogate pair, for which readers put different characters.
func (t jsonText) decode(doc string) (plain string, at []int, err error) {
	var b strings.Builder
	for i := t.from; i < t.to; {
		r, next := rune(doc[i]), i+1
		if doc[i] == '\\' {
			r, next = unescape(doc, i)
		}
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if strings.HasPrefix(doc[next:], `\u`) {
				low, next = unescape(doc, next)
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", nil, fmt.Errorf("the escape at byte %d is half a surrogate pair", i)
			}
		}
		before := b.Len()
		if doc[i] == '\\' {
			b.WriteRune(r)
		} else {
			b.WriteByte(doc[i])
		}
		for range b.Len() - before {
			at = append(at, i)
		}
		i = next
	}
	return b.String(), append(at, t.to), nil
}

// unescape reads the escape at i of a valid document: its character or half of one, and the offset behind it.
func unescape(doc string, i int) (rune, int) {
	switch c := doc[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
		n, _ := strconv.ParseUint(doc[i+2:i+6], 16, 16) // valid: readTexts
		return rune(n), i + 6
	default: // " \ /
		return rune(c), i + 2
	}
}

// escapeText writes a text for between the quotes of a JSON string, with no more escapes than RFC 8259 section 7 asks
// for.
func escapeText(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
