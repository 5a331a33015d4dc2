package functions

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// envelop runs an HTTP function through the envelope, as the host does when proxying is off or the function has no http
// output (section 2.5). The body of a chunked request is lost on the way, as it is in the real host.
func (h *Host) envelop(w http.ResponseWriter, r *http.Request, f *function, params map[string]string) {
	body, err := httpEnvelope(f, r, params, h)
	if err != nil {
		http.Error(w, "the request body is too large or broke off", http.StatusRequestEntityTooLarge)
		return
	}
	result := h.invoke(r.Context(), f, body)
	if result.Err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	output := result.outputs[f.output]
	if f.output == "$return" || output == nil {
		output = result.value
	}
	writeOutput(w, output)
}

func httpEnvelope(f *function, r *http.Request, params map[string]string, h *Host) ([]byte, error) {
	query := map[string]string{}
	metadata := map[string]json.RawMessage{}
	put := func(key string, v any) (err error) {
		metadata[key], err = encode(v)
		return err
	}
	for key, values := range r.URL.Query() {
		query[key] = strings.Join(values, ",")
		if key == "code" {
			continue
		}
		if err := put(key, query[key]); err != nil {
			return nil, err
		}
	}
	headers := map[string]string{}
	for key, values := range r.Header {
		headers[key] = strings.Join(values, ", ")
	}
	for key, v := range params {
		if err := put(key, v); err != nil {
			return nil, err
		}
	}
	if err := put("Query", query); err != nil {
		return nil, err
	}
	if err := put("Headers", headers); err != nil {
		return nil, err
	}
	request := map[string]any{
		"Url": "http://" + r.Host + r.URL.RequestURI(), "Method": r.Method, "Query": query,
		"Headers": r.Header, "Params": params, "Identities": []any{map[string]any{"AuthenticationType": nil}},
	}
	if r.ContentLength > 0 {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		request["Body"] = string(body)
		if media := r.Header.Get("Content-Type"); strings.HasPrefix(media, "application/octet-stream") || strings.HasPrefix(media, "multipart/") {
			request["Body"] = base64.StdEncoding.EncodeToString(body)
		}
	}
	value, err := encode(request)
	if err != nil {
		return nil, err
	}
	return newEnvelope(f, value, metadata, h.opts.Now())
}

// writeOutput turns an http output into the response: {"statusCode","headers","body"}, where without a body the other two
// count for nothing; anything else is the body itself (section 3).
func writeOutput(w http.ResponseWriter, output json.RawMessage) {
	if len(output) == 0 || string(output) == "null" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var shaped struct {
		StatusCode json.RawMessage
		Status     json.RawMessage
		Headers    map[string]string
		Body       json.RawMessage
	}
	status, body := http.StatusOK, output
	if err := json.Unmarshal(output, &shaped); err == nil && shaped.Body != nil {
		body = shaped.Body
		for key, v := range shaped.Headers {
			w.Header().Set(key, v)
		}
		for _, raw := range []json.RawMessage{shaped.Status, shaped.StatusCode} {
			if n, err := strconv.Atoi(strings.Trim(string(raw), `"`)); err == nil && n >= 200 && n <= 599 {
				status = n
			}
		}
	}
	var text string
	if json.Unmarshal(body, &text) == nil {
		body = json.RawMessage(text)
	} else if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}
