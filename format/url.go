package format

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// locateURL reads scheme://user:password@rest (RFC 3986 section 3.2.1). Parsers disagree on a second @ before the path
// and on a backslash, so both are refused; so is a query that names a user or a password again, because libpq lets it
// win over the user information.
func locateURL(text string) (layout, error) {
	start, err := authority(text)
	if err != nil {
		return layout{}, err
	}
	end := len(text)
	if i := strings.IndexAny(text[start:], "/?#"); i >= 0 {
		end = start + i
	}
	at := strings.IndexByte(text[start:end], '@')
	if at < 0 {
		return layout{}, fmt.Errorf("%w: no @ ends a user information before byte %d", errNoPassword, end)
	}
	at += start
	if i := strings.IndexByte(text[at+1:end], '@'); i >= 0 {
		return layout{}, fmt.Errorf("there is a second @ at byte %d: in a password it is written %%40", at+1+i)
	}
	colon := strings.IndexByte(text[start:at], ':')
	if colon < 0 {
		return layout{}, fmt.Errorf("%w: the user information at byte %d has no colon", errNoPassword, start)
	}
	colon += start
	l := layout{rest: []place{{at + 1, len(text), text[at+1:]}}}
	if l.user, err = userinfo(text, start, colon); err != nil {
		return layout{}, err
	}
	if l.password, err = userinfo(text, colon+1, at); err != nil {
		return layout{}, err
	}
	return l, secondInQuery(text[at+1:])
}

// authority returns the offset behind "scheme://".
func authority(text string) (int, error) {
	scheme, _, ok := strings.Cut(text, "://")
	if !ok || scheme == "" {
		return 0, errors.New("it does not begin with scheme://")
	}
	for i, c := range []byte(scheme) {
		alpha := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alpha && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return 0, fmt.Errorf("its scheme has a foreign character at byte %d", i)
		}
	}
	return len(scheme) + len("://"), nil
}

func userinfo(text string, from, to int) (place, error) {
	raw := text[from:to]
	if i := strings.IndexFunc(raw, func(r rune) bool { return r == '\\' || unicode.IsSpace(r) || unicode.IsControl(r) }); i >= 0 {
		return place{}, fmt.Errorf("the user information has a character at byte %d that must be percent-encoded", from+i)
	}
	plain, err := url.PathUnescape(raw)
	if err != nil { // its text quotes the value
		return place{}, fmt.Errorf("a percent sign between bytes %d and %d begins no escape", from, to)
	}
	if !utf8.ValidString(plain) {
		return place{}, fmt.Errorf("the user information at byte %d is not UTF-8", from)
	}
	return place{from, to, plain}, nil
}

func secondInQuery(rest string) error {
	rest, _, _ = strings.Cut(rest, "#")
	_, query, _ := strings.Cut(rest, "?")
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		key, _, _ := strings.Cut(pair, "=")
		switch strings.ToLower(unescapeAll(key)) {
		case "password", "pwd", "pass", "user", "username":
			return errors.New("the query names a user or a password too")
		}
	}
	return nil
}

// writeURL percent-encodes all but the unreserved characters (RFC 3986 section 2.3), which every parser takes.
func writeURL(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if unreserved(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// unreserved characters need no escape in any of the formats.
func unreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-._~", c) >= 0
}

func allUnreserved(text string) bool {
	for _, c := range []byte(text) {
		if !unreserved(c) {
			return false
		}
	}
	return true
}
