package contract

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

func (f sourceTest) mounts(t *testing.T) {
	one, two := f.mount(t, 1), f.mount(t, 2)
	if one.Version != 1 || two.Version != 2 {
		t.Errorf("versions are %d and %d, want 1 and 2", one.Version, two.Version)
	}
	if one.ID == "" || one.ID == two.ID {
		t.Errorf("ids are %q and %q", one.ID, two.ID)
	}
	if again := f.find(t, two.Path); again != two {
		t.Errorf("mount was %+v, now %+v", two, again)
	}
	f.must(t, http.MethodDelete, "sys/mounts/"+two.Path, "")
	f.enable(t, two.Path, 2)
	if again := f.find(t, two.Path); again.ID == two.ID {
		t.Error("a mount made anew has its old id")
	}

	// A token sees only the mounts it may use.
	token := f.Token(t, Grants{one.Path + "/*": {"read", "list"}})
	seen, err := f.Open(t, vault.Token(secret.New(token))).Mounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]vaultsync.Mount{one}, seen); diff != "" {
		t.Errorf("mounts of a narrow token (-want +got)\n%s", diff)
	}
}

func (f sourceTest) listing(t *testing.T) {
	for _, version := range []int{1, 2} {
		m := f.mount(t, version)
		wantNames(t, f.src, m, "")
		for _, path := range []string{"both", "both/under", "deep/er/leaf", "UP", "up"} {
			f.put(t, m, path, `{"a":"1"}`)
		}
		wantNames(t, f.src, m, "", "both", "both/", "deep/", "UP", "up")
		wantNames(t, f.src, m, "both/", "under")
		wantNames(t, f.src, m, "deep/", "er/")
		wantNames(t, f.src, m, "deep/er/", "leaf")
		wantNames(t, f.src, m, "up/")
		wantNames(t, f.src, m, "nowhere/")
	}

	// What cannot be read is still listed on version 2, until its metadata goes.
	m := f.mount(t, 2)
	for _, path := range []string{"deleted", "destroyed", "wiped"} {
		f.put(t, m, path, `{"a":"1"}`)
	}
	f.must(t, http.MethodDelete, m.Path+"/data/deleted", "")
	f.must(t, http.MethodPut, m.Path+"/destroy/destroyed", `{"versions":[1]}`)
	f.must(t, http.MethodDelete, m.Path+"/metadata/wiped", "")
	f.must(t, http.MethodPost, m.Path+"/metadata/described", `{"max_versions":3}`)
	wantNames(t, f.src, m, "", "deleted", "described", "destroyed")
}

// absence: every 404 that is not a proof.
func (f sourceTest) absence(t *testing.T) {
	for _, version := range []int{1, 2} {
		m := f.mount(t, version)
		f.put(t, m, "a", `{"a":"1"}`)

		other := m
		other.Version = 3 - version
		_, err := f.src.List(t.Context(), other, "")
		wantKind(t, err, secret.ErrConflict)
		_, _, err = f.src.Read(t.Context(), other, "a")
		wantKind(t, err, secret.ErrConflict)

		f.must(t, http.MethodDelete, "sys/mounts/"+m.Path, "")
		if _, err = f.src.List(t.Context(), m, ""); err == nil {
			t.Error("a mount that is gone lists as empty")
		} else {
			wantKind(t, err, secret.ErrNotFound)
		}
		_, _, err = f.src.Read(t.Context(), m, "a")
		wantKind(t, err, secret.ErrUnavailable)

		f.enable(t, m.Path, version)
		_, err = f.src.List(t.Context(), m, "")
		wantKind(t, err, secret.ErrConflict)
		_, _, err = f.src.Read(t.Context(), m, "a")
		wantKind(t, err, secret.ErrConflict)
		if version == 2 {
			_, err = f.src.Metadata(t.Context(), m, "a")
			wantKind(t, err, secret.ErrConflict)
		}
		wantNames(t, f.src, f.find(t, m.Path), "")
	}
}

// upgrade: a mount that becomes version 2 in the middle of a walk.
func (f sourceTest) upgrade(t *testing.T) {
	before := f.mount(t, 1)
	f.put(t, before, "app/a", `{"a":"1"}`)
	f.must(t, http.MethodPost, "sys/mounts/"+before.Path+"/tune", `{"options":{"version":"2"}}`)
	f.ready(t, before.Path)
	_, err := f.src.List(t.Context(), before, "")
	wantKind(t, err, secret.ErrConflict)
	_, err = f.src.List(t.Context(), before, "app/")
	wantKind(t, err, secret.ErrConflict)
	_, _, err = f.src.Read(t.Context(), before, "app/a")
	wantKind(t, err, secret.ErrConflict)

	after := f.find(t, before.Path)
	if after.Version != 2 || after.ID != before.ID {
		t.Errorf("mount was %+v, now %+v", before, after)
	}
	wantNames(t, f.src, after, "app/", "a")
	if state, _, err := f.src.Read(t.Context(), after, "app/a"); err != nil || state.Version != 1 {
		t.Errorf("version %d, %v", state.Version, err)
	}
}

// oddNames: what Vault accepts goes there and back as it is (facts/vault-sync.md A6).
func (f sourceTest) oddNames(t *testing.T) {
	names := []string{
		"with space", "trailing ", " leading", "ünïcödé", "e\u0301", "\u00e9", "日本", "100%", "%2F", "%zz", "a?b", "a#b", "a+b", "a*b", "a;b", "a:b", "a&b=c",
		`back\slash`, "_x", "dot.", ".hidden", "data", "metadata", "config", strings.Repeat("long", 150), "quo\"te", "{brace}", "~", "@", "a,b", "(c)",
	}
	for _, version := range []int{1, 2} {
		m := f.mount(t, version)
		if version == 2 {
			names = append(names, "a..b", "..a", "dot..")
		}
		for _, name := range names {
			f.put(t, m, "dir/"+name, `{"name":`+quote(name)+`}`)
		}
		wantNames(t, f.src, m, "dir/", names...)
		for _, name := range names {
			_, fields, err := f.src.Read(t.Context(), m, "dir/"+name)
			if err != nil {
				t.Errorf("version %d: %v", version, err)
				continue
			}
			var got string
			if err := json.Unmarshal([]byte(fields["name"].Reveal()), &got); err != nil || got != name {
				t.Errorf("version %d: asked for %q, got %q, %v", version, name, got, err)
			}
			if version == 2 {
				if _, err := f.src.Metadata(t.Context(), m, "dir/"+name); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// refusedPaths: what Vault or its API module would take for another path is not sent.
func (f sourceTest) refusedPaths(t *testing.T) {
	for _, version := range []int{1, 2} {
		m := f.mount(t, version)
		f.put(t, m, "up", `{"a":"1"}`)
		bad := []string{"", "/", "/up", "up/", "a//up", "./up", "x/../up", "..", "up/.", "tab\tname", "line\nname", "nul\x00", "not\xffutf8"}
		if version == 1 {
			bad = append(bad, "a..b", "..a", "dot..")
		}
		for _, path := range bad {
			_, _, err := f.src.Read(t.Context(), m, path)
			wantKind(t, err, secret.ErrInvalid)
		}
		for _, dir := range []string{"up", "/", "a//", "../", "a/../", "tab\t/"} {
			_, err := f.src.List(t.Context(), m, dir)
			wantKind(t, err, secret.ErrInvalid)
		}
	}
}
