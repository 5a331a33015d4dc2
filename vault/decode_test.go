package vault

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/vaultsync"
)

func TestKindsOfNotFound(t *testing.T) {
	tests := []struct {
		body string
		want notFound
	}{
		{`{"errors":[]}`, emptyErrors},
		{`{"errors":["no handler for route \"kv/data/a\". route entry not found."]}`, noRoute},
		{`{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine. See the API docs"]}`, otherVersion},
		{`{"data":{"data":null,"metadata":{"version":1}}}`, aVersion},
		{`{"errors":["something else"]}`, nothing},
		{`{"errors":null}`, nothing},
		{`{}`, nothing},
		{`[]`, nothing},
		{``, nothing},
		{`not found`, nothing},
		{`{"errors":[]} trailing`, nothing},
		{`{"errors":[7]}`, nothing},
	}
	for _, test := range tests {
		if got := decodeNotFound([]byte(test.body)); got != test.want {
			t.Errorf("%s: kind %d, want %d", test.body, got, test.want)
		}
	}
}

func TestMountBodies(t *testing.T) {
	const body = `{"data":{"auth":{"token/":{"type":"token"}},"secret":{
		"a/":{"type":"kv","uuid":"u1","accessor":"kv_1","options":{"version":"2"}},
		"b/":{"type":"kv","uuid":"u2","accessor":"kv_2","options":{"version":"1"}},
		"c/":{"type":"kv","uuid":"u3","accessor":"kv_3","options":null},
		"d/":{"type":"kv","uuid":"u4","accessor":"kv_4","options":{}},
		"e/f/":{"type":"generic","uuid":"u5","accessor":"kv_5"},
		"cubbyhole/":{"type":"cubbyhole"},"pki/":{"type":"pki","options":{"version":"2"}}}}}`
	got, bao, err := decodeMounts([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]vaultsync.Mount{
		"a": {Path: "a", Version: 2, ID: "u1/kv_1"}, "b": {Path: "b", Version: 1, ID: "u2/kv_2"}, "c": {Path: "c", Version: 1, ID: "u3/kv_3"},
		"d": {Path: "d", Version: 1, ID: "u4/kv_4"}, "e/f": {Path: "e/f", Version: 1, ID: "u5/kv_5"},
	}
	if bao {
		t.Error("these are not OpenBao's")
	}
	byPath := map[string]vaultsync.Mount{}
	for _, m := range got {
		byPath[m.Path] = m
	}
	if diff := cmp.Diff(want, byPath); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMalformedAnswersProveNothing(t *testing.T) {
	decoders := map[string]func([]byte) error{
		"mounts":   func(b []byte) error { _, _, err := decodeMounts(b); return err },
		"mount":    func(b []byte) error { _, _, err := decodeMount(b); return err },
		"list":     func(b []byte) error { _, err := decodeList(b); return err },
		"metadata": func(b []byte) error { _, err := decodeMetadata(b); return err },
		"data":     func(b []byte) error { _, _, err := decodeData(b); return err },
		"detailed": func(b []byte) error { _, _, err := decodeDetailed(b); return err },
		"written":  func(b []byte) error { _, err := decodeWritten(b); return err },
		"can":      func(b []byte) error { _, err := decodeCapabilities(b, "kv/data/p"); return err },
		"plain":    func(b []byte) error { _, err := decodePlain(b); return err },
		"grant":    func(b []byte) error { _, err := decodeGrant(b); return err },
	}
	every := []string{``, `null`, `[]`, `{}`, `{"data":null}`, `"data"`, `{"data":7}`, "{\"data\":{\"a\":\"\xff\"}}", `{"data":{}} {}`, `{"data":{}`}
	of := map[string][]string{
		"list":     {`{"data":{"keys":null}}`, `{"data":{"keys":"a"}}`, `{"data":{"keys":[1]}}`, `{"warnings":["x"],"data":{}}`},
		"mounts":   {`{"data":{"secret":null}}`, `{"data":{"secret":{"a/":7}}}`},
		"metadata": {`{"data":{"current_version":1}}`, `{"data":{"current_version":1,"versions":{"2":{}}}}`, `{"data":{"current_version":-1,"versions":{"-1":{"created_time":"2026-01-01T00:00:00Z"}}}}`, `{"data":{"current_version":1,"versions":{"1":{"created_time":"today"}}}}`},
		"data":     {`{"data":{"data":{"a":"1"}}}`, `{"data":{"data":"x","metadata":{"version":1,"created_time":"2026-01-01T00:00:00Z"}}}`, `{"data":{"data":null,"metadata":{"version":1,"created_time":"2026-01-01T00:00:00Z","deletion_time":"soon"}}}`, `{"data":{"data":null,"metadata":{"version":0,"created_time":"2026-01-01T00:00:00Z"}}}`},
		"detailed": {`{"data":{"keys":null,"key_info":{}}}`, `{"data":{"keys":["a"],"key_info":[]}}`},
		"written":  {`{"data":{"version":0,"created_time":"2026-01-01T00:00:00Z"}}`, `{"data":{"version":1}}`, `{"data":{"version":"1","created_time":"2026-01-01T00:00:00Z"}}`},
		"can":      {`{"data":{"kv/data/p":null}}`, `{"data":{"kv/data/p":"root"}}`, `{"data":{"kv/data/q":["root"]}}`},
		"grant":    {`{"auth":{"client_token":""}}`, `{"auth":{"client_token":"t","lease_duration":-1}}`, `{"auth":{"client_token":7}}`},
	}
	for name, fails := range decoders {
		for _, body := range append(every, of[name]...) {
			if body == `{"data":{}} {}` && name == "grant" || body == `{"data":{}}` && name == "plain" {
				continue
			}
			if fails([]byte(body)) == nil {
				t.Errorf("%s takes %q", name, body)
			}
		}
	}
}

// TestDetailedListing: a secret whose metadata is missing or odd is listed without a state, so that it is asked for.
func TestDetailedListing(t *testing.T) {
	const live = `{"current_version":2,"versions":{"2":{"created_time":"2026-01-01T00:00:00Z","deletion_time":"","destroyed":false}},"custom_metadata":{"a":"b"}}`
	names, states, err := decodeDetailed([]byte(`{"data":{"keys":["live","live/","empty","odd","none","never"],"key_info":{
		"live":` + live + `,"live/":` + live + `,"empty":{},"odd":{"current_version":"2"},"never":{"current_version":0},"unlisted":` + live + `}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"live", "live/", "empty", "odd", "none", "never"}, names); diff != "" {
		t.Errorf("names (-want +got)\n%s", diff)
	}
	want := map[string]vaultsync.State{
		"live":  {Version: 2, Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Custom: map[string]string{"a": "b"}},
		"never": {},
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got)\n%s", diff)
	}
}

func TestNullIsAFieldAndNoFieldsAreNull(t *testing.T) {
	const metadata = `"metadata":{"version":3,"created_time":"2026-01-02T03:04:05.6Z","deletion_time":"","destroyed":false,"custom_metadata":null}`
	want := vaultsync.State{Version: 3, Created: time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)}
	for body, count := range map[string]int{
		`{"data":{"data":{"a":null},` + metadata + `}}`: 1,
		`{"data":{"data":{},` + metadata + `}}`:         0,
		`{"data":{"data":null,` + metadata + `}}`:       -1,
	} {
		s, fields, err := decodeData([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if (count < 0) != (fields == nil) || (count >= 0 && len(fields) != count) {
			t.Errorf("%s: fields %d, nil %v", body, len(fields), fields == nil)
		}
		if count == 1 && fields["a"].Reveal() != "null" {
			t.Errorf("null became %q", fields["a"].Reveal())
		}
	}
}

// FuzzAnswer: whatever a server sends, the decoders return something sound or an error that quotes nothing of it.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"errors":[]}`, `{"data":{"keys":["a","b/"]}}`, `{"data":{"a":1.10,"b":{"c":[null]}}}`, `{"auth":{"client_token":"t","lease_duration":60}}`,
		`{"data":{"current_version":1,"versions":{"1":{"created_time":"2026-01-01T00:00:00Z","deletion_time":"","destroyed":false}},"custom_metadata":{"a":"b"}}}`,
		`{"data":{"data":{"a":"b"},"metadata":{"version":1,"created_time":"2026-01-01T00:00:00Z","deletion_time":"2026-01-01T00:00:00Z","destroyed":true}}}`,
		`{"data":{"secret":{"kv/":{"type":"kv","uuid":"u","accessor":"a","options":{"version":"2"}}}}}`, `{"data":{"path":"kv/","type":"kv"}}`,
		`{"data":{"keys":["a"],"key_info":{"a":{"current_version":1,"versions":{"1":{"created_time":"2026-01-01T00:00:00Z"}}}}}}`,
		`{"data":{"version":2,"created_time":"2026-01-01T00:00:00Z","deletion_time":""}}`, `{"data":{"kv/data/p":["root"]}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sound := func(s vaultsync.State, fields vaultsync.Fields, err error) {
			if err != nil {
				if !strings.HasPrefix(err.Error(), "unavailable: the answer is not one of vault: ") {
					t.Fatalf("error %q", err)
				}
				return
			}
			if s.Version < 0 || (s.Version == 0 && !s.Created.IsZero()) {
				t.Fatalf("state %+v", s)
			}
			for _, v := range fields {
				if !json.Valid([]byte(v.Reveal())) {
					t.Fatal("a field is not JSON")
				}
			}
		}
		s, fields, err := decodeData(body)
		sound(s, fields, err)
		s, err = decodeMetadata(body)
		sound(s, nil, err)
		fields, err = decodePlain(body)
		sound(vaultsync.State{}, fields, err)
		_, err = decodeList(body)
		sound(vaultsync.State{}, nil, err)
		_, states, err := decodeDetailed(body)
		sound(vaultsync.State{}, nil, err)
		for _, s := range states {
			sound(s, nil, nil)
		}
		s, err = decodeWritten(body)
		sound(s, nil, err)
		_, err = decodeCapabilities(body, "kv/data/p")
		sound(vaultsync.State{}, nil, err)
		_, _, err = decodeMounts(body)
		sound(vaultsync.State{}, nil, err)
		_, _, err = decodeMount(body)
		sound(vaultsync.State{}, nil, err)
		if g, err := decodeGrant(body); err == nil && (g.token.Len() == 0 || g.lifetime < 0) {
			t.Fatal("a log-in without a token")
		}
		if k := decodeNotFound(body); k != nothing && !json.Valid(body) {
			t.Fatalf("kind %d of what is not JSON", k)
		}
	})
}
