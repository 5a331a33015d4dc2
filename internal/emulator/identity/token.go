package identity

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// claims are those of an Entra v1 access token for an application.
type claims struct {
	Audience string `json:"aud"`
	Issuer   string `json:"iss"`
	IssuedAt int64  `json:"iat"`
	Before   int64  `json:"nbf"`
	Expires  int64  `json:"exp"`
	AppID    string `json:"appid"`
	Kind     string `json:"idtyp"`
	Object   string `json:"oid"`
	Subject  string `json:"sub"`
	Tenant   string `json:"tid"`
	Serial   string `json:"uti"`
	Version  string `json:"ver"`
}

// maxToken bounds what Valid looks at.
const maxToken = 16 << 10

// issue makes a token for an audience and an identity, and says when it expires in unix seconds.
func (e *Endpoint) issue(audience, clientID string) (token string, expires int64) {
	now := e.opts.Now()
	object := ObjectID(clientID)
	app := clientID
	if app == "" {
		app = ObjectID("application " + object)
	}
	c := claims{
		Audience: audience, Issuer: e.Issuer(), IssuedAt: now.Unix(), Before: now.Unix(), Expires: now.Add(e.opts.TTL).Unix(),
		AppID: app, Kind: "app", Object: object, Subject: object, Tenant: e.opts.Tenant, Version: "1.0",
		Serial: fmt.Sprintf("%022d", e.issued.Add(1)),
	}
	signed := part(map[string]string{"typ": "JWT", "alg": e.signer.algorithm(), "kid": e.signer.id}) + "." + part(c)
	return signed + "." + base64.RawURLEncoding.EncodeToString(e.signer.sign([]byte(signed))), c.Expires
}

func part(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Valid reports whether this endpoint issued the token, for whatever audience, and whether it lasts at this instant.
func (e *Endpoint) Valid(token string) bool {
	_, ok := e.check(token)
	return ok
}

// ValidFor is [Endpoint.Valid] for one audience, compared without a trailing slash; a key vault takes it as its token check.
func (e *Endpoint) ValidFor(audience string) func(token string) bool {
	want := strings.TrimSuffix(audience, "/")
	return func(token string) bool {
		c, ok := e.check(token)
		return ok && strings.TrimSuffix(c.Audience, "/") == want
	}
}

// check looks at the signature first: what is inside is ours once that holds.
func (e *Endpoint) check(token string) (claims, bool) {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 || len(token) > maxToken {
		return claims{}, false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || base64.RawURLEncoding.EncodeToString(signature) != token[dot+1:] { // no second spelling of a token
		return claims{}, false
	}
	if !e.signer.verify([]byte(token[:dot]), signature) {
		return claims{}, false
	}
	_, body, _ := strings.Cut(token[:dot], ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return claims{}, false
	}
	var c claims
	if json.Unmarshal(raw, &c) != nil {
		return claims{}, false
	}
	now := e.opts.Now().Unix()
	return c, c.Before <= now && now < c.Expires
}

// signer signs by RS256 when it has a private key and by HS256 otherwise.
type signer struct {
	id      string
	private *rsa.PrivateKey
	shared  []byte
}

func newSigner(key *rsa.PrivateKey, random io.Reader) (signer, error) {
	if key != nil {
		sum := sha256.Sum256(key.N.Bytes())
		return signer{id: base64.RawURLEncoding.EncodeToString(sum[:20]), private: key}, nil
	}
	s := signer{id: "local", shared: make([]byte, 32)}
	_, err := io.ReadFull(random, s.shared)
	return s, err
}

func (s signer) algorithm() string {
	if s.private != nil {
		return "RS256"
	}
	return "HS256"
}

func (s signer) sign(message []byte) []byte {
	if s.private == nil {
		mac := hmac.New(sha256.New, s.shared)
		mac.Write(message)
		return mac.Sum(nil)
	}
	sum := sha256.Sum256(message)
	signature, err := rsa.SignPKCS1v15(nil, s.private, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // only a key too short for SHA-256 cannot sign
	}
	return signature
}

func (s signer) verify(message, signature []byte) bool {
	if s.private == nil {
		return hmac.Equal(signature, s.sign(message))
	}
	sum := sha256.Sum256(message)
	return rsa.VerifyPKCS1v15(&s.private.PublicKey, crypto.SHA256, sum[:], signature) == nil
}

// publicKeys are the keys of the JWKS (RFC 7517); an endpoint that signs by HS256 has none to show.
func (s signer) publicKeys() []map[string]string {
	if s.private == nil {
		return []map[string]string{}
	}
	encode := base64.RawURLEncoding.EncodeToString
	return []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": s.id,
		"n": encode(s.private.N.Bytes()), "e": encode(big.NewInt(int64(s.private.E)).Bytes()),
	}}
}
