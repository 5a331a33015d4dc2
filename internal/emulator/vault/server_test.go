package vault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/keyferry/keyferry/internal/emulator/vault"
)

// A rig is a Vault with a clock that only the test moves.
type rig struct {
	*vault.Server
	t   *testing.T
	now time.Time
}

func newRig(t *testing.T, options vault.Options) *rig {
	r := &rig{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	options.Now = func() time.Time { return r.now }
	r.Server = vault.New(options)
	return r
}

// call asks with a token and returns the status and the body.
func (r *rig) call(token, method, path, body string) (int, map[string]any) {
	r.t.Helper()
	req := httptest.NewRequest(method, "/v1/"+path, strings.NewReader(body))
	req.Header.Set("X-Vault-Token", token)
	if namespace, rest, ok := strings.Cut(path, "!"); ok {
		req = httptest.NewRequest(method, "/v1/"+rest, strings.NewReader(body))
		req.Header.Set("X-Vault-Token", token)
		req.Header.Set("X-Vault-Namespace", namespace)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	var decoded map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &decoded); err != nil {
			r.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return w.Code, decoded
}

// want fails the test when the status differs, and returns data.
func (r *rig) want(status int, token, method, path, body string) map[string]any {
	r.t.Helper()
	got, answer := r.call(token, method, path, body)
	if got != status {
		r.t.Fatalf("%s %s: status %d, want %d: %v", method, path, got, status, answer)
	}
	data, _ := answer["data"].(map[string]any)
	return data
}

func (r *rig) put(mount, path string, value map[string]any) {
	r.t.Helper()
	if err := r.Put(mount, path, value); err != nil {
		r.t.Fatal(err)
	}
}

func TestAVersionGoesAtItsDeletionTime(t *testing.T) {
	r := newRig(t, vault.Options{})
	r.Mount("kv", 2)
	r.want(204, "root", "PUT", "kv/metadata/a", `{"delete_version_after":"1h"}`)
	r.put("kv", "a", map[string]any{"v": 1})
	before := r.want(200, "root", "GET", "kv/metadata/a", "")
	r.now = r.now.Add(time.Hour - 1)
	r.want(200, "root", "GET", "kv/data/a", "")
	r.now = r.now.Add(1)
	r.want(404, "root", "GET", "kv/data/a", "")
	if diff := cmp.Diff(before, r.want(200, "root", "GET", "kv/metadata/a", "")); diff != "" {
		t.Errorf("the metadata changed although only time passed:\n%s", diff)
	}
}

func TestTokensExpireByTheClock(t *testing.T) {
	r := newRig(t, vault.Options{})
	r.Mount("kv", 1)
	r.put("kv", "a", map[string]any{"v": 1})
	r.Policy("reader", map[string][]string{"kv/*": {"read"}})
	token := r.Token(10*time.Minute, "reader")
	r.want(200, token, "GET", "kv/a", "")
	r.now = r.now.Add(9 * time.Minute)
	r.want(200, token, "POST", "auth/token/renew-self", "")
	r.now = r.now.Add(9 * time.Minute)
	r.want(200, token, "GET", "kv/a", "")
	r.now = r.now.Add(time.Minute)
	r.want(403, token, "GET", "kv/a", "")

	forever := r.Token(0, "reader")
	r.now = r.now.Add(10000 * time.Hour)
	r.want(200, forever, "GET", "kv/a", "")
	r.Policy("reader", nil) // narrowed
	r.want(403, forever, "GET", "kv/a", "")
	r.Revoke(forever)
	_, answer := r.call(forever, "GET", "kv/a", "")
	if text := fmt.Sprint(answer["errors"]); !strings.Contains(text, "invalid token") {
		t.Errorf("a revoked token got %s", text)
	}
}

func TestTheMostSpecificRuleDecides(t *testing.T) {
	for _, c := range []struct {
		rules map[string][]string
		path  string
		want  string
	}{
		{map[string][]string{"kv/*": {"read"}}, "kv/a/b", "read"},
		{map[string][]string{"kv/*": {"read"}}, "kv", "deny"},
		{map[string][]string{"kv/*": {"read"}, "kv/a": {"deny"}}, "kv/a", "deny"},
		{map[string][]string{"kv/*": {"deny"}, "kv/a/*": {"read"}}, "kv/a/b", "read"},
		{map[string][]string{"kv/+/b": {"read"}, "kv/*": {"deny"}}, "kv/a/b", "read"},
		{map[string][]string{"kv/+/b": {"read"}}, "kv/a/b/c", "deny"},
		{map[string][]string{"kv/+/b*": {"read"}}, "kv/a/b/c", "read"},
		{map[string][]string{"kv/+/b*": {"read"}}, "kv/a/bc", "read"},
		{map[string][]string{"kv/+/b": {"list"}, "kv/a/+": {"read"}}, "kv/a/b", "read"},
		{map[string][]string{"kv/a": {"update", "read", "update"}}, "kv/a", "read update"},
		{map[string][]string{"kv/a": {}}, "kv/a", "deny"},
	} {
		r := newRig(t, vault.Options{})
		r.Policy("p", c.rules)
		token := r.Token(time.Hour, "p")
		data := r.want(200, token, "POST", "sys/capabilities-self", `{"path":"`+c.path+`"}`)
		if got := strings.Trim(fmt.Sprint(data["capabilities"]), "[]"); got != c.want {
			t.Errorf("%v on %s: %s, want %s", c.rules, c.path, got, c.want)
		}
	}
}

func TestMountsSeenAreThoseWithRights(t *testing.T) {
	r := newRig(t, vault.Options{})
	for _, name := range []string{"mine", "below", "any", "other", "denied"} {
		r.Mount(name, 2)
	}
	r.Policy("p", map[string][]string{
		"mine/*": {"read"}, "below/data/deep/secret": {"read"}, "any/+/x": {"list"}, "denied/*": {"deny"},
	})
	token := r.Token(time.Hour, "p")
	data := r.want(200, token, "GET", "sys/internal/ui/mounts", "")
	got := slices.Sorted(maps.Keys(data["secret"].(map[string]any)))
	if diff := cmp.Diff([]string{"any/", "below/", "cubbyhole/", "identity/", "mine/", "sys/"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRemountIsANewEngine(t *testing.T) {
	r := newRig(t, vault.Options{})
	r.Mount("kv", 2)
	r.put("kv", "a", map[string]any{"v": 1})
	before := r.want(200, "root", "GET", "sys/internal/ui/mounts/kv", "")
	r.Remount("kv")
	after := r.want(200, "root", "GET", "sys/internal/ui/mounts/kv", "")
	for _, id := range []string{"uuid", "accessor"} {
		if before[id] == after[id] {
			t.Errorf("%s stayed %v", id, after[id])
		}
	}
	r.want(404, "root", "GET", "kv/metadata/a", "")
	r.Unmount("kv")
	r.want(403, "root", "GET", "sys/internal/ui/mounts/kv", "")
}

func TestUpgradeRefusesUntilItIsFinished(t *testing.T) {
	r := newRig(t, vault.Options{})
	r.Mount("kv", 1)
	r.put("kv", "dir/a", map[string]any{"v": json.Number("1.10")})
	finish := r.Upgrade("kv")
	_, answer := r.call("root", "GET", "kv/data/dir/a", "")
	if text := fmt.Sprint(answer["errors"]); !strings.HasPrefix(text, "[Upgrading from non-versioned to versioned data.") {
		t.Errorf("got %s", text)
	}
	finish()
	data := r.want(200, "root", "GET", "kv/data/dir/a", "")
	if diff := cmp.Diff(map[string]any{"v": 1.1}, data["data"]); diff != "" {
		t.Error(diff)
	}
}

func TestLogins(t *testing.T) {
	verify := func(credential string) error {
		if credential != "good" {
			return errors.New("signature is wrong")
		}
		return nil
	}
	login := func(kind string) vault.Login {
		return vault.Login{Type: kind, Role: "r", Verify: verify, Policies: []string{"p"}, TTL: time.Minute, Batch: true}
	}
	r := newRig(t, vault.Options{Logins: []vault.Login{login("approle"), login("jwt"), login("azure"), login("kubernetes")}})
	for _, c := range []struct {
		kind, body string
		status     int
		text       string
	}{
		{"approle", `{"role_id":"r","secret_id":"good"}`, 200, ""},
		{"approle", `{"role_id":"r","secret_id":"bad"}`, 400, "invalid role or secret ID"},
		{"jwt", `{"role":"r","jwt":"good"}`, 200, ""},
		{"jwt", `{"role":"r","jwt":"bad"}`, 400, "error validating token: signature is wrong"},
		{"azure", `{"role":"r","jwt":"good"}`, 200, ""},
		{"azure", `{"role":"r","jwt":"bad"}`, 500, "signature is wrong"},
		{"azure", `{"role":"x","jwt":"good"}`, 400, `invalid role name "x"`},
		{"azure", `{"role":"r"}`, 400, "jwt is required"},
		{"kubernetes", `{"role":"r","jwt":"good"}`, 200, ""},
		{"kubernetes", `{"role":"r","jwt":"bad"}`, 403, "permission denied"},
		{"kubernetes", `{"role":"x","jwt":"good"}`, 400, `invalid role name "x"`},
	} {
		status, answer := r.call("", "POST", "auth/"+c.kind+"/login", c.body)
		if status != c.status {
			t.Errorf("%s %s: status %d, want %d", c.kind, c.body, status, c.status)
		}
		if texts, _ := answer["errors"].([]any); c.text != "" && (len(texts) != 1 || texts[0] != c.text) {
			t.Errorf("%s %s: %v, want %q", c.kind, c.body, texts, c.text)
		}
		if auth, _ := answer["auth"].(map[string]any); c.status == 200 {
			if auth["lease_duration"] != 60.0 || auth["renewable"] != false || fmt.Sprint(auth["policies"]) != "[default p]" {
				t.Errorf("%s: %v", c.kind, auth)
			}
			r.want(200, auth["client_token"].(string), "GET", "auth/token/lookup-self", "")
		}
	}
}

func TestNamespaces(t *testing.T) {
	r := newRig(t, vault.Options{Namespaces: true})
	r.Mount("team/kv", 1)
	r.put("team/kv", "a", map[string]any{"v": 1})
	r.want(200, "root", "GET", "team!kv/a", "")
	r.want(200, "root", "GET", "team/kv/a", "")
	r.want(404, "root", "GET", "kv/a", "")
	r.want(404, "root", "GET", "taem!kv/a", "")
	data := r.want(200, "root", "GET", "team!sys/internal/ui/mounts", "")
	if _, ok := data["secret"].(map[string]any)["kv/"]; !ok {
		t.Errorf("the namespace's mount is missing: %v", data)
	}
	r.want(200, "root", "GET", "team!sys/internal/ui/mounts/kv", "")
	r.want(200, "root", "GET", "team!auth/token/lookup-self", "")

	ignoring := newRig(t, vault.Options{})
	ignoring.Mount("kv", 1)
	ignoring.put("kv", "a", map[string]any{"v": 1})
	ignoring.want(200, "root", "GET", "team!kv/a", "")
}

func TestCallsCountByEndpoint(t *testing.T) {
	r := newRig(t, vault.Options{})
	r.Mount("one", 1)
	r.Mount("two", 2)
	r.call("root", "GET", "one/a", "")
	r.call("root", "LIST", "one/", "")
	r.call("root", "GET", "two/data/a", "")
	r.call("wrong", "GET", "two/data/a", "")
	r.call("root", "GET", "two/metadata/?list=true", "")
	r.call("root", "POST", "two/data/a", `{"data":{}}`)
	r.call("root", "GET", "sys/health", "")
	want := map[string]int{"GET kv": 1, "LIST kv": 1, "GET data": 2, "LIST metadata": 1, "PUT data": 1, "GET sys/health": 1}
	if diff := cmp.Diff(want, r.Calls()); diff != "" {
		t.Error(diff)
	}
	r.ResetCalls()
	if len(r.Calls()) != 0 {
		t.Errorf("after the reset: %v", r.Calls())
	}
}

func TestPutSaysWhatIsWrong(t *testing.T) {
	r := newRig(t, vault.Options{})
	r.Mount("kv", 1)
	for _, path := range []string{"a..b", ""} {
		if err := r.Put("kv", path, map[string]any{"v": 1}); err == nil {
			t.Errorf("%q was accepted", path)
		}
	}
	if err := r.Put("none", "a", map[string]any{"v": 1}); err == nil {
		t.Error("a missing mount was accepted")
	}
}

// FuzzRequest: nothing a client sends makes the server panic or answer with
// anything but JSON.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "kv/data/a", "")
	f.Add("PUT", "kv/data/a", `{"data":{"a":[1,{"b":null}]},"options":{"cas":"0"}}`)
	f.Add("PATCH", "kv/metadata/a", `{"custom_metadata":{"a":null},"delete_version_after":1e9}`)
	f.Add("POST", "kv/undelete/a", `{"versions":["1",2,0,-1]}`)
	f.Add("POST", "sys/policies/acl/p", `{"policy":"{\"path\":{\"+\":{}}}"}`)
	f.Add("POST", "auth/token/create", `{"ttl":"1d","policies":[1]}`)
	f.Add("LIST", "kv//", "")
	f.Add("SCAN", "kv/detailed-metadata/?after=a&limit=x", "")
	f.Fuzz(func(t *testing.T, method, path, body string) {
		server := vault.New(vault.Options{OpenBao: len(path)%2 == 0})
		server.Mount("kv", 2)
		server.Mount("one", 1)
		if err := server.Put("kv", "a", map[string]any{"v": 1}); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(method, "http://vault/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Skip()
		}
		req.Header.Set("X-Vault-Token", "root")
		req.Header.Set("Content-Type", "application/merge-patch+json")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, req)
		if w.Header().Get("Content-Type") == "application/json" && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: not JSON: %q", method, path, w.Body)
		}
	})
}

func BenchmarkReadOfAHundredThousand(b *testing.B) {
	server := vault.New(vault.Options{})
	server.Mount("kv", 2)
	for i := range 100_000 {
		if err := server.Put("kv", fmt.Sprintf("team-%d/secret-%d", i%100, i), map[string]any{"password": "not-a-secret"}); err != nil {
			b.Fatal(err)
		}
	}
	for _, path := range []string{"GET kv/data/team-7/secret-7", "GET kv/metadata/team-7/secret-7", "LIST kv/metadata/team-7/"} {
		method, path, _ := strings.Cut(path, " ")
		b.Run(method+" "+strings.Split(path, "/")[1], func(b *testing.B) {
			for b.Loop() {
				req := httptest.NewRequest(method, "/v1/"+path, nil)
				req.Header.Set("X-Vault-Token", "root")
				w := httptest.NewRecorder()
				if server.ServeHTTP(w, req); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
