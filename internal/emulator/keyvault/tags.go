package keyvault

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
)

// tags keeps the order in which they were sent, as the service does. A list in use is never changed in place.
type tags []tag

type tag struct{ name, value string }

// errTags tells the decoder that a tags object is not one of strings.
var errTags = errors.New("tags must be an object of strings")

// UnmarshalJSON reads an object of strings; of a name given twice the last value counts, at the first one's place.
func (t *tags) UnmarshalJSON(raw []byte) error {
	*t = tags{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return errTags
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return errTags
		}
		value, err := dec.Token()
		text, ok := value.(string)
		if err != nil || !ok {
			return errTags
		}
		t.set(name.(string), text)
	}
	return nil
}

func (t *tags) set(name, value string) {
	if i := slices.IndexFunc(*t, func(have tag) bool { return have.name == name }); i >= 0 {
		(*t)[i].value = value
		return
	}
	*t = append(*t, tag{name, value})
}

// MarshalJSON writes an object in the list's order.
func (t tags) MarshalJSON() ([]byte, error) {
	fields := make([]field, len(t))
	for i, x := range t {
		fields[i] = field{x.name, x.value}
	}
	return object(fields)
}

func (t tags) toMap() map[string]string {
	if len(t) == 0 {
		return nil
	}
	m := make(map[string]string, len(t))
	for _, x := range t {
		m[x.name] = x.value
	}
	return m
}

func tagsOf(m map[string]string) tags {
	var t tags
	for _, name := range slices.Sorted(maps.Keys(m)) {
		t = append(t, tag{name, m[name]})
	}
	return t
}

// field is a property of an object whose order, or odd spelling, matters.
type field struct {
	name  string
	value any
}

func object(fields []field) ([]byte, error) {
	buf := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			buf = append(buf, ',')
		}
		for _, part := range []any{f.name, f.value} {
			raw, err := json.Marshal(part)
			if err != nil {
				return nil, err
			}
			buf = append(append(buf, raw...), ':')
		}
		buf = buf[:len(buf)-1]
	}
	return append(buf, '}'), nil
}
