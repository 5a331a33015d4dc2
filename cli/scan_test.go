package cli

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// spelled are the forms in which a value may show up: as it is, and as the encoders of Go, of JSON, of URLs and of
// credentials write it.
func spelled(value string) map[string]string {
	inJSON := func(escape bool) string {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escape)
		_ = enc.Encode(value) // a string
		return inner(strings.TrimSpace(b.String()))
	}
	raw := []byte(value)
	forms := map[string]string{
		"as it is":         value,
		"JSON":             inJSON(false),
		"JSON for HTML":    inJSON(true),
		"JSON in JSON":     inner(strconv.Quote(inJSON(false))),
		"%q":               inner(strconv.Quote(value)),
		"%+q":              inner(strconv.QuoteToASCII(value)),
		"HTML":             html.EscapeString(value),
		"URL query":        url.QueryEscape(value),
		"URL path":         url.PathEscape(value),
		"hex":              hex.EncodeToString(raw),
		"HEX":              strings.ToUpper(hex.EncodeToString(raw)),
		"hex with blanks":  fmt.Sprintf("% x", raw),
		"bytes":            inner(fmt.Sprint(raw)),
		"bytes in JSON":    strings.ReplaceAll(inner(fmt.Sprint(raw)), " ", ","),
		"bytes as Go":      strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", raw), "[]byte{"), "}"),
		"bytes on lines":   strings.ReplaceAll(inner(fmt.Sprint(raw)), " ", "\n"),
		"base64, raw":      base64.RawStdEncoding.EncodeToString(raw),
		"base64, padded":   base64.StdEncoding.EncodeToString(raw),
		"base64 of URLs":   base64.RawURLEncoding.EncodeToString(raw),
		"base64, inside 0": within("", value),
		"base64, inside 1": within("-", value),
		"base64, inside 2": within("--", value),
	}
	// However often a text is escaped, its letters stay.
	for i, word := range word.FindAllString(value, -1) {
		forms["head of word "+strconv.Itoa(i)] = word[:12]
		forms["tail of word "+strconv.Itoa(i)] = word[len(word)-12:]
	}
	return forms
}

var word = regexp.MustCompile(`[0-9A-Za-z]{12,}`)

func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// within is what base64 makes of a value somewhere inside a longer text, less the characters it shares with its
// neighbours. There are three ways it can lie.
func within(before, value string) string {
	text := base64.RawStdEncoding.EncodeToString([]byte(before + value))
	return text[(len(before)*8+5)/6 : len(text)-1]
}

// leaving is what left the program at one place: a stream, an answer, a tag.
type leaving struct{ place, text string }

// leaks says which value is found where and in which form. It names values by their number. Those under eight bytes
// stand everywhere by chance and are not looked for.
func leaks(values []string, outputs []leaving) (found []string) {
	for i, value := range values {
		if len(value) < 8 {
			continue
		}
		for form, text := range spelled(value) {
			for _, o := range outputs {
				if strings.Contains(o.text, text) {
					found = append(found, fmt.Sprintf("value %d, %s, in %s", i, form, o.place))
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
