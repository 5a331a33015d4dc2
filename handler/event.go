package handler

import (
	"encoding/json"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what an event announces.
type Kind string

// The kinds Keyferry acts upon; everything else is Other.
const (
	NearExpiry Kind = "near-expiry"
	Expired    Kind = "expired"
	Other      Kind = "other"
)

// Event is one Key Vault event, whichever schema it came in. It is a hint that somebody should look: nothing in it is proven,
// and it may come twice, late and out of order.
type Event struct {
	ID         string // of the delivery's event, stable over redeliveries; may be empty
	Kind       Kind
	Vault      string // name of the key vault, as written; may be empty
	ObjectType string // Secret, Key or Certificate, as written
	Name       string // of the object; valid for Key Vault, and never empty unless Kind is Other
	Version    string // may be empty
	Expires    *time.Time
	Time       time.Time // when it was raised; zero when unreadable
}

var (
	objectName    = regexp.MustCompile(`^[0-9A-Za-z-]{1,127}$`)
	objectVersion = regexp.MustCompile(`^[0-9A-Za-z]{0,64}$`)
)

// ParseEvent reads an event in the Event Grid schema or as CloudEvents 1.0 (facts/keyvault.md, section 3.2). It is tolerant
// where Key Vault is known to vary: letter case of names and stray blanks in them, EXP as null, number, text or anything at
// all, a missing object name. The error holds nothing of the input.
func ParseEvent(raw []byte) (Event, error) {
	top, ok := fieldsOf(raw)
	if !ok {
		return Event{}, errMalformed("event: not a JSON object")
	}
	kind := top.text("eventtype")
	if kind == "" {
		kind = top.text("type")
	}
	if kind == "" {
		return Event{}, errMalformed("event: has no type")
	}
	e := Event{ID: top.text("id"), Kind: kindOf(kind)}
	when := top.text("eventtime")
	if when == "" {
		when = top.text("time")
	}
	e.Time, _ = time.Parse(time.RFC3339Nano, when) // an odd time is no reason to lose the event
	data, ok := fieldsOf(top["data"])
	if !ok && e.Kind != Other {
		return Event{}, errMalformed("event: has no data")
	}
	id := parseID(data.text("id"))
	source := top.text("topic") + top.text("source")
	e.Vault = first(data.text("vaultname"), id.vault, source[strings.LastIndexByte(source, '/')+1:])
	e.ObjectType = first(data.text("objecttype"), id.kind, "Secret")
	e.Name = first(data.text("objectname"), id.name, top.text("subject"))
	e.Version = first(data.text("version"), id.version)
	e.Expires = unixTime(data["exp"])
	if e.Kind == Other {
		return e, nil
	}
	if !objectName.MatchString(e.Name) {
		return Event{}, errMalformed("event: object name is missing or impossible")
	}
	if !objectVersion.MatchString(e.Version) {
		return Event{}, errMalformed("event: version is impossible")
	}
	return e, nil
}

// NotOurs says why an event does not concern the secrets of a vault, and is empty when it does. An empty vault name, on
// either side, matches any.
func (e Event) NotOurs(vault string) string {
	switch {
	case e.Kind == Other:
		return "event of another type"
	case !strings.EqualFold(e.ObjectType, "Secret"):
		return "event of a key or a certificate"
	case vault != "" && e.Vault != "" && !strings.EqualFold(e.Vault, vault):
		return "event of another vault"
	}
	return ""
}

func kindOf(eventType string) Kind {
	switch strings.ToLower(eventType) {
	case "microsoft.keyvault.secretnearexpiry":
		return NearExpiry
	case "microsoft.keyvault.secretexpired":
		return Expired
	}
	return Other
}

// fields is a JSON object with its names trimmed and in lower case.
type fields map[string]json.RawMessage

func fieldsOf(raw json.RawMessage) (fields, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object == nil {
		return nil, false
	}
	out := fields{}
	// In order, so that of two names which differ only in case or blanks always the same one wins.
	for _, name := range slices.Sorted(maps.Keys(object)) {
		out[strings.ToLower(strings.TrimSpace(name))] = object[name]
	}
	return out, true
}

// text is the trimmed string of that name, "" when it is absent or no string.
func (f fields) text(name string) string {
	var s string
	if json.Unmarshal(f[name], &s) != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

type objectID struct{ vault, kind, name, version string }

// parseID takes https://<vault>.vault.azure.net/secrets/<name>/<version> apart, as far as it is one.
func parseID(id string) objectID {
	u, err := url.Parse(id)
	if err != nil || u.Host == "" {
		return objectID{}
	}
	var o objectID
	o.vault, _, _ = strings.Cut(u.Hostname(), ".")
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 {
		return objectID{vault: o.vault}
	}
	o.kind = map[string]string{"secrets": "Secret", "keys": "Key", "certificates": "Certificate"}[strings.ToLower(parts[0])]
	o.name = parts[1]
	if len(parts) > 2 {
		o.version = parts[2]
	}
	return o
}

// unixTime reads seconds since 1970 from a number or a numeric string; everything else, and every time past the year 9999,
// is no time.
func unixTime(raw json.RawMessage) *time.Time {
	text := strings.TrimSpace(strings.Trim(strings.TrimSpace(string(raw)), `"`))
	seconds, err := strconv.ParseFloat(text, 64) // exact to the second far beyond the year 9999
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > 253402300799 {
		return nil
	}
	t := time.Unix(int64(seconds), 0).UTC()
	return &t
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
