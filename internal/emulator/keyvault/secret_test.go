package keyvault

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEachSetIsANewVersionOfItsOwn(t *testing.T) {
	clk := newClock()
	v := New(Options{Now: clk.Now})
	first := must(t, v, "PUT", "/secrets/a", `{"value":"1","contentType":"text/plain","tags":{"z":"1","a":"2"},"attributes":{"exp":2000000000,"enabled":false}}`)
	clk.advance(time.Minute)
	second := must(t, v, "PUT", "/secrets/a", `{"value":"2"}`)
	if first.version() == second.version() {
		t.Fatal("same version")
	}
	got := must(t, v, "GET", "/secrets/a/", "")
	want := `{"value":"2","id":"https://kv1.vault.azure.net/secrets/a/` + second.version() +
		`","attributes":{"enabled":true,"created":1772366460,"updated":1772366460,"recoveryLevel":"Recoverable+Purgeable","recoverableDays":90}}`
	if string(got.raw) != want {
		t.Errorf("got  %s\nwant %s", got.raw, want)
	}
	if want := `"tags":{"z":"1","a":"2"}`; !strings.Contains(string(first.raw), want) {
		t.Errorf("tags lost their order: %s", first.raw)
	}
}

func TestNamesIgnoreCaseAndKeepTheirFirstSpelling(t *testing.T) {
	v := New(Options{Now: newClock().Now})
	must(t, v, "PUT", "/secrets/DbPassword", `{"value":"1"}`)
	must(t, v, "PUT", "/secrets/dbpassword", `{"value":"2"}`)
	got := must(t, v, "GET", "/secrets/DBPASSWORD", "")
	if string(got.body.Value) != `"2"` || !strings.Contains(got.body.ID, "/DbPassword/") {
		t.Errorf("got %s", got.raw)
	}
	if names := must(t, v, "GET", "/secrets", "").names(t); !slices.Equal(names, []string{"DbPassword"}) {
		t.Errorf("listed %v", names)
	}
}

func TestUpdate(t *testing.T) {
	clk := newClock()
	v := New(Options{Now: clk.Now})
	old := must(t, v, "PUT", "/secrets/a", `{"value":"1"}`)
	must(t, v, "PUT", "/secrets/a", `{"value":"2","contentType":"text/plain","tags":{"t":"1","u":"2"},"attributes":{"exp":2000000000,"nbf":5}}`)
	clk.advance(time.Minute)
	for _, tt := range []struct{ name, path, body, want string }{
		{"nothing sent, nothing changed", "/secrets/a/", `{}`, `true 2000000000 5 text/plain map[t:1 u:2]`},
		{"null is not sent", "/secrets/a/", `{"attributes":{"exp":null,"enabled":null},"tags":null,"contentType":null}`, `true 2000000000 5 text/plain map[t:1 u:2]`},
		{"one attribute", "/secrets/a/", `{"attributes":{"enabled":false}}`, `false 2000000000 5 text/plain map[t:1 u:2]`},
		{"a disabled version can be updated", "/secrets/a/", `{"attributes":{"exp":2100000000}}`, `false 2100000000 5 text/plain map[t:1 u:2]`},
		{"tags are replaced as a whole", "/secrets/a", `{"tags":{"v":"3"}}`, `false 2100000000 5 text/plain map[v:3]`},
		{"empty tags clear", "/secrets/a/", `{"tags":{}}`, `false 2100000000 5 text/plain map[]`},
		{"an older version", "/secrets/a/" + strings.ToUpper(old.version()), `{"tags":{"old":"1"}}`, `true 0 0  map[old:1]`},
	} {
		got := must(t, v, "PATCH", tt.path, tt.body)
		a := got.body.Attributes
		ct := ""
		if got.body.ContentType != nil {
			ct = *got.body.ContentType
		}
		if s := fmt.Sprint(a.Enabled, a.Exp, a.Nbf, " ", ct, " ", got.body.Tags); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
		if got.body.Value != nil || a.Updated-a.Created != 60 {
			t.Errorf("%s: value or times wrong: %s", tt.name, got.raw)
		}
	}
}

func TestDisabledAndExpired(t *testing.T) {
	v := New(Options{Now: newClock().Now})
	old := must(t, v, "PUT", "/secrets/a", `{"value":"1"}`)
	must(t, v, "PUT", "/secrets/a", `{"value":"2","attributes":{"enabled":false}}`)
	must(t, v, "PUT", "/secrets/b", `{"value":"3","attributes":{"exp":1,"nbf":1}}`)
	if got := send(t, v, "GET", "/secrets/a/", ""); got.failed() != "Forbidden Forbidden/SecretDisabled" {
		t.Errorf("latest disabled: %s", got.raw)
	}
	must(t, v, "GET", "/secrets/a/"+old.version(), "")
	must(t, v, "GET", "/secrets/b/", "")
	must(t, v, "POST", "/secrets/a/backup", "")
	must(t, v, "DELETE", "/secrets/a", "")
	if got := send(t, v, "GET", "/deletedsecrets/a", ""); got.failed() != "Forbidden Forbidden/SecretDisabled" {
		t.Errorf("deleted and disabled: %s", got.raw)
	}
	must(t, v, "POST", "/deletedsecrets/a/recover", "")
}

// TestStates asks everything of a secret in each state it can be in.
func TestStates(t *testing.T) {
	type probe struct{ method, path, body string }
	probes := []probe{
		{"GET", "/secrets/a/", ""}, {"PATCH", "/secrets/a/", "{}"}, {"PUT", "/secrets/a", `{"value":"x"}`},
		{"GET", "/deletedsecrets/a", ""}, {"POST", "/deletedsecrets/a/recover", ""}, {"DELETE", "/deletedsecrets/a", ""},
	}
	const notFound, conflict = "Not Found SecretNotFound", "Conflict Conflict/"
	for _, tt := range []struct {
		state State
		reach func(t *testing.T, v *Vault, clk *clock)
		want  []string
		lists string // how many are listed under /secrets and /deletedsecrets
	}{
		{Active, func(*testing.T, *Vault, *clock) {}, []string{"OK", "OK", "OK", notFound, notFound, notFound}, "1 0"},
		{Deleting, func(t *testing.T, v *Vault, clk *clock) {
			must(t, v, "DELETE", "/secrets/a", "")
			clk.advance(9 * time.Second)
		}, []string{notFound, notFound, conflict + "ObjectIsBeingDeleted", notFound, conflict + "ObjectIsBeingDeleted", conflict + "ObjectIsBeingDeleted"}, "0 0"},
		{Deleted, func(t *testing.T, v *Vault, clk *clock) {
			must(t, v, "DELETE", "/secrets/a", "")
			clk.advance(10 * time.Second)
		}, []string{notFound, notFound, conflict + "ObjectIsDeletedButRecoverable", "OK", "OK", "No Content"}, "0 1"},
		{Recovering, func(t *testing.T, v *Vault, clk *clock) {
			must(t, v, "DELETE", "/secrets/a", "")
			clk.advance(10 * time.Second)
			must(t, v, "POST", "/deletedsecrets/a/recover", "")
		}, []string{notFound, notFound, conflict + "ObjectIsBeingRecovered", notFound, notFound, notFound}, "0 0"},
		{Settling, func(t *testing.T, v *Vault, clk *clock) {
			must(t, v, "DELETE", "/secrets/a", "")
			clk.advance(10 * time.Second)
			must(t, v, "POST", "/deletedsecrets/a/recover", "")
			clk.advance(5 * time.Second)
		}, []string{"OK", "OK", conflict + "ObjectIsBeingRecovered", notFound, notFound, notFound}, "1 0"},
		{Purging, func(t *testing.T, v *Vault, clk *clock) {
			must(t, v, "DELETE", "/secrets/a", "")
			clk.advance(10 * time.Second)
			must(t, v, "DELETE", "/deletedsecrets/a", "")
		}, []string{notFound, notFound, conflict + "ObjectIsBeingDeleted", notFound, notFound, notFound}, "0 0"},
		{gone, func(t *testing.T, v *Vault, clk *clock) {
			must(t, v, "DELETE", "/secrets/a", "")
			clk.advance(7 * 24 * time.Hour)
		}, []string{notFound, notFound, "OK", notFound, notFound, notFound}, "0 0"},
	} {
		for i, p := range probes {
			t.Run(fmt.Sprintf("%s %s %s", tt.state, p.method, p.path), func(t *testing.T) {
				clk := newClock()
				v := New(Options{Now: clk.Now, RecoverableDays: 7, DeleteDelay: 10 * time.Second, RecoverDelay: 10 * time.Second, PurgeDelay: time.Second})
				must(t, v, "PUT", "/secrets/a", `{"value":"1"}`)
				tt.reach(t, v, clk)
				if s, _ := v.Secret("A"); s.State != tt.state {
					t.Errorf("state %q", s.State)
				}
				lists := fmt.Sprint(len(must(t, v, "GET", "/secrets", "").names(t)), len(must(t, v, "GET", "/deletedsecrets", "").names(t)))
				if lists != tt.lists {
					t.Errorf("listed %s, want %s", lists, tt.lists)
				}
				if got := send(t, v, p.method, p.path, p.body); got.failed() != tt.want[i] {
					t.Errorf("%s, want %s", got.failed(), tt.want[i])
				}
			})
		}
	}
}

func TestPurgeProtection(t *testing.T) {
	v := New(Options{Now: newClock().Now, PurgeProtection: true})
	must(t, v, "PUT", "/secrets/a", `{"value":"1"}`)
	deleted := must(t, v, "DELETE", "/secrets/a", "")
	if l := deleted.body.Attributes.RecoveryLevel; l != "Recoverable" {
		t.Errorf("recovery level %s", l)
	}
	if got := send(t, v, "DELETE", "/deletedsecrets/a", ""); got.failed() != "Forbidden Forbidden" {
		t.Errorf("purge: %s", got.raw)
	}
}

func TestManagedSecretsAreReadOnly(t *testing.T) {
	v := New(Options{Now: newClock().Now})
	if err := v.Seed(Secret{Name: "cert", Managed: true, KeyID: "https://kv1.vault.azure.net/keys/cert/1", Versions: []Version{{Value: "pfx", ContentType: "application/x-pkcs12"}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, body string }{{"PUT", `{"value":"x"}`}, {"DELETE", ""}} {
		if got := send(t, v, c.method, "/secrets/cert", c.body); got.failed() != "Forbidden Forbidden/SecretManagedByKeyVault" {
			t.Errorf("%s: %s", c.method, got.raw)
		}
	}
	got := must(t, v, "GET", "/secrets/cert/", "")
	if !bytes.Contains(got.raw, []byte(`"managed":true,"attributes":{`)) || !bytes.HasSuffix(got.raw, []byte(`},"kid":"https://kv1.vault.azure.net/keys/cert/1"}`)) {
		t.Errorf("get: %s", got.raw)
	}
	if list := must(t, v, "GET", "/secrets", ""); !bytes.Contains(list.raw, []byte(`"managed":true`)) || bytes.Contains(list.raw, []byte("kid")) {
		t.Errorf("list: %s", list.raw)
	}
}

func TestSeedAndSecrets(t *testing.T) {
	clk := newClock()
	var raised []Event
	v := New(Options{Now: clk.Now, Events: func(e Event) { raised = append(raised, e) }})
	want := []Secret{
		{Name: "Alpha", State: Active, Current: strings.Repeat("1", 32), Versions: []Version{
			{ID: strings.Repeat("1", 32), Value: "now", Created: clk.now, Updated: clk.now, Expires: clk.now.Add(time.Hour), Tags: map[string]string{"a": "b"}},
			{ID: strings.Repeat("2", 32), Value: "before", Created: clk.now.Add(-time.Hour), Updated: clk.now.Add(-time.Minute), Disabled: true, ContentType: "text/plain"},
		}},
		{Name: "beta", State: Deleted, DeletedAt: clk.now, Current: strings.Repeat("3", 32), Versions: []Version{
			{ID: strings.Repeat("3", 32), Value: "x", Created: clk.now, Updated: clk.now},
		}},
	}
	if err := v.Seed(want...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, v.Secrets()); diff != "" {
		t.Error(diff)
	}
	if got := must(t, v, "GET", "/secrets/alpha/", ""); string(got.body.Value) != `"now"` {
		t.Errorf("current is %s", got.body.Value)
	}
	if len(raised) > 0 || v.Calls()[OpSet] > 0 {
		t.Errorf("seeding raised %v, counted %v", raised, v.Calls())
	}
	for _, bad := range []Secret{{Name: "ALPHA", Versions: want[1].Versions}, {Name: "a b", Versions: want[1].Versions}, {Name: "empty"}} {
		if v.Seed(bad) == nil {
			t.Errorf("seeded %q", bad.Name)
		}
	}
}
