package format

import (
	"fmt"
	"strings"
)

// odbcKeys are those of the ODBC specification and of psqlODBC. Keys ignore case.
var odbcKeys = keys{
	password: []string{"pwd", "password"},
	user:     []string{"uid", "username", "user"},
}

// locateODBC reads key=value pairs separated by semicolons ([MS-ODBCSTR] 2.1): a value that begins with { ends at the
// } that is not doubled, every other value at the next semicolon. Drivers disagree on white space around a value, so
// it is refused before a brace and around a credential.
func locateODBC(text string) (layout, error) {
	var pairs []pair
	for i := 0; i < len(text); {
		key, at, err := odbcKey(text, i)
		if err != nil {
			return layout{}, err
		}
		if at < 0 {
			break
		}
		value, next, err := odbcValue(text, at)
		if err != nil {
			return layout{}, err
		}
		pairs = append(pairs, pair{key, value})
		i = next
	}
	l, err := odbcKeys.layout(pairs)
	if err != nil {
		return layout{}, err
	}
	for _, p := range []place{l.password, l.user} {
		outside := text[p.from:p.to] == p.text && strings.TrimSpace(p.text) != p.text
		if p.text != "" && (outside || blanks(text[p.to:]) > 0) {
			return layout{}, fmt.Errorf("the value at byte %d begins or ends with white space that is not in braces", p.from)
		}
	}
	return l, nil
}

func odbcKey(text string, i int) (string, int, error) {
	for i += blanks(text[i:]); i < len(text) && text[i] == ';'; i += blanks(text[i:]) {
		i++
	}
	if i == len(text) {
		return "", -1, nil
	}
	n := strings.IndexAny(text[i:], "=;")
	if n < 0 || text[i+n] == ';' {
		return "", 0, fmt.Errorf("the key at byte %d has no equal sign: a value with a semicolon is put in braces", i)
	}
	key := strings.ToLower(strings.TrimSpace(text[i : i+n]))
	if key == "" {
		return "", 0, fmt.Errorf("there is no key before the equal sign at byte %d", i+n)
	}
	return key, i + n + 1, nil
}

func odbcValue(text string, i int) (place, int, error) {
	brace := i + blanks(text[i:])
	if brace == len(text) || text[brace] != '{' {
		end := len(text)
		if n := strings.IndexByte(text[i:], ';'); n >= 0 {
			end = i + n
		}
		return place{i, end, text[i:end]}, end, nil
	}
	if brace > i {
		return place{}, 0, fmt.Errorf("there is white space before the brace at byte %d", brace)
	}
	plain, end, ok := doubled(text, i+1, '}')
	if !ok {
		return place{}, 0, fmt.Errorf("the brace at byte %d is not closed", i)
	}
	next := end + blanks(text[end:])
	if next < len(text) && text[next] != ';' {
		return place{}, 0, fmt.Errorf("something follows the closing brace at byte %d: a } inside is doubled", end-1)
	}
	return place{i, end, plain}, next, nil
}

func writeODBC(text string) string {
	if allUnreserved(text) {
		return text
	}
	return "{" + strings.ReplaceAll(text, "}", "}}") + "}"
}
