package contract

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// VaultOverHTTP is the Vault at the address, worked by its own API with the root token. transport nil is Go's.
func VaultOverHTTP(address, root string, transport http.RoundTripper) Vault {
	v := vaultHTTP{address: address, root: root, transport: transport}
	return Vault{Do: v.do, Open: v.open, Root: root, Token: v.token, AppRole: v.appRole, JWT: v.jwt}
}

type vaultHTTP struct {
	address, root string
	transport     http.RoundTripper
}

func (v vaultHTTP) do(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.address+"/v1/"+path, strings.NewReader(body))
	if t.Context().Err() != nil { // cleaning up
		req, err = http.NewRequest(method, v.address+"/v1/"+path, strings.NewReader(body))
	}
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.root)
	resp, err := (&http.Client{Transport: v.transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// ask makes a call that must succeed and decodes its answer, unless into is nil.
func (v vaultHTTP) ask(t *testing.T, method, path string, body, into any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	status, answer := v.do(t, method, path, string(raw))
	if status/100 != 2 {
		t.Fatalf("%s %s: status %d, %s", method, path, status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatal(err)
		}
	}
}

func (v vaultHTTP) open(t *testing.T, auth vault.Auth) vaultsync.Source {
	t.Helper()
	src, err := vault.New(vault.Options{Address: v.address, Auth: auth, Transport: v.transport})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// policy writes the grants down and returns the policy's name.
func (v vaultHTTP) policy(t *testing.T, g Grants) string {
	t.Helper()
	type rule struct {
		Capabilities []string `json:"capabilities"`
	}
	rules := map[string]rule{}
	for path, capabilities := range g {
		rules[path] = rule{capabilities}
	}
	text, err := json.Marshal(map[string]any{"path": rules})
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ToLower(rand.Text())
	v.ask(t, http.MethodPut, "sys/policies/acl/"+name, map[string]string{"policy": string(text)}, nil)
	t.Cleanup(func() { v.do(t, http.MethodDelete, "sys/policies/acl/"+name, "") })
	return name
}

func (v vaultHTTP) token(t *testing.T, g Grants) string {
	t.Helper()
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	v.ask(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{v.policy(t, g)}, "ttl": "1h"}, &made)
	return made.Auth.Token
}

// method enables a log-in method and returns its mount.
func (v vaultHTTP) method(t *testing.T, kind string) string {
	t.Helper()
	mount := strings.ToLower(rand.Text())
	v.ask(t, http.MethodPost, "sys/auth/"+mount, map[string]string{"type": kind}, nil)
	t.Cleanup(func() { v.do(t, http.MethodDelete, "sys/auth/"+mount, "") })
	return mount
}

// revoke ends the tokens that a mount's log-in gave.
func (v vaultHTTP) revoke(mount string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		v.ask(t, http.MethodPut, "sys/leases/revoke-prefix/auth/"+mount+"/login", map[string]bool{"sync": true}, nil)
	}
}

func (v vaultHTTP) appRole(t *testing.T, g Grants) Login {
	t.Helper()
	mount := v.method(t, "approle")
	role := "auth/" + mount + "/role/sync"
	v.ask(t, http.MethodPost, role, map[string]any{"token_policies": []string{v.policy(t, g)}, "token_ttl": "1h"}, nil)
	var id, proof struct {
		Data struct {
			Role   string `json:"role_id"`
			Secret string `json:"secret_id"`
		} `json:"data"`
	}
	v.ask(t, http.MethodGet, role+"/role-id", nil, &id)
	v.ask(t, http.MethodPost, role+"/secret-id", map[string]any{}, &proof)
	return Login{
		Auth:    vault.AppRole(mount, id.Data.Role, secret.New(proof.Data.Secret)),
		Wrong:   vault.AppRole(mount, id.Data.Role, secret.New(rand.Text())),
		Revoke:  v.revoke(mount),
		Secrets: []string{proof.Data.Secret},
	}
}

func (v vaultHTTP) jwt(t *testing.T, g Grants) Login {
	t.Helper()
	mount := v.method(t, "jwt")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	v.ask(t, http.MethodPost, "auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": []string{string(public)}}, nil)
	v.ask(t, http.MethodPost, "auth/"+mount+"/role/sync", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault.test"},
		"token_policies": []string{v.policy(t, g)}, "token_ttl": "1h",
	}, nil)
	good, bad := signJWT(t, key, "vault.test"), signJWT(t, key, "another.test")
	return Login{
		Auth:    vault.JWT(mount, "sync", fixedJWT(good)),
		Wrong:   vault.JWT(mount, "sync", fixedJWT(bad)),
		Revoke:  v.revoke(mount),
		Secrets: []string{good, bad},
	}
}

// signJWT makes a JSON web token for the audience, good for an hour (RFC 7519, RFC 7518 section 3.4).
func signJWT(t *testing.T, key *ecdsa.PrivateKey, audience string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	text := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." +
		encode(fmt.Appendf(nil, `{"sub":"keyferry","aud":%q,"iat":%d,"nbf":%d,"exp":%d}`, audience, now, now-60, now+3600))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + encode(sig[:])
}

func fixedJWT(text string) vault.JWTSource {
	return func(context.Context) (secret.Value, error) { return secret.New(text), nil }
}
