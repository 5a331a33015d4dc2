package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Vault's limits on a JSON body, by default.
const (
	maxDepth   = 500
	maxString  = 1 << 20
	maxEntries = 10000 // of an object, and elements of an array
)

// decode reads the JSON object of a body; an empty body is an empty object.
// Numbers keep their text. Vault answers 500 to JSON that is malformed or over
// a limit, and 400 to JSON that is no object.
func decode(body []byte) (map[string]any, *answer) {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := check(d, 0); err != nil {
		return nil, failed(http.StatusInternalServerError, err.Error())
	}
	var fields map[string]any
	d = json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return nil, failed(http.StatusBadRequest, "error parsing JSON: failed to parse JSON input: "+err.Error())
	}
	return fields, nil
}

// check reads one value and measures it.
func check(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("malformed JSON, unclosed containers")
	}
	switch t := t.(type) {
	case string:
		if len(t) > maxString {
			return fmt.Errorf("JSON string value exceeds allowed length")
		}
	case json.Number:
		if _, err := strconv.ParseFloat(t.String(), 64); err != nil {
			return fmt.Errorf("malformed JSON, invalid number syntax for '%s'", t)
		}
	case json.Delim:
		if depth++; depth > maxDepth {
			return fmt.Errorf("JSON input exceeds allowed nesting depth")
		}
		if t == '{' {
			return checkObject(d, depth)
		}
		return checkArray(d, depth)
	}
	return nil
}

func checkObject(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return fmt.Errorf("malformed JSON, unclosed containers")
		}
		if seen[key] {
			return fmt.Errorf("duplicate key '%s' in object", key)
		}
		if seen[key] = true; len(seen) > maxEntries {
			return fmt.Errorf("JSON object exceeds allowed entry count")
		}
		if err := check(d, depth); err != nil {
			return err
		}
	}
	return closing(d)
}

func checkArray(d *json.Decoder, depth int) error {
	for n := 1; d.More(); n++ {
		if n > maxEntries {
			return fmt.Errorf("JSON array exceeds allowed element count")
		}
		if err := check(d, depth); err != nil {
			return err
		}
	}
	return closing(d)
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("malformed JSON, unclosed containers")
	}
	return nil
}
