package vaultsync

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// writeBack is what a write-back does in Vault: nothing, when the value is there.
type writeBack struct {
	fields Fields    // of the secret as it shall be; nil: nothing to write
	field  string    // the only one that changes; "": all are replaced
	cas    int       // the version to be succeeded
	made   rendering // what Sync will make of it
}

// decideReady reports why the copy cannot go back: nil when Vault holds just what the copy was made from.
func decideReady(k knowledge) error {
	copied, written, err := recorded(k.row)
	if err != nil {
		return err
	}
	return unmovedSince(k, copied, written)
}

// decideWriteBack judges a copy whose value and whose original are known. fields are those that Vault holds now.
func decideWriteBack(k knowledge, fields Fields) (writeBack, error) {
	copied, written, err := recorded(k.row)
	if err != nil {
		return writeBack{}, err
	}
	if k.wroteBack(copied, written) && k.holds(fields) {
		return writeBack{made: k.rendered(fields)}, nil
	}
	if err := unmovedSince(k, copied, written); err != nil {
		return writeBack{}, err
	}
	if k.holds(fields) {
		return writeBack{made: k.rendered(fields)}, nil
	}
	if k.row.authority == secret.AuthorityVault {
		return writeBack{}, fmt.Errorf("%w: vault is its authority and holds another value", secret.ErrConflict)
	}
	return k.succeed(fields, copied)
}

// recorded is what the tags say of the version that was copied.
func recorded(r *row) (int, secret.State, error) {
	copied, err := strconv.Atoi(r.version)
	written, bad := secret.ParseState(r.state)
	known := r.authority == secret.AuthorityVault || r.authority == secret.AuthorityKeyVault
	if err != nil || bad != nil || copied < 1 || !known {
		return 0, secret.State{}, fmt.Errorf("%w: %s", secret.ErrConflict, ReasonBadTag.Meaning())
	}
	return copied, written, nil
}

// print is the fingerprint of the source as the copy would record it now. With as: key it holds the number of fields,
// which writing one of them does not change.
func (k knowledge) print(written secret.State) string {
	e := k.entry
	e.Keys = keysIn(written.Print)
	return e.print(*k.state, k.now)
}

// unmovedSince reports why Vault is not as it was when version copied was copied.
func unmovedSince(k knowledge, copied int, written secret.State) error {
	was := fmt.Sprintf("the copy was made from version %d", copied)
	switch {
	case k.absent || k.state.Version == 0:
		return fmt.Errorf("%w: vault no longer has the secret, %s", secret.ErrConflict, was)
	case k.state.Version != copied:
		return fmt.Errorf("%w: vault holds version %d, %s", secret.ErrConflict, k.state.Version, was)
	case k.state.Gone(k.now):
		return fmt.Errorf("%w: version %d is deleted or destroyed in vault, %s", secret.ErrConflict, k.state.Version, was)
	case k.print(written) != written.Print:
		return fmt.Errorf("%w: version %d in vault is another secret, made anew, %s", secret.ErrConflict, k.state.Version, was)
	}
	return nil
}

// wroteBack reports whether the current version in Vault can be one that an earlier write-back made.
func (k knowledge) wroteBack(copied int, written secret.State) bool {
	return !k.absent && k.state.Version == copied+1 && !k.state.Gone(k.now) && strings.HasPrefix(written.Print, mountPrint(k.entry.Mount))
}

// holds reports whether the fields are the copy's value already.
func (k knowledge) holds(fields Fields) bool {
	now := k.rendered(fields)
	return now.fault == "" && secret.Shorten(now.field, secret.MaxTagValue) == k.row.field && sameValue(now, *k.have)
}

// sameValue compares what Vault's fields make with a value of Key Vault: a bare field byte for byte, an object as JSON.
func sameValue(r rendering, v secret.Value) bool {
	if r.contentType != contentJSON {
		return r.value.Equal(v)
	}
	text, err := canonical(json.RawMessage(v.Reveal()))
	return err == nil && r.value.Equal(secret.New(text))
}

// rendered is what Sync makes of the fields.
func (k knowledge) rendered(fields Fields) rendering { return *renderFor(k.entry, fields) }

// succeed is the write that makes Vault hold the copy's value. It is refused unless Sync would then make the same
// value of it, for nothing may be lost on the way.
func (k knowledge) succeed(fields Fields, cas int) (writeBack, error) {
	w := writeBack{cas: cas}
	var err error
	if k.row.field == "" {
		w.fields, err = objectFields(*k.have)
	} else {
		w.field, w.fields, err = k.oneField(fields)
	}
	if err != nil {
		return writeBack{}, err
	}
	w.made = k.rendered(w.fields)
	if !k.holds(w.fields) {
		return writeBack{}, fmt.Errorf("%w: vault would not give the value back as it is", secret.ErrInvalid)
	}
	return w, nil
}

// oneField puts the copy's value into the field it came from.
func (k knowledge) oneField(fields Fields) (string, Fields, error) {
	for name, now := range fields {
		if name != "" && secret.Shorten(name, secret.MaxTagValue) == k.row.field {
			next := maps.Clone(fields)
			next[name] = fieldText(*k.have, now)
			return name, next, nil
		}
	}
	return "", nil, fmt.Errorf("%w: vault has no field %q", secret.ErrConflict, k.row.field)
}

// fieldText is the JSON text of a field that shall be read as v: of the kind that the field has now, where v is of that
// kind and KV version 2 would keep it to the letter, else a string.
func fieldText(v, now secret.Value) secret.Value {
	text := v.Reveal()
	if kind := jsonKind(now.Reveal()); kind != '"' && kind == jsonKind(text) {
		if kept, err := throughFloat(text); err == nil && kept == text {
			return v
		}
	}
	quoted, _ := json.Marshal(text) // a string always can be
	return secret.New(string(quoted))
}

// jsonKind is the first character of a JSON text, one for all numbers and one for both truths.
func jsonKind(text string) byte {
	switch {
	case text == "":
		return 0
	case strings.ContainsRune("-0123456789", rune(text[0])):
		return '0'
	case text[0] == 'f':
		return 't'
	}
	return text[0]
}

// objectFields takes a JSON object apart, with its numbers as KV version 2 would keep them (facts/vault-sync.md A5).
func objectFields(v secret.Value) (Fields, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(v.Reveal()), &raw); err != nil || raw == nil {
		return nil, fmt.Errorf("%w: the value is not the JSON object that was copied", secret.ErrInvalid)
	}
	fields := make(Fields, len(raw))
	for name, field := range raw {
		text, err := throughFloat(string(field))
		if err != nil {
			return nil, fmt.Errorf("%w: field %q holds a number that vault cannot keep", secret.ErrInvalid, name)
		}
		fields[name] = secret.New(text)
	}
	return fields, nil
}

// throughFloat is the canonical form of a JSON text once its numbers have been float64.
func throughFloat(text string) (string, error) {
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return "", errNotJSON
	}
	return canonical(tree)
}

// decideTags brings the tags of the copy up to date with the original that now has its value, by the rule of retag:
// they are just those that the next Sync would want.
func decideTags(k knowledge, made rendering) Decision {
	_, written, _ := recorded(k.row) // decideWriteBack has seen it
	written.Print = k.print(written)
	k.value = &made
	return retag(k, written, k.hasher.Sum(*k.have), ReasonEqualValue)
}
