package secret_test

import (
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A-9": true, "-": true, strings.Repeat("a", 127): true, "keyferry--hash-key": true,
		"": false, "a_b": false, "a b": false, "a/b": false, "a.b": false, "ü": false, "a\x00": false, strings.Repeat("a", 128): false,
	} {
		if got := secret.ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

func TestNamesIgnoreCase(t *testing.T) {
	if !secret.SameName("Db-Password", "dB-pASSWORD") || secret.SameName("a", "b") {
		t.Error("SameName does not compare as Key Vault does")
	}
	if secret.FoldName("Db-1") != secret.FoldName("dB-1") {
		t.Error("names that are one secret fold apart")
	}
}

func TestOwn(t *testing.T) {
	for name, want := range map[string]bool{
		secret.HashKeyName: true, "keyferry--pending--db": true, "KeyFerry--Pending--db": true,
		"keyferry": false, "keyferry-db": false, "my-keyferry--db": false, "": false,
	} {
		if got := secret.Own(name); got != want {
			t.Errorf("Own(%q) = %v", name, got)
		}
	}
	if !secret.ValidName(secret.HashKeyName) {
		t.Error("Key Vault would refuse the name of the hash key")
	}
}
