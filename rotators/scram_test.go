package rotators

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

// TestScramVerifier is the example of RFC 7677, section 3, whose salt and server signature are known.
func TestScramVerifier(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := scramVerifier(secret.New("pencil"), scramIterations, strings.NewReader(string(salt)))
	if err != nil {
		t.Fatal(err)
	}
	head, keys, _ := strings.Cut(strings.TrimPrefix(verifier, "SCRAM-SHA-256$"), "$")
	if head != "4096:W22ZaJ0SNY7soEsUEjb6gQ==" {
		t.Errorf("iterations and salt are %q", head)
	}
	_, server, _ := strings.Cut(keys, ":")
	key, err := base64.StdEncoding.DecodeString(server)
	if err != nil {
		t.Fatal(err)
	}
	const authMessage = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," +
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	if got := base64.StdEncoding.EncodeToString(keyed(key, authMessage)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("the server would sign %s", got)
	}
}

func TestScramVerifierWithoutRandomness(t *testing.T) {
	if verifier, err := scramVerifier(secret.New("pencil"), scramIterations, strings.NewReader("short")); err == nil {
		t.Errorf("got %q", verifier)
	}
}
