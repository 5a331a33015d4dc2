package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// An answer is a response before it is written. The zero value is the answer of
// an engine that has nothing to say: 204 to a change, 404 to a question.
type answer struct {
	status int      // 0: 200
	errors []string // of a failure
	empty  bool     // status only

	data     any      // of a success
	auth     *grant   //
	lease    int      // seconds
	warnings []string //
	mount    string   // mount_type
	// bare is set where an engine chose the status itself: Vault then leaves out
	// mount_type and the closing newline.
	bare bool
	// raw replaces the envelope: sys/health and sys/seal-status have none.
	raw any
	// lifted repeats the fields of data beside the envelope's, as sys/ does.
	lifted bool
}

// failed is an error answer; without texts it carries an empty list.
func failed(status int, texts ...string) *answer {
	return &answer{status: status, errors: append([]string{}, texts...)}
}

// wrapped is an error answer in the words of go-multierror.
func wrapped(status int, texts ...string) *answer {
	noun := "errors"
	if len(texts) == 1 {
		noun = "error"
	}
	return failed(status, fmt.Sprintf("%d %s occurred:\n\t* %s\n\n", len(texts), noun, strings.Join(texts, "\n\t* ")))
}

func notFound() *answer    { return failed(http.StatusNotFound) }
func unsupported() *answer { return wrapped(http.StatusMethodNotAllowed, "unsupported operation") }
func done() *answer        { return &answer{status: http.StatusNoContent, empty: true} }

// envelope is the body of a success, in the order Vault prints it.
type envelope struct {
	RequestID string   `json:"request_id"`
	LeaseID   string   `json:"lease_id"`
	Renewable bool     `json:"renewable"`
	Lease     int      `json:"lease_duration"`
	Data      any      `json:"data"`
	WrapInfo  any      `json:"wrap_info"`
	Warnings  []string `json:"warnings"`
	Auth      *grant   `json:"auth"`
	MountType string   `json:"mount_type"`
}

// write sends an answer.
func (s *Server) write(w http.ResponseWriter, r *http.Request, a *answer) {
	w.Header().Set("Content-Type", "application/json")
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.empty || r.Method == http.MethodHead {
		w.WriteHeader(a.status)
		return
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(s.body(a))
}

// body encodes an answer. A value in it that does not encode is a bug of this
// package, so it panics.
func (s *Server) body(a *answer) []byte {
	switch {
	case a.errors != nil:
		return encode(map[string]any{"errors": a.errors})
	case a.raw != nil:
		return encode(a.raw)
	}
	body := encode(envelope{RequestID: s.uuid(), Lease: a.lease, Data: a.data, Warnings: a.warnings, Auth: a.auth, MountType: a.mount})
	if a.bare {
		return bytes.TrimSuffix(body, []byte("\n"))
	}
	if fields := encode(a.data); a.lifted && len(fields) > len("{}\n") {
		return append(append(fields[:len(fields)-2], ','), body[1:]...)
	}
	return body
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(fmt.Sprintf("vault emulator: encode %T: %v", v, err))
	}
	return b.Bytes()
}

// ignoring adds Vault's warning about fields an endpoint does not know.
func (a *answer) ignoring(fields map[string]any, known ...string) *answer {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 && !a.empty && !a.bare && a.errors == nil {
		a.warnings = append(a.warnings, "Endpoint ignored these unrecognized parameters: ["+strings.Join(unknown, " ")+"]")
	}
	return a
}
