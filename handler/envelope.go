package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

const (
	// largestEnvelope leaves room for far more than a Key Vault event, which takes under 2 KiB and stands in it twice.
	largestEnvelope = 1 << 20
	// largestDrain is how much of a too large body is still read: a host that is not listened to sees a broken
	// connection in place of the answer, and repeats what can only fail again.
	largestDrain = 128 << 20
)

// errMalformed marks input that would be just as bad the next time. Its texts hold nothing of the input.
type errMalformed string

func (e errMalformed) Error() string { return string(e) }

// readEnvelope returns the value of the single binding in Data. The error is errMalformed, or that of a broken connection.
func readEnvelope(r *http.Request) (json.RawMessage, error) {
	body, err := readLimited(r.Body, largestEnvelope)
	if err != nil {
		return nil, err
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, errMalformed("envelope: content type is not application/json")
	}
	return parseEnvelope(body)
}

// parseEnvelope takes the envelope {"Data":{"<binding>":...},"Metadata":{...}} apart (facts/functions-host.md, section 2).
// The name of the binding is free; what else the envelope holds is ignored.
func parseEnvelope(body []byte) (json.RawMessage, error) {
	var envelope struct {
		Data map[string]json.RawMessage
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, errMalformed("envelope: not a JSON object with Data in it")
	}
	if len(envelope.Data) != 1 {
		return nil, errMalformed("envelope: Data does not hold exactly one binding")
	}
	for _, value := range envelope.Data {
		return value, nil
	}
	return nil, nil
}

// splitEvents returns the events in a binding's value: an object, an array of objects, or a string that holds either, which is
// how the host hands over cardinality many.
func splitEvents(value json.RawMessage) ([]json.RawMessage, error) {
	value = bytes.TrimSpace(value)
	if len(value) > 0 && value[0] == '"' {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, errMalformed("envelope: binding is not JSON")
		}
		value = bytes.TrimSpace([]byte(text))
	}
	switch {
	case len(value) > 0 && value[0] == '{':
		return []json.RawMessage{value}, nil
	case len(value) > 0 && value[0] == '[':
		var events []json.RawMessage
		if err := json.Unmarshal(value, &events); err != nil {
			return nil, errMalformed("envelope: binding is not a JSON array")
		}
		if len(events) == 0 {
			return nil, errMalformed("envelope: binding holds no event")
		}
		return events, nil
	default:
		return nil, errMalformed("envelope: binding is neither an event nor an array of events")
	}
}

// readLimited reads a body of at most limit bytes. Content-Length is no help: the host sends chunks.
func readLimited(body io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		_, err := io.CopyN(io.Discard, body, largestDrain)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, errMalformed("body is too large")
	}
	return text, nil
}
