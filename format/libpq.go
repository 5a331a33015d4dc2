package format

import (
	"fmt"
	"strings"
)

// libpqKeys are compared as they are.
var libpqKeys = keys{password: []string{"password"}, user: []string{"user"}}

// libpqSpace is C's isspace.
const libpqSpace = " \t\n\v\f\r"

// locateLibpq reads keyword=value pairs separated by white space, as libpq's conninfo_parse does: white space around
// the equal sign does not count, a backslash takes the next character as it is, and a value in single quotes may be
// empty and hold white space. Unlike libpq it refuses a backslash at the very end and a key right behind a quote.
func locateLibpq(text string) (layout, error) {
	var pairs []pair
	for i := skipSpace(text, 0); i < len(text); i = skipSpace(text, i) {
		n := strings.IndexAny(text[i:], "="+libpqSpace)
		if n < 0 {
			return layout{}, fmt.Errorf("the key at byte %d has no equal sign", i)
		}
		equal := skipSpace(text, i+n)
		if n == 0 || equal == len(text) || text[equal] != '=' {
			return layout{}, fmt.Errorf("at byte %d stands no key with an equal sign: a value with a space is quoted", i)
		}
		value, err := libpqValue(text, skipSpace(text, equal+1))
		if err != nil {
			return layout{}, err
		}
		pairs = append(pairs, pair{text[i : i+n], value})
		i = value.to
	}
	return libpqKeys.layout(pairs)
}

func libpqValue(text string, from int) (place, error) {
	i, quoted := from, strings.HasPrefix(text[from:], "'")
	stop := libpqSpace
	if quoted {
		i, stop = i+1, "'"
	}
	var plain strings.Builder
	for ; i < len(text) && strings.IndexByte(stop, text[i]) < 0; i++ {
		if text[i] == '\\' {
			if i++; i == len(text) {
				return place{}, fmt.Errorf("the backslash at byte %d is the last character", i-1)
			}
		}
		plain.WriteByte(text[i])
	}
	if quoted {
		if i == len(text) {
			return place{}, fmt.Errorf("the quote at byte %d is not closed", from)
		}
		if i++; i < len(text) && strings.IndexByte(libpqSpace, text[i]) < 0 {
			return place{}, fmt.Errorf("something follows the closing quote at byte %d: a quote inside has a backslash", i-1)
		}
	}
	return place{from, i, plain.String()}, nil
}

func skipSpace(text string, i int) int {
	return len(text) - len(strings.TrimLeft(text[i:], libpqSpace))
}

func writeLibpq(text string) string {
	if allUnreserved(text) {
		return text
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
