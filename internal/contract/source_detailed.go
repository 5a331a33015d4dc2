package contract

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// detailed: a listing with metadata says what List and Metadata say, or that this server has none.
func (f sourceTest) detailed(t *testing.T) {
	src := f.Open(t, vault.Token(secret.New(f.Root)))
	lister, ok := src.(vaultsync.DetailedLister)
	if !ok {
		t.Skip("this source does not list with metadata")
	}
	m, one := f.mount(t, 2), f.mount(t, 1)
	if _, err := src.Mounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"a", "a/b", "deleted", "destroyed", "twice", "odd é%2F?#", "aside/x"} {
		f.put(t, m, path, `{"a":"1"}`)
	}
	f.put(t, m, "twice", `{"a":"2"}`)
	f.must(t, http.MethodDelete, m.Path+"/data/deleted", "")
	f.must(t, http.MethodPut, m.Path+"/destroy/destroyed", `{"versions":[1]}`)
	f.must(t, http.MethodPost, m.Path+"/metadata/described", `{"custom_metadata":{"owner":"team-a"}}`)
	for _, dir := range []string{"", "a/", "nowhere/"} {
		names, states, err := lister.ListDetailed(t.Context(), m, dir)
		if f.OpenBao {
			if err != nil {
				t.Fatal(err)
			}
		} else {
			wantKind(t, err, secret.ErrUnsupported)
			continue
		}
		wantNames(t, src, m, dir, names...)
		for _, name := range names {
			if state, told := states[name]; told == strings.HasSuffix(name, "/") {
				t.Errorf("state of %q: %+v, %v", name, state, told)
			} else if told {
				meta, err := src.Metadata(t.Context(), m, dir+name)
				if err != nil || !cmp.Equal(meta, state) {
					t.Errorf("%q is %+v, %v in its metadata and %+v in the listing", name, meta, err, state)
				}
			}
		}
	}
	_, _, err := lister.ListDetailed(t.Context(), one, "")
	wantKind(t, err, secret.ErrUnsupported)

	f.must(t, http.MethodDelete, "sys/mounts/"+m.Path, "")
	if _, _, err = lister.ListDetailed(t.Context(), m, ""); err == nil {
		t.Error("a mount that is gone lists as empty")
	}
	f.enable(t, m.Path, 2)
	if _, _, err = lister.ListDetailed(t.Context(), m, ""); err == nil {
		t.Error("a mount made anew lists as the one before")
	}
}
