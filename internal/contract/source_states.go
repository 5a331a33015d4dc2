package contract

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// vaultCall is a raw call below a mount.
type vaultCall struct{ method, path, body string }

// writeP is the call that writes a version of p.
func writeP(data string) vaultCall {
	return vaultCall{http.MethodPost, "data/p", `{"data":` + data + `}`}
}

func (f sourceTest) statesOfVersion2(t *testing.T) {
	m := f.mount(t, 2)
	remove := vaultCall{http.MethodDelete, "data/p", ""}
	wipe := vaultCall{http.MethodDelete, "metadata/p", ""}
	describe := vaultCall{http.MethodPost, "metadata/p", `{"custom_metadata":{"owner":"team-a"}}`}
	tests := []struct {
		name     string
		calls    []vaultCall
		version  int
		gone     bool // the version cannot be read now
		destroy  bool
		later    bool // a deletion lies ahead
		custom   map[string]string
		fields   map[string]string
		absent   bool // neither metadata nor data
		metaOnly bool // no data
	}{
		{name: "live", calls: []vaultCall{writeP(`{"user":"u","port":5432}`)}, version: 1,
			fields: map[string]string{"user": `"u"`, "port": `5432`}},
		{name: "written twice", calls: []vaultCall{writeP(`{"a":"1"}`), writeP(`{"a":"2"}`)}, version: 2, fields: map[string]string{"a": `"2"`}},
		{name: "nested", calls: []vaultCall{writeP(`{"a":{"b":[1,true,null]},"c":null,"d":"é\n"}`)}, version: 1,
			fields: map[string]string{"a": `{"b":[1,true,null]}`, "c": `null`, "d": `"é\n"`}},
		{name: "null written", calls: []vaultCall{writeP(`null`)}, version: 1},
		{name: "empty object", calls: []vaultCall{writeP(`{}`)}, version: 1, fields: map[string]string{}},
		{name: "deleted", calls: []vaultCall{writeP(`{"a":"1"}`), remove}, version: 1, gone: true},
		{name: "older version live", calls: []vaultCall{writeP(`{"a":"1"}`), writeP(`{"a":"2"}`), remove}, version: 2, gone: true},
		{name: "undeleted", calls: []vaultCall{writeP(`{"a":"1"}`), remove, {http.MethodPost, "undelete/p", `{"versions":[1]}`}}, version: 1,
			fields: map[string]string{"a": `"1"`}},
		{name: "destroyed", calls: []vaultCall{writeP(`{"a":"1"}`), {http.MethodPut, "destroy/p", `{"versions":[1]}`}}, version: 1, gone: true, destroy: true},
		{name: "deleted, then destroyed", calls: []vaultCall{writeP(`{"a":"1"}`), remove, {http.MethodPut, "destroy/p", `{"versions":[1]}`}}, version: 1, gone: true, destroy: true},
		{name: "deletion ahead", calls: []vaultCall{{http.MethodPost, "metadata/p", `{"delete_version_after":"24h"}`}, writeP(`{"a":"1"}`)}, version: 1, later: true,
			fields: map[string]string{"a": `"1"`}},
		{name: "custom metadata", calls: []vaultCall{writeP(`{"a":"1"}`), describe}, version: 1, custom: map[string]string{"owner": "team-a"},
			fields: map[string]string{"a": `"1"`}},
		{name: "custom metadata of a deleted version", calls: []vaultCall{writeP(`{"a":"1"}`), describe, remove}, version: 1, gone: true,
			custom: map[string]string{"owner": "team-a"}},
		{name: "history cut", calls: []vaultCall{{http.MethodPost, "metadata/p", `{"max_versions":1}`}, writeP(`{"a":"1"}`), writeP(`{"a":"2"}`), writeP(`{"a":"3"}`)}, version: 3,
			fields: map[string]string{"a": `"3"`}},
		{name: "made anew", calls: []vaultCall{writeP(`{"a":"1"}`), writeP(`{"a":"2"}`), wipe, writeP(`{"a":"3"}`)}, version: 1, fields: map[string]string{"a": `"3"`}},
		{name: "metadata only", calls: []vaultCall{describe}, metaOnly: true, custom: map[string]string{"owner": "team-a"}},
		{name: "wiped", calls: []vaultCall{writeP(`{"a":"1"}`), wipe}, absent: true},
		{name: "never there", absent: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f.Do(t, wipe.method, m.Path+"/"+wipe.path, "")
			for _, c := range test.calls {
				f.must(t, c.method, m.Path+"/"+c.path, c.body)
			}
			now := time.Now()
			meta, err := f.src.Metadata(t.Context(), m, "p")
			if test.absent {
				wantKind(t, err, secret.ErrNotFound)
			} else if err != nil {
				t.Fatal(err)
			}
			state, fields, err := f.src.Read(t.Context(), m, "p")
			if test.absent || test.metaOnly {
				wantKind(t, err, secret.ErrNotFound)
				state = meta
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(meta, state); diff != "" {
				t.Errorf("metadata and data disagree (-metadata +data)\n%s", diff)
			}
			want := vaultsync.State{Version: test.version, Destroyed: test.destroy, Custom: test.custom, Created: state.Created, Deletion: state.Deletion}
			if diff := cmp.Diff(want, state); diff != "" {
				t.Errorf("state (-want +got)\n%s", diff)
			}
			if state.Created.IsZero() != (test.version == 0) {
				t.Errorf("created %v for version %d", state.Created, state.Version)
			}
			if state.Gone(now) != test.gone {
				t.Errorf("gone is %v, want %v: %+v", state.Gone(now), test.gone, state)
			}
			if state.Deletion.After(now) != test.later {
				t.Errorf("deletion at %v, ahead wanted: %v", state.Deletion, test.later)
			}
			if diff := cmp.Diff(test.fields, fieldText(fields)); diff != "" {
				t.Errorf("fields (-want +got)\n%s", diff)
			}
		})
	}
}

func (f sourceTest) statesOfVersion1(t *testing.T) {
	m := f.mount(t, 1)
	f.put(t, m, "app/db", `{"user":"u","ttl":"1h","nested":{"a":[1]}}`)
	state, fields, err := f.src.Read(t.Context(), m, "app/db")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(vaultsync.State{}, state); diff != "" {
		t.Errorf("version 1 has a state (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"user": `"u"`, "ttl": `"1h"`, "nested": `{"a":[1]}`}, fieldText(fields)); diff != "" {
		t.Errorf("fields (-want +got)\n%s", diff)
	}
	_, err = f.src.Metadata(t.Context(), m, "app/db")
	wantKind(t, err, secret.ErrUnsupported)

	f.must(t, http.MethodDelete, m.Path+"/app/db", "")
	_, _, err = f.src.Read(t.Context(), m, "app/db")
	wantKind(t, err, secret.ErrNotFound)
	_, _, err = f.src.Read(t.Context(), m, "app")
	wantKind(t, err, secret.ErrNotFound)
}

// numberText: version 1 keeps the text of a number, version 2 has already rounded it (facts/vault-sync.md A5), and the
// source changes neither.
func (f sourceTest) numberText(t *testing.T) {
	const data = `{"big":9007199254740993,"huge":12345678901234567890,"trailing":1.10,"whole":1.0,"exponent":1e3}`
	want := map[int]map[string]string{
		1: {"big": "9007199254740993", "huge": "12345678901234567890", "trailing": "1.10", "whole": "1.0", "exponent": "1e3"},
		2: {"big": "9007199254740992", "huge": "12345678901234567000", "trailing": "1.1", "whole": "1", "exponent": "1000"},
	}
	for version, want := range want {
		m := f.mount(t, version)
		f.put(t, m, "n", data)
		_, fields, err := f.src.Read(t.Context(), m, "n")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, fieldText(fields)); diff != "" {
			t.Errorf("version %d (-want +got)\n%s", version, diff)
		}
	}
}
