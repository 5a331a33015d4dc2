package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

const keyVault = "https://vault.azure.net"

func newEndpoint(t *testing.T, o Options) *Endpoint {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// get asks with the given header value and answers status and body.
func get(t *testing.T, e *Endpoint, path, header string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest("GET", "http://127.0.0.1:41741"+path, nil)
	r.Header.Set("X-IDENTITY-HEADER", header)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, w.Body)
	}
	return w.Code, body
}

// TestManagedIdentityCredential: azidentity finds the endpoint by the platform's two variables and its tokens are good.
func TestManagedIdentityCredential(t *testing.T) {
	const client = "11111111-0000-0000-0000-000000000000"
	e := newEndpoint(t, Options{Header: "made-up", ClientIDs: []string{client}, Audiences: []string{keyVault}})
	server := httptest.NewServer(e)
	defer server.Close()
	t.Setenv("IDENTITY_ENDPOINT", server.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "made-up")
	ask := func(id azidentity.ManagedIDKind, scope string) (string, time.Time, error) {
		t.Helper()
		o := &azidentity.ManagedIdentityCredentialOptions{ID: id}
		o.Retry.MaxRetries = -1
		cred, err := azidentity.NewManagedIdentityCredential(o)
		if err != nil {
			t.Fatal(err)
		}
		token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		return token.Token, token.ExpiresOn, err
	}
	for _, id := range []azidentity.ManagedIDKind{nil, azidentity.ClientID(client)} {
		token, expires, err := ask(id, keyVault+"/.default")
		if err != nil {
			t.Fatalf("identity %v: %v", id, err)
		}
		if !e.Valid(token) || !e.ValidFor(keyVault+"/")(token) || e.ValidFor("https://management.azure.com")(token) {
			t.Errorf("identity %v: token is not good for the key vault alone", id)
		}
		if left := time.Until(expires); left < 23*time.Hour || left > 24*time.Hour {
			t.Errorf("identity %v: expires in %v", id, left)
		}
	}
	for what, bad := range map[string]struct {
		id    azidentity.ManagedIDKind
		scope string
	}{
		"unknown identity": {azidentity.ClientID("22222222-0000-0000-0000-000000000000"), keyVault + "/.default"},
		"unknown audience": {nil, "https://management.azure.com/.default"},
	} {
		_, _, err := ask(bad.id, bad.scope)
		if failed := (*azidentity.AuthenticationFailedError)(nil); !errors.As(err, &failed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := e.Issued(); n != 2 {
		t.Errorf("issued %d", n)
	}
}

func TestRefusals(t *testing.T) {
	const token = "/msi/token?api-version=2019-08-01&resource=https://vault.azure.net"
	for _, tt := range []struct {
		name, path, header string
		opts               Options
		want               int
	}{
		{"good", token, "h", Options{}, 200},
		{"no header", token, "", Options{}, 401},
		{"other header", token, "x", Options{Header: "h"}, 401},
		{"no api-version", "/msi/token?resource=a", "h", Options{}, 400},
		{"IMDS's api-version", "/msi/token?resource=a&api-version=2018-02-01", "h", Options{}, 400},
		{"no resource", "/msi/token?api-version=2019-08-01", "h", Options{}, 400},
		{"audience with a slash too many", token + "/", "h", Options{Audiences: []string{keyVault}}, 400},
		{"no system-assigned identity", token, "h", Options{NoSystemAssigned: true, ClientIDs: []string{"c"}}, 400},
		{"unknown client id", token + "&client_id=d", "h", Options{ClientIDs: []string{"c"}}, 400},
		{"identity by resource id", token + "&mi_res_id=x", "h", Options{}, 400},
		{"unknown path", "/token", "h", Options{}, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := get(t, newEndpoint(t, tt.opts), tt.path, tt.header)
			if status != tt.want {
				t.Errorf("status %d, want %d: %v", status, tt.want, body)
			}
			if status != 200 && (body["statusCode"] != float64(tt.want) || body["message"] == "") {
				t.Errorf("body %v", body)
			}
		})
	}
}

func TestTokensExpireAndCannotBeForged(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*rsa.PrivateKey{"HS256": nil, "RS256": key} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			e := newEndpoint(t, Options{Key: key, TTL: time.Hour, Now: func() time.Time { return now }})
			_, body := get(t, e, "/msi/token?api-version=2019-08-01&resource=r", "h")
			token := body["access_token"].(string)
			if body["expires_on"] != "1772370000" || body["token_type"] != "Bearer" || body["resource"] != "r" {
				t.Errorf("answer %v", body)
			}
			if !e.Valid(token) {
				t.Error("not valid at once")
			}
			parts := strings.Split(token, ".")
			none := part(map[string]string{"alg": "none"})
			for _, forged := range []string{
				"", ".", "..", token + "x", parts[0] + "." + parts[1] + ".", none + "." + parts[1] + ".",
				parts[0] + "." + part(claims{Audience: "r", Expires: 1 << 60}) + "." + parts[2],
				strings.Repeat("a", maxToken+1),
			} {
				if e.Valid(forged) {
					t.Errorf("valid: %.40q", forged)
				}
			}
			if newEndpoint(t, Options{}).Valid(token) {
				t.Error("valid elsewhere")
			}
			now = now.Add(time.Hour)
			if e.Valid(token) {
				t.Error("valid after its time")
			}
		})
	}
}

// TestJWKS checks a token the way a relying party does: by discovery, key set and a JOSE library that is not ours.
func TestJWKS(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e := newEndpoint(t, Options{Key: key, ClientIDs: []string{"c"}})
	server := httptest.NewServer(e)
	defer server.Close()
	fetch := func(url string, into any) {
		t.Helper()
		res, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	var discovery struct {
		Issuer string
		JWKS   string `json:"jwks_uri"`
	}
	base := server.URL + "/" + DefaultTenant
	fetch(base+"/v2.0/.well-known/openid-configuration", &discovery)
	if discovery.Issuer != base+"/v2.0" {
		t.Errorf("issuer %s", discovery.Issuer)
	}
	fetch(base+"/.well-known/openid-configuration", &discovery)
	if discovery.Issuer != e.Issuer() {
		t.Errorf("issuer %s", discovery.Issuer)
	}
	var keys jose.JSONWebKeySet
	fetch(discovery.JWKS, &keys)

	_, body := get(t, e, "/msi/token?api-version=2019-08-01&resource=r&client_id=c", "h")
	token, err := jwt.ParseSigned(body["access_token"].(string), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var std jwt.Claims
	var own struct {
		OID   string `json:"oid"`
		TID   string `json:"tid"`
		AppID string `json:"appid"`
		Ver   string `json:"ver"`
	}
	if err := token.Claims(keys, &std, &own); err != nil {
		t.Fatal(err)
	}
	if err := std.Validate(jwt.Expected{Issuer: "https://sts.windows.net/" + DefaultTenant + "/", AnyAudience: jwt.Audience{"r"}}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{ObjectID("c"), DefaultTenant, "c", "1.0"}, []string{own.OID, own.TID, own.AppID, own.Ver}); diff != "" {
		t.Error(diff)
	}
	if ObjectID("c") == ObjectID("") || len(ObjectID("")) != 36 {
		t.Errorf("object ids %s, %s", ObjectID("c"), ObjectID(""))
	}
}

func TestEndpointWithoutKeyShowsNone(t *testing.T) {
	_, body := get(t, newEndpoint(t, Options{}), "/discovery/keys", "")
	if keys, ok := body["keys"].([]any); !ok || len(keys) != 0 {
		t.Errorf("keys %v", body)
	}
}

func FuzzValid(f *testing.F) {
	e, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	token, _ := e.issue("r", "")
	f.Add(token)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, other string) {
		if other != token && e.Valid(other) {
			t.Errorf("valid: %q", other)
		}
	})
}
