package keyvault

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// clock is a fake clock for one goroutine.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

// answer is what a call got, with the parts tests look at most already decoded.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   struct {
		ID         string
		Value      json.RawMessage
		Attributes struct {
			Enabled                    bool
			Created, Updated, Exp, Nbf int64
			RecoveryLevel              string
		}
		Tags        map[string]string
		ContentType *string
		NextLink    *string
		Error       struct {
			Code, Message string
			InnerError    struct{ Code string }
		}
	}
}

// failed is "404 SecretNotFound", "409 Conflict/ObjectIsBeingDeleted" or "200".
func (a answer) failed() string {
	s := strings.TrimSpace(http.StatusText(a.status))
	if a.body.Error.Code == "" {
		return s
	}
	s += " " + a.body.Error.Code
	if inner := a.body.Error.InnerError.Code; inner != "" {
		s += "/" + inner
	}
	return s
}

// version is the version in the answer's id.
func (a answer) version() string { return a.body.ID[strings.LastIndex(a.body.ID, "/")+1:] }

// names are the last segments of the ids of a page.
func (a answer) names(t *testing.T) []string {
	t.Helper()
	var items []struct{ ID string }
	if err := json.Unmarshal(a.body.Value, &items); err != nil {
		t.Fatalf("page: %v in %s", err, a.raw)
	}
	names := []string{}
	for _, i := range items {
		names = append(names, i.ID[strings.LastIndex(i.ID, "/")+1:])
	}
	return names
}

// send makes one call with a token; path may hold a query, to which the api-version is added.
func send(t *testing.T, v *Vault, method, path, body string) answer {
	t.Helper()
	target := path
	if !strings.HasPrefix(path, "https://") {
		target = "https://kv1.vault.azure.net" + path
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		target += sep + "api-version=7.6"
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer made-up")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return record1(t, v, r)
}

func record1(t *testing.T, v *Vault, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Result().Header, raw: w.Body.Bytes()}
	if len(a.raw) > 0 {
		if err := json.Unmarshal(a.raw, &a.body); err != nil {
			t.Fatalf("%s %s: %v in %s", r.Method, r.URL.Path, err, a.raw)
		}
	}
	return a
}

// must is send that expects success.
func must(t *testing.T, v *Vault, method, path, body string) answer {
	t.Helper()
	a := send(t, v, method, path, body)
	if a.status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, a.status, a.raw)
	}
	return a
}

// canonical rewrites JSON with its keys in the order they have, so that texts compare as values and orders.
func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	var tree bytes.Buffer
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	depth := 0
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return tree.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		if d, ok := tok.(json.Delim); ok && (d == '}' || d == ']') {
			depth--
		}
		text, err := json.Marshal(tok)
		if d, ok := tok.(json.Delim); ok {
			text, err = []byte(d.String()), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		tree.WriteString(strings.Repeat("  ", depth) + string(text) + "\n")
		if d, ok := tok.(json.Delim); ok && (d == '{' || d == '[') {
			depth++
		}
	}
}
