package keyvault

import (
	"strconv"
	"strings"
	"unicode"
)

// Spelling is how an event's data is written. The zero value is what real captures show; the others are spellings of public
// samples and older services that a reader has to bear (facts/keyvault.md 3.2).
type Spelling struct {
	// QuotedTimes writes NBF and EXP as strings.
	QuotedTimes bool
	// StraySpaces writes the key "ObjectName " and a space before the version.
	StraySpaces bool
	// CamelCase writes keys as id, vaultName, objectName, nbf.
	CamelCase bool
}

// eventTime is RFC 3339 with the seven digits Event Grid writes.
const eventTime = "2006-01-02T15:04:05.0000000Z"

// EventGrid is the event in the Event Grid schema, one object; a webhook receives an array of them.
func (e Event) EventGrid(s Spelling) []byte {
	return mustObject(
		field{"id", e.ID},
		field{"topic", e.Topic},
		field{"subject", e.Name},
		field{"eventType", e.Type},
		field{"eventTime", e.Time.UTC().Format(eventTime)},
		field{"data", e.data(s)},
		field{"dataVersion", "1"},
		field{"metadataVersion", "1"},
	)
}

// CloudEvent is the event in the CloudEvents 1.0 schema, one object.
func (e Event) CloudEvent(s Spelling) []byte {
	return mustObject(
		field{"id", e.ID},
		field{"source", e.Topic},
		field{"specversion", "1.0"},
		field{"type", e.Type},
		field{"subject", e.Name},
		field{"time", e.Time.UTC().Format(eventTime)},
		field{"data", e.data(s)},
	)
}

type rawObject []byte

// MarshalJSON returns the object as it is.
func (r rawObject) MarshalJSON() ([]byte, error) { return r, nil }

func (e Event) data(s Spelling) rawObject {
	fields := []field{
		{"Id", e.SecretID},
		{"VaultName", e.VaultName},
		{"ObjectType", "Secret"},
		{"ObjectName", e.Name},
		{"Version", e.Version},
		{"NBF", s.seconds(e.NotBefore)},
		{"EXP", s.seconds(e.Expires)},
	}
	if s.StraySpaces {
		fields[3].name += " "
		fields[4].value = " " + e.Version
	}
	if s.CamelCase {
		for i := range fields {
			fields[i].name = camel(fields[i].name)
		}
	}
	return mustObject(fields...)
}

func (s Spelling) seconds(t *int64) any {
	switch {
	case t == nil:
		return nil
	case s.QuotedTimes:
		return strconv.FormatInt(*t, 10)
	}
	return *t
}

// camel lower-cases the first letter, or all of a name in capitals.
func camel(name string) string {
	if strings.ToUpper(name) == name {
		return strings.ToLower(name)
	}
	return string(unicode.ToLower(rune(name[0]))) + name[1:]
}

// mustObject writes fields of strings, numbers and nulls, which cannot fail.
func mustObject(fields ...field) []byte {
	raw, err := object(fields)
	if err != nil {
		panic(err)
	}
	return raw
}
