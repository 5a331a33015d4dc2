package vault

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// answerV1 answers for KV version 1 and the legacy engine generic. Numbers keep
// their text.
func (m *mount) answerV1(req *request, path string) *answer {
	if strings.Contains(path, "..") {
		return relativePath(req.op)
	}
	switch req.op {
	case read:
		value, ok := m.v1.get(path)
		if !ok {
			return notFound()
		}
		return &answer{data: json.RawMessage(value), lease: leaseOf(value), mount: m.kind}
	case list:
		return m.names(m.v1.list(path))
	case update:
		return m.writeV1(req, path)
	case remove:
		m.v1.remove(path)
		return done()
	}
	return unsupported()
}

// relativePath is what the storage below version 1 says to a path with "..".
// The writes fail one layer deeper, which does not say why.
func relativePath(op operation) *answer {
	switch op {
	case read:
		return wrapped(http.StatusBadRequest, "read failed: relative paths not supported")
	case update:
		return wrapped(http.StatusInternalServerError, "internal error")
	}
	return wrapped(http.StatusBadRequest, "relative paths not supported")
}

func (m *mount) writeV1(req *request, path string) *answer {
	switch {
	case path == "":
		return failed(http.StatusBadRequest, "missing path")
	case len(req.fields) == 0:
		return failed(http.StatusBadRequest, "missing data fields")
	case !utf8.ValidString(path):
		return wrapped(http.StatusInternalServerError, "failed to write: key contains invalid UTF-8 characters")
	}
	m.v1.put(path, bytes.TrimSuffix(encode(req.fields), []byte("\n")))
	return done()
}

// leaseOf is the lease_duration of a version 1 secret: its key ttl or lease when
// that is a duration, else the default of the mount. It means nothing: version 1
// secrets do not expire.
func leaseOf(value []byte) int {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&fields); err == nil {
		for _, name := range []string{"ttl", "lease"} {
			if ttl, ok := fields[name]; ok {
				if lease, err := seconds(ttl); err == nil {
					return int(lease / time.Second)
				}
				break
			}
		}
	}
	return int(defaultLease / time.Second)
}

// names is the answer to a LIST: an empty folder does not exist.
func (m *mount) names(names []string) *answer {
	if len(names) == 0 {
		return notFound()
	}
	return &answer{data: map[string]any{"keys": names}, mount: m.kind}
}
