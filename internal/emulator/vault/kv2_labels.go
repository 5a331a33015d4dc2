package vault

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// Vault's limits on custom_metadata.
const (
	maxLabels     = 64
	maxLabelKey   = 128
	maxLabelValue = 512
)

// label replaces custom_metadata, or merges into it: then null removes a key.
func (k *secret) label(value any, merging bool) *answer {
	const prefix = "custom_metadata validation failed"
	fields, ok := value.(map[string]any)
	if !ok && value != nil {
		return failed(http.StatusBadRequest, `error converting input for field "custom_metadata": '' expected a map, got 'string'`)
	}
	labels := map[string]string{}
	if merging && value != nil {
		labels = maps.Clone(k.custom)
		if labels == nil {
			labels = map[string]string{}
		}
	}
	set := map[string]string{}
	for name, field := range fields {
		if field == nil && merging {
			delete(labels, name)
			continue
		}
		text, err := labelText(field)
		if err != nil {
			return failed(http.StatusBadRequest, prefix+": "+err.Error())
		}
		set[name], labels[name] = text, text
	}
	var wrong []string
	if len(set) > maxLabels {
		wrong = append(wrong, fmt.Sprintf("%s: payload must contain at most %d keys, provided %d", prefix, maxLabels, len(set)))
	} else {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			for _, fault := range labelFaults(name, set[name]) {
				wrong = append(wrong, prefix+": "+fault)
			}
		}
	}
	if len(wrong) > 0 {
		return wrapped(http.StatusBadRequest, wrong...)
	}
	k.custom = labels
	return nil
}

// labelText is the text Vault makes of a scalar.
func labelText(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case json.Number:
		return value.String(), nil
	case bool:
		if value {
			return "1", nil
		}
		return "0", nil
	}
	return "", fmt.Errorf("'' expected type 'string', got unconvertible type '%T', value: '%v'", value, value)
}

func labelFaults(name, value string) (faults []string) {
	if n := len(name); n == 0 || n > maxLabelKey {
		faults = append(faults, fmt.Sprintf("length of key %q is %d but must be 0 < len(key) <= %d", name, n, maxLabelKey))
	}
	if n := len(value); n == 0 || n > maxLabelValue {
		faults = append(faults, fmt.Sprintf("length of value for key %q is %d but must be 0 < len(value) <= %d", name, n, maxLabelValue))
	}
	unprintable := func(s string) bool {
		return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0
	}
	if unprintable(name) {
		faults = append(faults, fmt.Sprintf("key %q (%s) contains unprintable characters", name, name))
	}
	if unprintable(value) {
		faults = append(faults, fmt.Sprintf("value for key %q contains unprintable characters", name))
	}
	return faults
}
