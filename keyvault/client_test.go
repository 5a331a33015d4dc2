package keyvault_test

import (
	"errors"
	"testing"

	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

func TestNewChecksItsOptions(t *testing.T) {
	for _, c := range []struct {
		what string
		o    keyvault.Options
		want error
	}{
		{"a vault", keyvault.Options{URL: "https://kv1.vault.azure.net"}, nil},
		{"with a slash, and upper case", keyvault.Options{URL: "https://KV1.vault.azure.net/"}, nil},
		{"an emulator", keyvault.Options{URL: "https://127.0.0.1:8443", DisableChallengeCheck: true}, nil},
		{"an emulator by name", keyvault.Options{URL: "https://kv1.localhost:8443", DisableChallengeCheck: true}, nil},
		{"no URL", keyvault.Options{}, secret.ErrInvalid},
		{"a host alone", keyvault.Options{URL: "kv1.vault.azure.net"}, secret.ErrInvalid},
		{"plain http", keyvault.Options{URL: "http://kv1.vault.azure.net"}, secret.ErrInvalid},
		{"a path", keyvault.Options{URL: "https://kv1.vault.azure.net/secrets/a"}, secret.ErrInvalid},
		{"a query", keyvault.Options{URL: "https://kv1.vault.azure.net?a=b"}, secret.ErrInvalid},
		{"a user", keyvault.Options{URL: "https://u:p@kv1.vault.azure.net"}, secret.ErrInvalid},
		{"no check for a real vault", keyvault.Options{URL: "https://kv1.vault.azure.net", DisableChallengeCheck: true}, secret.ErrInvalid},
		{"a name that only looks like loopback", keyvault.Options{URL: "https://127.0.0.1.example.invalid", DisableChallengeCheck: true}, secret.ErrInvalid},
		{"more than Key Vault takes", keyvault.Options{URL: "https://kv1.vault.azure.net", CreatesPer10s: 301}, secret.ErrInvalid},
		{"less than is of use", keyvault.Options{URL: "https://kv1.vault.azure.net", CreatesPer10s: 9}, secret.ErrInvalid},
		{"a negative timeout", keyvault.Options{URL: "https://kv1.vault.azure.net", AttemptTimeout: -1}, secret.ErrInvalid},
	} {
		c.o.Credential = token("made-up")
		if _, err := keyvault.New(c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if _, err := keyvault.New(keyvault.Options{URL: "https://kv1.vault.azure.net"}); !errors.Is(err, secret.ErrInvalid) {
		t.Errorf("no credential: %v, want invalid", err)
	}
}
