package vaultsync

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// The content types of copied secrets.
const (
	contentText = "text/plain"
	contentJSON = "application/json"
)

// rendering is what the fields of a Vault secret become in Key Vault, or the reason why they become nothing.
type rendering struct {
	value       secret.Value
	contentType string
	field       string // the field whose bare value this is; "" for a JSON object
	fault       Reason // "" when value is good
}

// render is the rule of values: one field is its value, a string byte for byte, anything else compact canonical
// JSON; several fields, or one without a name, are one JSON object with sorted keys, number text as Vault sent it and
// no HTML escaping.
// Errors only when a field is not JSON; they hold no part of it.
func render(fields Fields, shape Shape, pem bool) (rendering, error) {
	if len(fields) == 0 {
		return rendering{fault: ReasonEmpty}, nil
	}
	if shape == ShapeValue && len(fields) > 1 {
		return rendering{fault: ReasonSeveralFields}, nil
	}
	var r rendering
	_, nameless := fields[""] // has no name to keep in vault-field, which tells a bare value from an object
	if len(fields) == 1 && shape != ShapeJSON && !nameless {
		for name, raw := range fields {
			text, err := bare(raw)
			if err != nil {
				return r, fmt.Errorf("render field %q: %w", name, err)
			}
			r = rendering{value: secret.New(text), contentType: contentText, field: name}
		}
	} else {
		object := make(map[string]json.RawMessage, len(fields))
		for name, raw := range fields {
			object[name] = json.RawMessage(raw.Reveal())
		}
		text, err := canonical(object)
		if err != nil {
			return r, fmt.Errorf("render %d fields: %w", len(fields), err)
		}
		r = rendering{value: secret.New(text), contentType: contentJSON}
	}
	switch text := r.value.Reveal(); {
	case text == "" || text == "null":
		r.fault = ReasonEmpty
	case len(text) > secret.MaxValue:
		r.fault = ReasonTooLarge
	case !pem && belongsInCertificates(text):
		r.fault = ReasonCertificate
	}
	return r, nil
}

// bare is the text of a field: a string as it is, any other JSON in canonical form.
func bare(raw secret.Value) (string, error) {
	text := strings.TrimLeft(raw.Reveal(), " \t\r\n")
	if strings.HasPrefix(text, `"`) {
		var s string
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return "", errNotJSON
		}
		return s, nil
	}
	return canonical(json.RawMessage(text))
}

var errNotJSON = fmt.Errorf("%w: the field is not JSON", secret.ErrInvalid)

// canonical is v as compact JSON with sorted keys, so that the same secret is the same bytes on every run.
func canonical(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", errNotJSON
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return "", errNotJSON
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return "", errNotJSON
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// belongsInCertificates reports whether the text is a PEM certificate or a PKCS #12 file in base64.
func belongsInCertificates(text string) bool {
	if strings.Contains(text, "-----BEGIN CERTIFICATE-----") {
		return true
	}
	if !strings.HasPrefix(text, "MI") {
		return false
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	// PFX ::= SEQUENCE { version INTEGER 3, authSafe ContentInfo of id-data or id-signedData } (RFC 7292 section 4)
	pkcs7 := []byte{0x02, 0x01, 0x03, 0x30}
	return err == nil && len(der) > 16 && der[0] == 0x30 && bytes.Contains(der[:12], pkcs7)
}
