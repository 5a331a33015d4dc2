package vault

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// data answers data/<key>.
func (c *call) data(key string) *answer {
	switch c.req.op {
	case read:
		return c.readValue(key, "data", func(value any) any { return value })
	case update:
		return c.writeValue(key)
	case patch:
		return c.patchValue(key)
	case remove:
		if k, ok := c.mount.v2.get(key); ok {
			c.softDelete(k, []uint64{k.current}, "delete", true)
		}
		return done()
	}
	return invalidPath(c.req.op, "data/"+key)
}

// readValue answers a read of a value or of what show makes of it: 404 with the
// metadata when the version is deleted or destroyed, plain 404 when there is no
// such version.
func (c *call) readValue(key, field string, show func(any) any) *answer {
	number, refusal := c.number("version")
	if refusal != nil {
		return refusal
	}
	k, ok := c.mount.v2.get(key)
	if !ok {
		return notFound()
	}
	v := k.latest()
	if number > 0 {
		v = k.version(number)
	}
	if v == nil {
		return notFound()
	}
	body := map[string]any{field: nil, "metadata": k.describe(v)}
	if v.destroyed || v.deleted(c.now()) {
		return &answer{status: http.StatusNotFound, data: body, bare: true}
	}
	body[field] = show(lossy(v.data))
	a := &answer{data: body, mount: c.mount.kind}
	return a.ignoring(c.req.fields, "version", "depth", "data", "options")
}

// lossy decodes a value as version 2 does: numbers become float64, so that big
// and oddly written ones change.
func lossy(data []byte) any {
	var value map[string]any
	if err := json.Unmarshal(data, &value); err != nil || value == nil {
		return nil
	}
	return value
}

// number reads a field that is a whole number; absent is 0.
func (c *call) number(name string) (uint64, *answer) {
	field, ok := c.req.fields[name]
	if !ok {
		return 0, nil
	}
	text, _ := field.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, failed(http.StatusBadRequest, `Field validation failed: error converting input for field "`+name+`": cannot parse '' as int: `+err.Error())
	}
	return uint64(max(n, 0)), nil
}

func (c *call) writeValue(key string) *answer {
	if !utf8.ValidString(key) {
		return wrapped(http.StatusInternalServerError, "string field contains invalid UTF-8")
	}
	value, refusal := c.object("data")
	if refusal != nil {
		return refusal
	}
	k, ok := c.mount.v2.get(key)
	if !ok {
		k = &secret{}
	}
	if refusal := c.checkAndSet(k); refusal != nil {
		return refusal
	}
	operation := "create"
	if ok {
		operation = "update"
	}
	return c.append(key, k, value, operation).ignoring(c.req.fields, "data", "options", "version")
}

// append adds a version with that value.
func (c *call) append(key string, k *secret, value any, operation string) *answer {
	now := c.now()
	if k.created.IsZero() {
		k.created = now
	}
	v := k.add(version{
		data: bytes.TrimSuffix(encode(value), []byte("\n")), created: now,
		deletion: k.deletionOf(now, c.mount.config), createdBy: c.by(operation),
	}, c.mount.config)
	c.mount.v2.put(key, k)
	return &answer{data: k.describe(v), mount: c.mount.kind}
}

// object reads a field that is an object or null.
func (c *call) object(name string) (map[string]any, *answer) {
	switch value := c.req.fields[name].(type) {
	case map[string]any:
		return value, nil
	case nil:
		if _, ok := c.req.fields[name]; ok {
			return nil, nil
		}
		return nil, failed(http.StatusBadRequest, "no data provided")
	case []any:
		return nil, failed(http.StatusBadRequest, `error converting input for field "`+name+`": '[0]' expected a map, got 'string'`)
	default:
		return nil, failed(http.StatusBadRequest, `error converting input for field "`+name+`": '' expected a map, got 'string'`)
	}
}

// checkAndSet compares options.cas with the current version.
func (c *call) checkAndSet(k *secret) *answer {
	options, _ := c.req.fields["options"].(map[string]any)
	cas, ok := options["cas"]
	if !ok {
		if k.casRequired || c.mount.config.casRequired {
			return failed(http.StatusBadRequest, "check-and-set parameter required for this call")
		}
		return nil
	}
	var text string
	switch cas := cas.(type) {
	case json.Number:
		text = cas.String()
	case string:
		text = cas
	}
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		return failed(http.StatusBadRequest, "error parsing check-and-set parameter")
	}
	if uint64(n) != k.current {
		return failed(http.StatusBadRequest, "check-and-set parameter did not match the current version")
	}
	return nil
}

// patchValue merges into the current value (RFC 7396) and appends the result.
func (c *call) patchValue(key string) *answer {
	change, refusal := c.object("data")
	if refusal != nil {
		return refusal
	}
	k, ok := c.mount.v2.get(key)
	if !ok {
		return &answer{status: http.StatusNotFound, empty: true}
	}
	if refusal := c.checkAndSet(k); refusal != nil {
		return refusal
	}
	v := k.latest()
	if v == nil {
		return &answer{status: http.StatusNotFound, empty: true}
	}
	if v.destroyed || v.deleted(c.now()) {
		return &answer{status: http.StatusNotFound, data: k.describe(v), bare: true}
	}
	value, _ := lossy(v.data).(map[string]any)
	if value == nil {
		return wrapped(http.StatusInternalServerError, "resource does not exist")
	}
	if change == nil { // a null replaces the whole
		return c.append(key, k, nil, "patch")
	}
	return c.append(key, k, merge(value, change), "patch").ignoring(c.req.fields, "data", "options", "version")
}

// merge applies a JSON merge patch to a decoded object, which it changes.
func merge(value, change map[string]any) map[string]any {
	for name, field := range change {
		inner, isObject := field.(map[string]any)
		switch {
		case field == nil:
			delete(value, name)
		case isObject:
			into, _ := value[name].(map[string]any)
			if into == nil {
				into = map[string]any{}
			}
			value[name] = merge(into, inner)
		default:
			value[name] = field
		}
	}
	return value
}

// subkeys answers subkeys/<key>: the names without the values.
func (c *call) subkeys(key string) *answer {
	if c.req.op != read {
		return unsupported()
	}
	depth, refusal := c.number("depth")
	if refusal != nil {
		return refusal
	}
	return c.readValue(key, "subkeys", func(value any) any {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		return names(object, int(depth), 1)
	})
}

// names replaces every leaf by null, and everything below depth unless that is 0.
func names(object map[string]any, depth, at int) map[string]any {
	for name, value := range object {
		inner, ok := value.(map[string]any)
		if ok && len(inner) > 0 && (depth == 0 || at < depth) {
			object[name] = names(inner, depth, at+1)
		} else {
			object[name] = nil
		}
	}
	return object
}
