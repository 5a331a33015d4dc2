package vault_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyferry/keyferry/internal/emulator/vault"
)

func TestOpenBaoListsWithMetadata(t *testing.T) {
	r := newRig(t, vault.Options{OpenBao: true})
	r.Mount("kv", 2)
	for _, path := range []string{"a", "a/b", "a/c/d", "z"} {
		r.put("kv", path, map[string]any{"v": path})
	}
	for _, c := range []struct{ method, path, want string }{
		{"LIST", "kv/detailed-metadata/", "[a a/ z]"},
		{"LIST", "kv/detailed-metadata/?limit=1", "[a]"},
		{"LIST", "kv/detailed-metadata/?after=a&limit=1", "[a/]"},
		{"LIST", "kv/detailed-metadata/a", "[b c/]"},
		{"GET", "kv/detailed-metadata/a/?list=true", "[b c/]"},
		{"SCAN", "kv/detailed-metadata/", "[a a/b a/c/d z]"},
		{"GET", "kv/detailed-metadata/a?scan=true", "[b c/d]"},
		{"SCAN", "kv/metadata/", "[a a/b a/c/d z]"},
		{"LIST", "kv/metadata/?after=a/", "[z]"},
	} {
		data := r.want(200, "root", c.method, c.path, "")
		if got := fmt.Sprint(data["keys"]); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
	r.want(404, "root", "LIST", "kv/detailed-metadata/none", "")
	r.want(405, "root", "GET", "kv/detailed-metadata/a", "")
}

func TestOpenBaoKeyInfoIsTheMetadata(t *testing.T) {
	r := newRig(t, vault.Options{OpenBao: true})
	r.Mount("kv", 2)
	r.put("kv", "a", map[string]any{"v": 1})
	r.put("kv", "dir/b", map[string]any{"v": 1})
	info := r.want(200, "root", "LIST", "kv/detailed-metadata/", "")["key_info"].(map[string]any)
	if diff := cmp.Diff(r.want(200, "root", "GET", "kv/metadata/a", ""), info["a"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{}, info["dir/"]); diff != "" {
		t.Error(diff)
	}
	if by, ok := info["a"].(map[string]any)["last_updated_by"]; ok {
		t.Errorf("OpenBao does not attribute, got %v", by)
	}
}

func TestOpenBaoScanNeedsItsCapability(t *testing.T) {
	r := newRig(t, vault.Options{OpenBao: true})
	r.Mount("kv", 2)
	r.put("kv", "a", map[string]any{"v": 1})
	r.Policy("lister", map[string][]string{"kv/detailed-metadata/*": {"list"}})
	r.Policy("scanner", map[string][]string{"kv/detailed-metadata/*": {"scan"}})
	r.want(403, r.Token(0, "lister"), "SCAN", "kv/detailed-metadata/", "")
	r.want(200, r.Token(0, "scanner"), "SCAN", "kv/detailed-metadata/", "")
}
