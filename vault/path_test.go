package vault

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/vaultsync"
)

// FuzzPath: a path that is let through reaches the server as it is, in spite of the API module's cleaning.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "a//b", "a/../b", "./a", "a..b", "%2F", "a?b#c", "é", "a\tb", "", "/"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, second bool) {
		m := vaultsync.Mount{Path: "kv", Version: 1}
		if second {
			m.Version = 2
		}
		where, err := secretPath(m, "data", s)
		if err != nil {
			return
		}
		if path.Join("/v1/", where) != "/v1/"+where {
			t.Fatalf("%q would be cleaned to %q", where, path.Join("/v1/", where))
		}
		u, err := url.Parse((&url.URL{Path: "/v1/" + where}).RequestURI())
		if err != nil || u.Path != "/v1/"+where {
			t.Fatalf("%q arrives as %q, %v", where, u.Path, err)
		}
		if !strings.HasSuffix(where, "/"+s) {
			t.Fatalf("%q is not at the end of %q", s, where)
		}
		folder, err := folderPath(m, "metadata", s+"/")
		if err != nil || !strings.HasSuffix(folder, "/"+s) {
			t.Fatalf("as a folder: %q, %v", folder, err)
		}
	})
}
