package eventgrid

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"regexp"
	"time"
)

// decode reads a request body by its content type and validates every event in it.
func decode(contentType string, body []byte) ([]Event, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, errors.New("the content type is missing or malformed")
	}
	read := cloudEvent
	var raws []json.RawMessage
	switch media {
	case contentCE:
		raws = []json.RawMessage{body}
	case contentJSON, contentCEs:
		if err := json.Unmarshal(body, &raws); err != nil {
			return nil, errors.New("the body is not a JSON array of events")
		}
		if media == contentJSON {
			read = gridEvent
		}
	default:
		return nil, fmt.Errorf("the content type is none of %s, %s, %s", contentJSON, contentCE, contentCEs)
	}
	if len(raws) == 0 {
		return nil, errors.New("the body holds no event")
	}
	events := make([]Event, len(raws))
	for i, raw := range raws {
		if events[i], err = read(raw); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		events[i].Raw = raw
	}
	return events, nil
}

// gridEvent validates the Event Grid schema: all but topic and metadataVersion are mandatory, nothing else may be there.
func gridEvent(raw json.RawMessage) (Event, error) {
	f, err := fieldsOf(raw)
	if err != nil {
		return Event{}, err
	}
	e := Event{Schema: EventGridSchema, Data: f["data"]}
	var dataVersion, metadataVersion, when string
	err = errors.Join(
		f.text("id", &e.ID, true), f.text("subject", &e.Subject, true), f.text("eventType", &e.Type, true),
		f.text("eventTime", &when, true), f.text("dataVersion", &dataVersion, true),
		f.text("topic", &e.Source, false), f.text("metadataVersion", &metadataVersion, false),
	)
	if err != nil {
		return Event{}, err
	}
	if metadataVersion != "" && metadataVersion != "1" {
		return Event{}, errors.New("metadataVersion must be 1, or be left to Event Grid")
	}
	if e.Data == nil {
		return Event{}, errors.New("data is missing")
	}
	for name := range f {
		switch name {
		case "id", "subject", "eventType", "eventTime", "dataVersion", "topic", "metadataVersion", "data":
		default:
			return Event{}, fmt.Errorf("property %q is unknown", name)
		}
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, when); err != nil {
		return Event{}, errors.New("eventTime is not an RFC 3339 time")
	}
	return e, nil
}

var attribute = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// cloudEvent validates CloudEvents 1.0: attribute names of lower-case letters and digits, one of data and data_base64 at most.
func cloudEvent(raw json.RawMessage) (Event, error) {
	f, err := fieldsOf(raw)
	if err != nil {
		return Event{}, err
	}
	e := Event{Schema: CloudEvents, Data: f["data"]}
	var spec, when, mediaType, schema string
	err = errors.Join(
		f.text("id", &e.ID, true), f.text("source", &e.Source, true), f.text("type", &e.Type, true), f.text("specversion", &spec, true),
		f.text("subject", &e.Subject, false), f.text("time", &when, false), f.text("datacontenttype", &mediaType, false), f.text("dataschema", &schema, false),
	)
	if err != nil {
		return Event{}, err
	}
	if spec != "1.0" {
		return Event{}, errors.New("specversion must be 1.0")
	}
	for name := range f {
		if name != "data_base64" && !attribute.MatchString(name) {
			return Event{}, fmt.Errorf("attribute %q is not lower-case letters and digits", name)
		}
	}
	if f["data"] != nil && f["data_base64"] != nil {
		return Event{}, errors.New("data and data_base64 exclude each other")
	}
	if when != "" {
		if e.Time, err = time.Parse(time.RFC3339Nano, when); err != nil {
			return Event{}, errors.New("time is not an RFC 3339 time")
		}
	}
	return e, nil
}

type fields map[string]json.RawMessage

func fieldsOf(raw json.RawMessage) (fields, error) {
	var f fields
	if err := json.Unmarshal(raw, &f); err != nil || f == nil {
		return nil, errors.New("not a JSON object")
	}
	return f, nil
}

// text copies a string property; a mandatory one may not be empty, an optional one may be null.
func (f fields) text(name string, to *string, mandatory bool) error {
	raw, ok := f[name]
	if ok {
		if err := json.Unmarshal(raw, to); err != nil {
			return fmt.Errorf("%s is not a string", name)
		}
	}
	if mandatory && *to == "" {
		return fmt.Errorf("%s is missing", name)
	}
	return nil
}
