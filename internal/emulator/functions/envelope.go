package functions

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// envelope is the body of POST /<Function> (section 2).
type envelope struct {
	Data     map[string]json.RawMessage
	Metadata map[string]json.RawMessage
}

// encode is json.Marshal without HTML escaping: the host's serializer leaves <, > and & alone.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// wrap applies the host's rule for values in Data and Metadata (section 2.2): an object stays one, everything else becomes a
// string that holds its JSON, so "abc" arrives as "\"abc\"", 4 as "4" and an array as "[...]".
func wrap(value json.RawMessage) (json.RawMessage, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, value); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(compact.Bytes(), []byte("{")) {
		return compact.Bytes(), nil
	}
	return encode(compact.String())
}

// newEnvelope builds the envelope of one invocation. metadata lacks sys, which is added; its nulls are dropped.
func newEnvelope(f *function, value json.RawMessage, metadata map[string]json.RawMessage, now time.Time) ([]byte, error) {
	e := envelope{Data: map[string]json.RawMessage{}, Metadata: map[string]json.RawMessage{}}
	var err error
	if e.Data[f.binding], err = wrap(value); err != nil {
		return nil, fmt.Errorf("encode trigger of %q: %w", f.name, err)
	}
	for key, v := range metadata {
		if len(v) == 0 || string(v) == "null" {
			continue
		}
		if e.Metadata[key], err = wrap(v); err != nil {
			return nil, fmt.Errorf("encode metadata of %q: %w", f.name, err)
		}
	}
	if e.Metadata["sys"], err = encode(map[string]string{
		"MethodName": f.name, "UtcNow": now.UTC().Format(time.RFC3339Nano), "RandGuid": guid(),
	}); err != nil {
		return nil, err
	}
	return encode(e)
}

// eventEnvelope wraps one event, or with cardinality many a batch. Metadata.data repeats the data of the event.
func eventEnvelope(f *function, events []json.RawMessage, now time.Time) ([]byte, error) {
	var datas []json.RawMessage
	for _, event := range events {
		var parts struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(event, &parts); err != nil {
			return nil, fmt.Errorf("event for %q is not an object: %w", f.name, err)
		}
		if trimmed := bytes.TrimSpace(event); len(trimmed) == 0 || trimmed[0] != '{' {
			return nil, fmt.Errorf("event for %q is not an object", f.name)
		}
		datas = append(datas, parts.Data)
	}
	if !f.many {
		if len(events) != 1 {
			return nil, errors.New("a function without cardinality many takes one event")
		}
		return newEnvelope(f, events[0], map[string]json.RawMessage{"data": datas[0]}, now)
	}
	batch, err := encode(events)
	if err != nil {
		return nil, err
	}
	data, err := encode(datas)
	if err != nil {
		return nil, err
	}
	return newEnvelope(f, batch, map[string]json.RawMessage{"data": data}, now)
}

// timerInfo is the TimerInfo a handler sees, in Pascal case (section 2.4).
type timerInfo struct {
	Schedule struct {
		AdjustForDST bool
	}
	ScheduleStatus *scheduleStatus
	IsPastDue      bool
}

type scheduleStatus struct {
	Last, Next, LastUpdated string
}

func timerEnvelope(f *function, last, now time.Time, pastDue bool) ([]byte, error) {
	info := timerInfo{IsPastDue: pastDue}
	info.Schedule.AdjustForDST = true
	if f.useMonitor {
		// The zero time is what the first run sees as Last: 0001-01-01T00:00:00.
		info.ScheduleStatus = &scheduleStatus{Last: dotNetTime(last), Next: dotNetTime(f.schedule.next(now)), LastUpdated: dotNetTime(last)}
	}
	value, err := encode(info)
	if err != nil {
		return nil, err
	}
	return newEnvelope(f, value, nil, now)
}

func dotNetTime(t time.Time) string {
	if t.IsZero() {
		return "0001-01-01T00:00:00"
	}
	return t.UTC().Format("2006-01-02T15:04:05.9999999") + "+00:00"
}

func guid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
