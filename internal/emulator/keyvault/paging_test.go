package keyvault

import (
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// pages follows next links to the end.
func pages(t *testing.T, v *Vault, path string) [][]string {
	t.Helper()
	var all [][]string
	for next := path; ; {
		a := must(t, v, "GET", next, "")
		all = append(all, a.names(t))
		if a.body.NextLink == nil {
			return all
		}
		next = *a.body.NextLink
	}
}

func TestPagesAreInOrderOfNameAndLoseNothing(t *testing.T) {
	clk := newClock()
	v := New(Options{Now: clk.Now})
	var want []string
	for i := range 60 {
		want = append(want, fmt.Sprintf("s%02d", i))
	}
	for i := range want { // not in the order they are listed in
		must(t, v, "PUT", "/secrets/"+strings.ToUpper(want[(i*37)%60]), `{"value":"v"}`)
	}
	got := pages(t, v, "/secrets")
	if len(got) != 3 || len(got[0]) != 25 {
		t.Errorf("pages of %d: %v", len(got[0]), got)
	}
	if flat := slices.Concat(got...); !slices.EqualFunc(flat, want, strings.EqualFold) {
		t.Errorf("listed %v", flat)
	}
	if got := pages(t, v, "/secrets?maxresults=1"); len(got) != 60 {
		t.Errorf("%d pages of one", len(got))
	}
	for range 30 {
		must(t, v, "PUT", "/secrets/s00", `{"value":"v"}`)
	}
	versions := slices.Concat(pages(t, v, "/secrets/s00/versions")...)
	if len(versions) != 31 || !slices.IsSorted(versions) {
		t.Errorf("versions %v", versions)
	}
	for _, n := range []string{"s10", "s20", "s30"} {
		must(t, v, "DELETE", "/secrets/"+n, "")
	}
	if got := pages(t, v, "/deletedsecrets?maxresults=2"); fmt.Sprint(got) != "[[S10 S20] [S30]]" {
		t.Errorf("deleted %v", got)
	}
}

// TestListingWhileTheVaultChanges: a token names the first item of its page, and holds when that item goes or others come.
func TestListingWhileTheVaultChanges(t *testing.T) {
	v := New(Options{Now: newClock().Now})
	for _, n := range []string{"a", "c", "e", "g"} {
		must(t, v, "PUT", "/secrets/"+n, `{"value":"v"}`)
	}
	first := must(t, v, "GET", "/secrets?maxresults=2", "")
	must(t, v, "DELETE", "/secrets/e", "")
	must(t, v, "DELETE", "/deletedsecrets/e", "")
	must(t, v, "PUT", "/secrets/b", `{"value":"v"}`)
	must(t, v, "PUT", "/secrets/f", `{"value":"v"}`)
	if got := must(t, v, "GET", *first.body.NextLink, "").names(t); fmt.Sprint(got) != "[f g]" {
		t.Errorf("second page %v", got)
	}
	must(t, v, "PUT", "/secrets/e", `{"value":"v"}`)
	if got := must(t, v, "GET", "/secrets", "").names(t); fmt.Sprint(got) != "[a b c e f g]" {
		t.Errorf("all %v", got)
	}
}

func TestNextLinkLeadsBackToWhereTheRequestCame(t *testing.T) {
	v := New(Options{Now: newClock().Now, IDHost: "kv1.vault.azure.net"})
	must(t, v, "PUT", "/secrets/a", `{"value":"v"}`)
	must(t, v, "PUT", "/secrets/b", `{"value":"v"}`)
	for _, tt := range []struct {
		target string
		tls    bool
		want   string
	}{
		{"https://kv1.vault.azure.net/secrets", true, "https://kv1.vault.azure.net:443/secrets?"},
		{"https://127.0.0.1:9443/secrets", true, "https://127.0.0.1:9443/secrets?"},
		{"https://[::1]:9443/secrets", true, "https://[::1]:9443/secrets?"},
		{"http://localhost:8080/secrets", false, "http://localhost:8080/secrets?"},
	} {
		r := httptest.NewRequest("GET", tt.target+"?maxresults=1&api-version=7.6", nil)
		r.Header.Set("Authorization", "Bearer made-up")
		r.URL.Scheme, r.URL.Host = "", "" // as a server sees it
		if r.TLS = nil; tt.tls {
			r.TLS = &tls.ConnectionState{}
		}
		got := record1(t, v, r)
		want := tt.want + "api-version=7.6&$skiptoken=" + encodeSkipToken("secret/B") + "&maxresults=1"
		if got.body.NextLink == nil || *got.body.NextLink != want {
			t.Errorf("%s: %s, want %s", tt.target, got.raw, want)
		}
		if !strings.Contains(string(got.raw), `"https://kv1.vault.azure.net/secrets/a"`) {
			t.Errorf("id: %s", got.raw)
		}
	}
}

// TestLargeVault: a full listing with writes in between loses nothing; BenchmarkListPage has the figures for 100,000.
func TestLargeVault(t *testing.T) {
	const n = 20_000
	v := New(Options{Now: newClock().Now})
	start := time.Now()
	for i := range n {
		seed := Secret{Name: fmt.Sprintf("s-%d", (i*7919)%n), Versions: []Version{{Value: "v", Tags: map[string]string{"vault-path": "secret/a"}}}}
		if err := v.Seed(seed); err != nil {
			t.Fatal(err)
		}
	}
	seeded := time.Since(start)
	start = time.Now()
	listed, link := 0, "/secrets"
	for page := 0; link != ""; page++ {
		if page%50 == 0 {
			must(t, v, "PUT", fmt.Sprintf("/secrets/a-%d", page), `{"value":"v"}`)
		}
		a := must(t, v, "GET", link, "")
		listed += len(a.names(t))
		if link = ""; a.body.NextLink != nil {
			link = *a.body.NextLink
		}
	}
	if listed != n+1 {
		t.Errorf("listed %d", listed)
	}
	t.Logf("seeded in %v, listed in %v", seeded, time.Since(start))
}

func FuzzSkipToken(f *testing.F) {
	f.Add(encodeSkipToken("secret/SECRET2"))
	f.Add("eyJOZXh0TWFya2VyIjoiMiE4MCFNREF3TURFMElYTmxZM0psZEM5VFJVTlNSVlF5SVRBd01EQXlPQ0U1T1RrNUxURXlMVE14VkRJek9qVTVPalU1TGprNU9UazVPVGxhSVEtLSIsIlRhcmdldExvY2F0aW9uIjowfQ")
	f.Add("e30")
	f.Fuzz(func(t *testing.T, token string) {
		if item, ok := decodeSkipToken(token); ok && encodeSkipToken(item) != token {
			t.Errorf("%q is no token of %q", token, item)
		}
		if item, ok := decodeSkipToken(encodeSkipToken(token)); !ok || item != token {
			t.Errorf("item %q came back as %q, %v", token, item, ok)
		}
	})
}
