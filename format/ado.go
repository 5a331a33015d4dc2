package format

import (
	"fmt"
	"strings"
	"unicode"
)

// adoKeys are the synonyms of SqlClient, Npgsql and MySqlConnector. Keys ignore case.
var adoKeys = keys{
	password: []string{"password", "pwd", "psw"},
	user:     []string{"user id", "uid", "user", "username", "user name", "userid"},
}

// locateADO reads key=value pairs separated by semicolons, by the rules of .NET's DbConnectionOptions: white space
// around keys and values does not count, "==" in a key is an equal sign, a value may be quoted by " or ' with the quote
// doubled inside, and one that is not quoted neither begins nor ends with a quote.
func locateADO(text string) (layout, error) {
	var pairs []pair
	for i := 0; i < len(text); {
		key, at, err := adoKey(text, i)
		if err != nil {
			return layout{}, err
		}
		if at < 0 {
			break
		}
		value, next, err := adoValue(text, at)
		if err != nil {
			return layout{}, err
		}
		pairs = append(pairs, pair{key, value})
		i = next
	}
	return adoKeys.layout(pairs)
}

// adoKey returns the key that begins at or behind i and the offset behind its equal sign, which is -1 at the end.
func adoKey(text string, i int) (string, int, error) {
	for i += blanks(text[i:]); i < len(text) && text[i] == ';'; i += blanks(text[i:]) {
		i++
	}
	if i == len(text) {
		return "", -1, nil
	}
	var key strings.Builder
	for from := i; i < len(text) && text[i] != ';'; i++ {
		if text[i] == '=' {
			if !strings.HasPrefix(text[i:], "==") {
				name := strings.ToLower(strings.TrimSpace(key.String()))
				if name == "" {
					return "", 0, fmt.Errorf("there is no key before the equal sign at byte %d", i)
				}
				return name, i + 1, nil
			}
			i++
		}
		if text[i] < ' ' && !unicode.IsSpace(rune(text[i])) {
			return "", 0, fmt.Errorf("the key at byte %d has a control character", from)
		}
		key.WriteByte(text[i])
	}
	return "", 0, fmt.Errorf("a key without an equal sign ends at byte %d: a value with a semicolon is quoted", i)
}

// adoValue returns the value that begins at or behind i and the offset where the next key may begin.
func adoValue(text string, i int) (place, int, error) {
	i += blanks(text[i:])
	if i < len(text) && (text[i] == '"' || text[i] == '\'') {
		plain, end, ok := doubled(text, i+1, text[i])
		if !ok {
			return place{}, 0, fmt.Errorf("the quote at byte %d is not closed", i)
		}
		if strings.IndexByte(plain, 0) >= 0 {
			return place{}, 0, fmt.Errorf("the value at byte %d holds a NUL", i)
		}
		next := end + blanks(text[end:])
		if next < len(text) && text[next] != ';' {
			return place{}, 0, fmt.Errorf("something follows the closing quote at byte %d: a quote inside is doubled", end-1)
		}
		return place{i, end, plain}, next, nil
	}
	end := len(text)
	if n := strings.IndexByte(text[i:], ';'); n >= 0 {
		end = i + n
	}
	raw := strings.TrimSpace(text[i:end])
	if strings.HasSuffix(raw, `"`) || strings.HasSuffix(raw, "'") {
		return place{}, 0, fmt.Errorf("the value at byte %d ends with a quote and does not begin with one", i)
	}
	if n := strings.IndexFunc(raw, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }); n >= 0 {
		return place{}, 0, fmt.Errorf("the value has a control character at byte %d and is not quoted", i+n)
	}
	return place{i, i + len(raw), raw}, end, nil
}

// doubled reads up to the closing mark, which is doubled where it stands for itself, and returns the offset behind it.
func doubled(text string, i int, mark byte) (plain string, end int, ok bool) {
	var b strings.Builder
	for ; i < len(text); i++ {
		if text[i] == mark {
			if i+1 == len(text) || text[i+1] != mark {
				return b.String(), i + 1, true
			}
			i++
		}
		b.WriteByte(text[i])
	}
	return "", 0, false
}

func blanks(text string) int { return len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace)) }

func writeADO(text string) string {
	if allUnreserved(text) {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}
