package keyvault

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestRefusals is the table of what never reaches a secret.
func TestRefusals(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	tags := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"t%d":"v"`, i))
		}
		return `{"value":"v","tags":{` + strings.Join(all, ",") + `}}`
	}
	for _, tt := range []struct {
		name, method, path, body, want string
	}{
		{"unknown path", "GET", "/keys", "", "Not Found NotFound"},
		{"too deep", "GET", "/secrets/a/b/c", "", "Not Found NotFound"},
		{"known path, other method", "DELETE", "/secrets", "", "Method Not Allowed BadParameter"},
		{"no api-version", "GET", "https://kv1.vault.azure.net/secrets", "", "Bad Request BadParameter"},
		{"unknown api-version", "GET", "https://kv1.vault.azure.net/secrets?api-version=7.9", "", "Bad Request BadParameter"},
		{"first api-version", "GET", "https://kv1.vault.azure.net/secrets?api-version=7.0", "", "OK"},
		{"last api-version", "GET", "https://kv1.vault.azure.net/secrets?api-version=2026-04-01", "", "OK"},
		{"malformed query", "GET", "https://kv1.vault.azure.net/secrets?api-version=7.6&x=%zz", "", "Bad Request BadParameter"},
		{"name with a dot", "GET", "/secrets/a.b/", "", "Bad Request BadParameter"},
		{"name with a slash", "GET", "/secrets/a%2Fb/", "", "Bad Request BadParameter"},
		{"name of 127", "PUT", "/secrets/" + long(127), `{"value":"v"}`, "OK"},
		{"name of 128", "PUT", "/secrets/" + long(128), `{"value":"v"}`, "Bad Request BadParameter"},
		{"unknown secret", "GET", "/secrets/none/", "", "Not Found SecretNotFound"},
		{"unknown version", "GET", "/secrets/here/0000", "", "Not Found SecretNotFound"},
		{"not deleted", "GET", "/deletedsecrets/here", "", "Not Found SecretNotFound"},
		{"versions of an unknown secret", "GET", "/secrets/none/versions", "", "Not Found SecretNotFound"},
		{"maxresults 0", "GET", "/secrets?maxresults=0", "", "Bad Request BadParameter"},
		{"maxresults 25", "GET", "/secrets?maxresults=25", "", "OK"},
		{"maxresults 26", "GET", "/secrets?maxresults=26", "", "Bad Request BadParameter"},
		{"foreign skiptoken", "GET", "/secrets?$skiptoken=abc", "", "Bad Request BadParameter"},
		{"token of a secret for versions", "GET", "/secrets/here/versions?$skiptoken=" + encodeSkipToken("secret/HERE"), "", "Bad Request BadParameter"},
		{"no value", "PUT", "/secrets/new", `{}`, "Bad Request BadParameter"},
		{"null value", "PUT", "/secrets/new", `{"value":null}`, "Bad Request BadParameter"},
		{"empty value", "PUT", "/secrets/new", `{"value":""}`, "Bad Request BadParameter"},
		{"number for a value", "PUT", "/secrets/new", `{"value":1}`, "Bad Request BadParameter"},
		{"value of 25,600", "PUT", "/secrets/new", `{"value":"` + long(25_600) + `"}`, "OK"},
		{"value of 25,601", "PUT", "/secrets/new", `{"value":"` + long(25_601) + `"}`, "Bad Request BadParameter"},
		{"value of 25,602 bytes in 12,801 characters", "PUT", "/secrets/new", `{"value":"` + strings.Repeat("é", 12_801) + `"}`, "Bad Request BadParameter"},
		{"body over the limit", "PUT", "/secrets/new", `{"value":"` + long(maxBody) + `"}`, "Request Entity Too Large BadParameter"},
		{"not UTF-8", "PUT", "/secrets/new", "{\"value\":\"\xff\"}", "Bad Request BadParameter"},
		{"an array", "PUT", "/secrets/new", `[]`, "Bad Request BadParameter"},
		{"null for an object", "PATCH", "/secrets/here/", `null`, "Bad Request BadParameter"},
		{"two objects", "PUT", "/secrets/new", `{"value":"v"}{}`, "Bad Request BadParameter"},
		{"unknown property", "PUT", "/secrets/new", `{"value":"v","colour":"red"}`, "Bad Request BadParameter"},
		{"value in an update", "PATCH", "/secrets/here/", `{"value":"v"}`, "Bad Request BadParameter"},
		{"contentType of 255", "PUT", "/secrets/new", `{"value":"v","contentType":"` + long(255) + `"}`, "OK"},
		{"contentType of 256", "PUT", "/secrets/new", `{"value":"v","contentType":"` + long(256) + `"}`, "Bad Request BadParameter"},
		{"15 tags", "PUT", "/secrets/new", tags(15), "OK"},
		{"16 tags", "PUT", "/secrets/new", tags(16), "Bad Request BadParameter"},
		{"tag of 512", "PUT", "/secrets/new", `{"value":"v","tags":{"` + long(512) + `":"` + long(512) + `"}}`, "OK"},
		{"tag name of 513", "PUT", "/secrets/new", `{"value":"v","tags":{"` + long(513) + `":""}}`, "Bad Request BadParameter"},
		{"tag value of 513", "PUT", "/secrets/new", `{"value":"v","tags":{"t":"` + long(513) + `"}}`, "Bad Request BadParameter"},
		{"number for a tag", "PUT", "/secrets/new", `{"value":"v","tags":{"t":1}}`, "Bad Request BadParameter"},
		{"exp with a fraction", "PUT", "/secrets/new", `{"value":"v","attributes":{"exp":1.5}}`, "Bad Request BadParameter"},
		{"exp as text", "PUT", "/secrets/new", `{"value":"v","attributes":{"exp":"1"}}`, "Bad Request BadParameter"},
		{"nbf before 1970", "PUT", "/secrets/new", `{"value":"v","attributes":{"nbf":-1}}`, "Bad Request BadParameter"},
		{"read-only attributes are ignored", "PUT", "/secrets/new", `{"value":"v","attributes":{"created":1,"updated":1,"recoveryLevel":"x","recoverableDays":1}}`, "OK"},
		{"unknown blob", "POST", "/secrets/restore", `{"value":"abc"}`, "Bad Request BadParameter"},
		{"a secret called restore", "PUT", "/secrets/restore", `{"value":"v"}`, "OK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := New(Options{Now: newClock().Now})
			must(t, v, "PUT", "/secrets/here", `{"value":"v"}`)
			got := send(t, v, tt.method, tt.path, tt.body)
			if got.failed() != tt.want {
				t.Errorf("%s, want %s: %s", got.failed(), tt.want, got.raw[:min(len(got.raw), 300)])
			}
		})
	}
}

func TestContentTypeMustBeJSON(t *testing.T) {
	v := New(Options{})
	r := httptest.NewRequest("PUT", "https://kv1.vault.azure.net/secrets/a?api-version=7.6", strings.NewReader(`{"value":"v"}`))
	r.Header.Set("Authorization", "Bearer made-up")
	r.Header.Set("Content-Type", "text/plain")
	if got := record1(t, v, r); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("status %d", got.status)
	}
}

// TestChallengeComesFirst: the SDK's first request has neither token nor body, and no fault of it may hide the challenge.
func TestChallengeComesFirst(t *testing.T) {
	good := "Bearer good"
	for _, tt := range []struct{ name, header, target, message string }{
		{"no header", "", "/secrets/a?api-version=7.6", "AKV10000: Request is missing a Bearer or PoP token."},
		{"no token", "Bearer ", "/secrets/a?api-version=7.6", "AKV10000: Request is missing a Bearer or PoP token."},
		{"other scheme", "Basic good", "/secrets/a?api-version=7.6", "AKV10000: Request is missing a Bearer or PoP token."},
		{"bad token", "Bearer bad", "/secrets/a?api-version=7.6", "[TokenExpired] Error validating token: 'S2S12086'."},
		{"bad name and version", "", "/secrets/a.b?api-version=1", "AKV10000: Request is missing a Bearer or PoP token."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := New(Options{
				Token:     func(token string) bool { return "Bearer "+token == good },
				Authority: "https://login.test/tenant1", Resource: "https://vault.test",
			})
			r := httptest.NewRequest("PUT", "https://kv1.vault.test"+tt.target, nil)
			r.Header.Set("Authorization", tt.header)
			got := record1(t, v, r)
			if got.failed() != "Unauthorized Unauthorized" || got.body.Error.Message != tt.message {
				t.Errorf("%s: %s", got.failed(), got.raw)
			}
			want := `Bearer authorization="https://login.test/tenant1", resource="https://vault.test"`
			if h := got.header.Get("WWW-Authenticate"); h != want {
				t.Errorf("challenge %s", h)
			}
			if len(v.Calls()) != 0 {
				t.Errorf("counted %v", v.Calls())
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	clk := newClock()
	v := New(Options{Now: clk.Now})
	r := httptest.NewRequest("GET", "https://kv1.vault.azure.net/secrets?api-version=7.6", nil)
	r.Header.Set("Authorization", "Bearer made-up")
	r.Header.Set("x-ms-client-request-id", "mine")
	h := record1(t, v, r).header
	for name, want := range map[string]string{
		"Date": "Sun, 01 Mar 2026 12:00:00 GMT", "Cache-Control": "no-cache", "Expires": "-1",
		"x-ms-client-request-id": "mine", "X-Content-Type-Options": "nosniff",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if h.Get("x-ms-request-id") == "" {
		t.Error("no request id")
	}
}

// TestForeignFaults: the answers that need an Azure around the vault have the service's form and are handlers.
func TestForeignFaults(t *testing.T) {
	for want, f := range map[string]Fault{
		"Unauthorized Unauthorized":                 InvalidAudience("https://management.azure.com"),
		"Forbidden Forbidden/AccessDenied":          AccessDenied("get"),
		"Forbidden Forbidden/ForbiddenByRbac":       ForbiddenByRBAC("getSecret"),
		"Forbidden Forbidden/ForbiddenByFirewall":   ForbiddenByFirewall(),
		"Forbidden Forbidden/ForbiddenByConnection": ForbiddenByConnection(),
		"Too Many Requests Throttled":               Throttled(0),
	} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, nil)
		got := fmt.Sprint(http.StatusText(w.Code), " ", f.Code)
		if f.Inner != "" {
			got += "/" + f.Inner
		}
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (w.Code == 401) {
			t.Errorf("%s: challenge %v", want, challenged)
		}
	}
}
