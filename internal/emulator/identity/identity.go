// Package identity is the managed-identity token endpoint of Azure App Service and Functions, as an [http.Handler], together with
// the public keys and discovery documents by which others check its tokens.
//
// It answers what azidentity's ManagedIdentityCredential asks when IDENTITY_ENDPOINT and IDENTITY_HEADER are set
// (facts/keyvault.md 4.5, facts/vault-sync.md A13):
//
//	GET /msi/token?api-version=2019-08-01&resource=R[&client_id=C]     with X-IDENTITY-HEADER
//	GET /{tenant}/.well-known/openid-configuration                      issuer https://sts.windows.net/{tenant}/
//	GET /{tenant}/v2.0/.well-known/openid-configuration                 issuer as asked, for OIDC clients that compare it
//	GET /discovery/keys                                                 the JWKS
//
// Tokens are JWTs in the shape of Entra's v1 access tokens. With [Options].Key they are signed by RS256 and anyone can check them;
// without, by a key of this value, and only [Endpoint.Valid] can. Nothing is kept per token.
//
// The package imports only the standard library.
package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultTenant is the tenant of tokens unless [Options] names another. It is obviously made up.
const DefaultTenant = "00000000-0000-0000-0000-00000000aaaa"

// Options describes one endpoint. The zero value serves a system-assigned identity any audience, asks for no particular header
// value and signs with a key of its own.
type Options struct {
	// Header is what X-IDENTITY-HEADER must be; empty accepts any value that is not empty.
	Header string
	// ClientIDs are the user-assigned identities. A request without client_id gets the system-assigned one.
	ClientIDs []string
	// NoSystemAssigned refuses requests without a client_id, as an app with only user-assigned identities does.
	NoSystemAssigned bool
	// Audiences are the resources tokens are given for, compared to the letter; empty means any.
	Audiences []string
	// Tenant is the tenant's id; empty means [DefaultTenant].
	Tenant string
	// TTL is how long a token lasts; 0 means 24 hours.
	TTL time.Duration
	// Now is the only clock; nil means time.Now.
	Now func() time.Time
	// Key signs tokens by RS256; nil means HS256 by a random key.
	Key *rsa.PrivateKey
	// Rand gives the HS256 key; nil means crypto/rand.
	Rand io.Reader
}

// Endpoint issues and checks tokens. It is safe for concurrent use; see [New].
type Endpoint struct {
	opts   Options
	signer signer
	mux    *http.ServeMux
	issued atomic.Int64
}

// New returns an endpoint; the error is that of Options.Rand.
func New(o Options) (*Endpoint, error) {
	if o.Tenant == "" {
		o.Tenant = DefaultTenant
	}
	if o.TTL == 0 {
		o.TTL = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	s, err := newSigner(o.Key, o.Rand)
	if err != nil {
		return nil, fmt.Errorf("make token key: %w", err)
	}
	e := &Endpoint{opts: o, signer: s, mux: http.NewServeMux()}
	e.mux.HandleFunc("GET /msi/token", e.serveToken)
	e.mux.HandleFunc("GET /discovery/keys", e.serveKeys)
	e.mux.HandleFunc("GET /"+o.Tenant+"/.well-known/openid-configuration", e.serveDiscovery)
	e.mux.HandleFunc("GET /"+o.Tenant+"/v2.0/.well-known/openid-configuration", e.serveDiscovery)
	e.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "not found") })
	return e, nil
}

// ServeHTTP serves the paths of the package comment; every answer is JSON.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.mux.ServeHTTP(w, r) }

// Issuer is the iss claim of every token: https://sts.windows.net/{tenant}/.
func (e *Endpoint) Issuer() string { return "https://sts.windows.net/" + e.opts.Tenant + "/" }

// ObjectID is the oid claim of an identity's tokens, the same for the same client id; empty is the system-assigned identity.
func ObjectID(clientID string) string {
	sum := sha256.Sum256([]byte("object of " + clientID))
	return fmt.Sprintf("%x-%x-4%03x-8%03x-%x", sum[:4], sum[4:6], uint16(sum[6])<<4, uint16(sum[8])<<4, sum[10:16])
}

// Issued is how many tokens were given out.
func (e *Endpoint) Issued() int { return int(e.issued.Load()) }

func (e *Endpoint) serveToken(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	resource, client := query.Get("resource"), query.Get("client_id")
	header := r.Header.Get("X-IDENTITY-HEADER")
	switch {
	case header == "" || e.opts.Header != "" && header != e.opts.Header:
		refuse(w, http.StatusUnauthorized, "The X-IDENTITY-HEADER is missing or wrong.")
	case query.Get("api-version") != "2019-08-01":
		refuse(w, http.StatusBadRequest, "The api-version is not supported; use 2019-08-01.")
	case resource == "":
		refuse(w, http.StatusBadRequest, "The resource is missing.")
	case query.Has("mi_res_id") || query.Has("object_id") || query.Has("principal_id"),
		client == "" && e.opts.NoSystemAssigned,
		client != "" && !slices.Contains(e.opts.ClientIDs, client):
		refuse(w, http.StatusBadRequest, "Unable to load the proper Managed Identity.")
	case len(e.opts.Audiences) > 0 && !slices.Contains(e.opts.Audiences, resource):
		refuse(w, http.StatusBadRequest, "AADSTS500011: The resource principal was not found in the tenant.")
	default:
		token, expires := e.issue(resource, client)
		answer(w, http.StatusOK, struct {
			AccessToken string `json:"access_token"`
			ExpiresOn   string `json:"expires_on"`
			Resource    string `json:"resource"`
			TokenType   string `json:"token_type"`
			ClientID    string `json:"client_id,omitempty"`
		}{token, strconv.FormatInt(expires, 10), resource, "Bearer", client})
	}
}

func (e *Endpoint) serveKeys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"keys": e.signer.publicKeys()})
}

func (e *Endpoint) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil || r.URL.Scheme == "https" {
		scheme = "https"
	}
	base := scheme + "://" + r.Host
	issuer := e.Issuer()
	if strings.Contains(r.URL.Path, "/v2.0/") {
		issuer = base + "/" + e.opts.Tenant + "/v2.0"
	}
	answer(w, http.StatusOK, struct {
		Issuer     string   `json:"issuer"`
		Authorize  string   `json:"authorization_endpoint"`
		Token      string   `json:"token_endpoint"`
		JWKS       string   `json:"jwks_uri"`
		Types      []string `json:"response_types_supported"`
		Subjects   []string `json:"subject_types_supported"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}{
		issuer, base + "/" + e.opts.Tenant + "/oauth2/authorize", base + "/" + e.opts.Tenant + "/oauth2/token", base + "/discovery/keys",
		[]string{"code", "id_token"}, []string{"pairwise"}, []string{"RS256"},
	})
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, struct {
		StatusCode int    `json:"statusCode"`
		Message    string `json:"message"`
	}{status, message})
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(raw)
}
