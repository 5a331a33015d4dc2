package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// writer is a source under test that writes, and whose errors are looked at.
type writer struct {
	vaultsync.Writer
	watched
}

// writer opens a source with the token, or skips the test where sources do not write.
func (f sourceTest) writer(t *testing.T, token string) *writer {
	t.Helper()
	src := f.Open(t, vault.Token(secret.New(token)))
	w, ok := src.(vaultsync.Writer)
	if !ok {
		t.Skip("this source does not write")
	}
	return &writer{Writer: w, watched: watched{Source: src, t: t, forbidden: []string{token, "s3cr3t"}}}
}

func (w *writer) WriteField(ctx context.Context, m vaultsync.Mount, path, field string, value secret.Value, cas int) (vaultsync.State, error) {
	s, err := w.Writer.WriteField(ctx, m, path, field, value, cas)
	w.look(err)
	return s, err
}

func (w *writer) WriteObject(ctx context.Context, m vaultsync.Mount, path string, fields vaultsync.Fields, cas int) (vaultsync.State, error) {
	s, err := w.Writer.WriteObject(ctx, m, path, fields, cas)
	w.look(err)
	return s, err
}

// wantWritten checks that the secret has the fields, and the state that the write told.
func wantWritten(t *testing.T, src vaultsync.Source, m vaultsync.Mount, path string, told vaultsync.State, fields map[string]string) {
	t.Helper()
	state, now, err := src.Read(t.Context(), m, path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fields, fieldText(now)); diff != "" {
		t.Errorf("fields (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(state, told); diff != "" {
		t.Errorf("state told by the write (-read +told)\n%s", diff)
	}
	if meta, err := src.Metadata(t.Context(), m, path); err != nil || !cmp.Equal(meta, told) {
		t.Errorf("metadata %+v, %v, told %+v", meta, err, told)
	}
}

// writes: one field or all of them, whatever JSON they hold, and nothing beside them.
func (f sourceTest) writes(t *testing.T) {
	w := f.writer(t, f.Root)
	m := f.mount(t, 2)
	const data = `{"user":"o'brien","password":"one","port":5432,"rate":1e+21,"nested":{"a":1,"b":[1,{"c":null}]},"gone":null,"é <&>\u2028":"\u2028"}`
	f.put(t, m, "deep/db", data)
	f.must(t, http.MethodPost, m.Path+"/metadata/deep/db", `{"custom_metadata":{"owner":"team-a"},"delete_version_after":"24h"}`)
	_, before, err := w.Read(t.Context(), m, "deep/db")
	if err != nil {
		t.Fatal(err)
	}
	want := fieldText(before)
	version := 1
	for _, c := range []struct{ field, value string }{
		{"password", `"two"`},
		{"password", quote("quotes \" ' \\, unicode ü\u2028<&>, $%{} and\nlines")},
		{"password", `"-----BEGIN X-----\r\n"`},
		{"port", `6543`},
		{"port", `true`},
		{"port", `{"text":"` + strings.Repeat("x", 20_000) + `"}`},
		{"nested", `{"a":2}`}, // replaced, not merged
		{"nested", `[{"a":null,"b":1}]`},
		{"nested", `null`},
		{"gone", `"back"`},
		{"new", `""`},
		{"", `"without a name"`},
		{"a/b", `1`},
		{"é <&>\u2028", `"x"`},
	} {
		told, err := w.WriteField(t.Context(), m, "deep/db", c.field, secret.New(c.value), version)
		if err != nil {
			t.Fatalf("field %q: %v", c.field, err)
		}
		version++
		_, now, err := w.Read(t.Context(), m, "deep/db")
		if err != nil {
			t.Fatal(err)
		}
		if want[c.field] = now[c.field].Reveal(); !sameJSON(t, want[c.field], c.value) { // escapes may differ
			t.Fatalf("field %q is %s, want %s", c.field, want[c.field], c.value)
		}
		if told.Version != version || told.Deletion.IsZero() || told.Custom["owner"] != "team-a" {
			t.Errorf("field %q: told %+v, want version %d", c.field, told, version)
		}
		wantWritten(t, w, m, "deep/db", told, want)
	}

	told, err := w.WriteObject(t.Context(), m, "deep/db", vaultsync.Fields{"a": secret.New(`"1"`), "b": secret.New(`{"c":null}`)}, version)
	if err != nil {
		t.Fatal(err)
	}
	wantWritten(t, w, m, "deep/db", told, map[string]string{"a": `"1"`, "b": `{"c":null}`})
}

// sameJSON reports whether the JSON texts are one value.
func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return cmp.Equal(x, y)
}

// refusedWrites: what check-and-set, the state of the secret or its mount forbids changes nothing.
func (f sourceTest) refusedWrites(t *testing.T) {
	w := f.writer(t, f.Root)
	m, one := f.mount(t, 2), f.mount(t, 1)
	f.put(t, one, "p", `{"a":"1"}`)
	remove := vaultCall{http.MethodDelete, "data/p", ""}
	for _, c := range []struct {
		name  string
		calls []vaultCall
		cas   int
		mount vaultsync.Mount
		path  string
		value string
		want  error
	}{
		{name: "lower than the current version", calls: []vaultCall{writeP(`{"a":"1"}`), writeP(`{"a":"2"}`)}, cas: 1, want: secret.ErrConflict},
		{name: "higher than the current version", calls: []vaultCall{writeP(`{"a":"1"}`)}, cas: 2, want: secret.ErrConflict},
		{name: "no version", calls: []vaultCall{writeP(`{"a":"1"}`)}, cas: 0, want: secret.ErrInvalid},
		{name: "deleted", calls: []vaultCall{writeP(`{"a":"1"}`), remove}, cas: 1, want: secret.ErrConflict},
		{name: "destroyed", calls: []vaultCall{writeP(`{"a":"1"}`), {http.MethodPut, "destroy/p", `{"versions":[1]}`}}, cas: 1, want: secret.ErrConflict},
		{name: "null", calls: []vaultCall{writeP(`null`)}, cas: 1, want: secret.ErrConflict},
		{name: "metadata only", calls: []vaultCall{{http.MethodPost, "metadata/p", `{"max_versions":3}`}}, cas: 1, want: secret.ErrConflict},
		{name: "never there", cas: 1, want: secret.ErrConflict},
		{name: "not JSON", calls: []vaultCall{writeP(`{"a":"1"}`)}, cas: 1, value: `s3cr3t`, want: secret.ErrInvalid},
		{name: "version 1", cas: 1, mount: one, want: secret.ErrUnsupported},
		{name: "no mount", cas: 1, mount: vaultsync.Mount{Path: "nowhere-" + m.Path, Version: 2}, want: secret.ErrUnavailable},
		{name: "a path that would be cleaned", cas: 1, path: "x/../p", want: secret.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.Do(t, http.MethodDelete, m.Path+"/metadata/p", "")
			for _, call := range c.calls {
				f.must(t, call.method, m.Path+"/"+call.path, call.body)
			}
			before, err := w.Metadata(t.Context(), m, "p")
			if c.path == "" {
				c.path = "p"
			}
			if c.mount.Path == "" {
				c.mount = m
			}
			for _, value := range []string{`"s3cr3t"`, `{"merged":"s3cr3t"}`} {
				if c.value != "" {
					value = c.value
				}
				_, refusal := w.WriteField(t.Context(), c.mount, c.path, "a", secret.New(value), c.cas)
				wantKind(t, refusal, c.want)
				_, refusal = w.WriteObject(t.Context(), c.mount, c.path, vaultsync.Fields{"a": secret.New(value)}, c.cas)
				wantKind(t, refusal, c.want)
			}
			after, again := w.Metadata(t.Context(), m, "p")
			if (err == nil) != (again == nil) || !cmp.Equal(before, after) {
				t.Errorf("metadata was %+v, %v, and is %+v, %v", before, err, after, again)
			}
		})
	}
}

// writePolicies: a token that may not patch but update writes all the same, and MayWrite says which token can.
func (f sourceTest) writePolicies(t *testing.T) {
	m := f.mount(t, 2)
	for i, c := range []struct {
		grants    []string
		may       bool // as MayWrite says
		text      error
		structure error
	}{
		{grants: []string{"read", "patch", "update"}, may: true},
		{grants: []string{"read", "update"}, may: true},
		{grants: []string{"read", "patch"}, may: true, structure: secret.ErrForbidden},
		{grants: []string{"patch"}, may: true, structure: secret.ErrForbidden},
		{grants: []string{"read"}, text: secret.ErrForbidden, structure: secret.ErrForbidden},
		{grants: []string{"create", "read", "delete"}, text: secret.ErrForbidden, structure: secret.ErrForbidden},
	} {
		t.Run(strings.Join(c.grants, " "), func(t *testing.T) {
			path := fmt.Sprintf("app/s%d", i)
			f.put(t, m, path, `{"a":"1","b":2}`)
			w := f.writer(t, f.Token(t, Grants{m.Path + "/data/" + path: c.grants}))
			err := w.MayWrite(t.Context(), m, path)
			w.look(err)
			if c.may && err != nil {
				t.Error(err)
			} else if !c.may {
				wantKind(t, err, secret.ErrForbidden)
			}
			version := 1
			for _, try := range []struct {
				value string
				want  error
			}{{`"s3cr3t"`, c.text}, {`{"c":"s3cr3t"}`, c.structure}} {
				s, err := w.WriteField(t.Context(), m, path, "a", secret.New(try.value), version)
				if try.want != nil {
					wantKind(t, err, try.want)
					continue
				}
				if version++; err != nil || s.Version != version {
					t.Errorf("%s: version %d, %v", try.value, s.Version, err)
					continue
				}
				wantWritten(t, f.src, m, path, s, map[string]string{"a": try.value, "b": "2"})
			}
		})
	}
}
