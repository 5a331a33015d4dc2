package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxDepth bounds how deep the JSON of a value may be nested.
const maxDepth = 64

// locateJSON reads the texts at two pointers, the one of the user being "" for none; inner reads what stands at the
// pointer of the password.
func locateJSON(text, password, user string, inner grammar) (layout, error) {
	texts, err := readTexts(text)
	if err != nil {
		return layout{}, err
	}
	var l layout
	var conn *jsonText
	hasUser := user == ""
	for i, t := range texts {
		switch t.pointer {
		case password:
			conn = &texts[i]
		case user:
			plain, _, err := t.decode(text)
			if err != nil {
				return layout{}, err
			}
			hasUser, l.user = true, place{t.from, t.to, plain}
		default:
			l.rest = append(l.rest, place{t.from, t.to, t.text})
		}
	}
	if conn == nil {
		return layout{}, fmt.Errorf("%w: no text stands at %q", errNoPassword, password)
	}
	if !hasUser {
		return layout{}, fmt.Errorf("there is no user: no text stands at %q", user)
	}
	plain, at, err := conn.decode(text)
	if err != nil {
		return layout{}, err
	}
	if plain == "" {
		return layout{}, fmt.Errorf("%w: the text at %q is empty", errNoPassword, password)
	}
	found, err := inner.locate(plain)
	if err != nil {
		return layout{}, fmt.Errorf("in the text at %q: %w", password, err)
	}
	outer := func(p place) place { return place{at[p.from], at[p.to], p.text} }
	l.password = outer(found.password)
	if user == "" {
		l.user = outer(found.user)
	}
	for _, p := range found.rest {
		l.rest = append(l.rest, outer(p))
	}
	return l, nil
}

// jsonText is a string of a JSON document that is a value, not a key.
type jsonText struct {
	pointer  string // RFC 6901
	from, to int    // between its quotes
	text     string // as encoding/json reads it
}

// readTexts returns every text of a document. It refuses a document in which an object has a key twice, because
// readers take one or the other.
func readTexts(doc string) ([]jsonText, error) {
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(doc), &raw); err != nil { // its text quotes the value
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("it is not JSON from byte %d on", syntax.Offset)
		}
		return nil, errors.New("it is not JSON")
	}
	r := reader{doc: doc, dec: json.NewDecoder(strings.NewReader(doc))}
	r.dec.UseNumber()
	if err := r.value("", 0); err != nil {
		return nil, err
	}
	return r.texts, nil
}

type reader struct {
	doc   string
	dec   *json.Decoder
	texts []jsonText
}

// token returns the next token and the bytes it stands at.
func (r *reader) token() (t json.Token, from, to int, err error) {
	from = int(r.dec.InputOffset())
	from = len(r.doc) - len(strings.TrimLeft(r.doc[from:], " \t\r\n,:"))
	if t, err = r.dec.Token(); err != nil {
		return nil, 0, 0, fmt.Errorf("it is not JSON from byte %d on", from)
	}
	return t, from, int(r.dec.InputOffset()), nil
}

func (r *reader) value(pointer string, depth int) error {
	t, from, to, err := r.token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("it is nested more than %d deep at byte %d", maxDepth, from)
	}
	switch t := t.(type) {
	case string:
		r.texts = append(r.texts, jsonText{pointer, from + 1, to - 1, t})
	case json.Delim:
		if t == '{' {
			err = r.object(pointer, depth)
		} else {
			err = r.array(pointer, depth)
		}
		if err == nil {
			_, _, _, err = r.token() // its end
		}
	}
	return err
}

func (r *reader) object(pointer string, depth int) error {
	seen := map[string]bool{}
	for r.dec.More() {
		t, from, _, err := r.token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		if seen[key] {
			return fmt.Errorf("the key at byte %d stands twice in its object", from)
		}
		seen[key] = true
		if err := r.value(pointer+"/"+escapePointer(key), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) array(pointer string, depth int) error {
	for i := 0; r.dec.More(); i++ {
		if err := r.value(pointer+"/"+strconv.Itoa(i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func escapePointer(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// checkPointer refuses what is no JSON pointer, and the empty one, which is the whole document.
func checkPointer(p string) error {
	if !strings.HasPrefix(p, "/") {
		return errors.New("does not begin with a slash")
	}
	for i, c := range []byte(p) {
		if c == '~' && (i+1 == len(p) || p[i+1] != '0' && p[i+1] != '1') {
			return fmt.Errorf("has a ~ at byte %d that is neither ~0 nor ~1", i)
		}
	}
	return nil
}
