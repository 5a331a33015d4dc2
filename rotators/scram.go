package rotators

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// What PostgreSQL takes for iterations, and what it takes by default (its setting scram_iterations).
const (
	scramIterations    = 4096
	maxScramIterations = 10_000_000 // more than that, our driver refuses
)

// scramVerifier is what PostgreSQL stores in place of a password: by it a server can tell who knows the password, and
// nobody can log in (RFC 5802; src/common/scram-common.c, scram_build_secret). It is ErrRefused for a password that
// clients would normalise, because they do not agree on how (RFC 4013, RFC 8265).
func scramVerifier(password secret.Value, iterations int, random io.Reader) (string, error) {
	text := password.Reveal()
	if opaque, err := precis.OpaqueString.String(text); err != nil || opaque != text || !norm.NFKC.IsNormalString(text) {
		return "", fmt.Errorf("%w: clients do not agree on how to write the password in bytes", rotation.ErrRefused)
	}
	salt := make([]byte, 16)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("draw a salt: %w", err)
	}
	salted, err := pbkdf2.Key(sha256.New, text, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive a verifier: %w", err)
	}
	stored := sha256.Sum256(keyed(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(keyed(salted, "Server Key"))), nil
}

func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
