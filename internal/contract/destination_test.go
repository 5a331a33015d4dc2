package contract_test

import (
	"context"
	"crypto/rand"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/keyferry/keyferry/internal/contract"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/keyvault"
)

type madeUpToken struct{}

func (madeUpToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "made-up", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestDestinationOnTheEmulator(t *testing.T) {
	contract.Destination(t, func(t *testing.T) contract.DestinationSubject {
		server := httptest.NewTLSServer(emulator.New(emulator.Options{}))
		t.Cleanup(server.Close)
		return destinationSubject(t, "suite-", keyvault.Options{URL: server.URL, Credential: madeUpToken{},
			Transport: server.Client().Transport, DisableChallengeCheck: true, CreatesPer10s: 300})
	})
}

// TestDestinationLive runs against the Key Vault whose URL is in KEYFERRY_LIVE_KEYVAULT, as the identity named in
// KEYFERRY_LIVE_IDENTITY, by default whoever signed in to the Azure CLI. It writes about 80 secrets whose names begin
// with "keyferry-test-" and leaves them soft-deleted.
func TestDestinationLive(t *testing.T) {
	url := os.Getenv("KEYFERRY_LIVE_KEYVAULT")
	if url == "" {
		t.Skip("KEYFERRY_LIVE_KEYVAULT names no Key Vault")
	}
	identity := os.Getenv("KEYFERRY_LIVE_IDENTITY")
	if identity == "" {
		identity = keyvault.IdentityCLI
	}
	cred, err := keyvault.NewCredential(keyvault.CredentialOptions{Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	contract.Destination(t, func(t *testing.T) contract.DestinationSubject {
		prefix := "keyferry-test-" + strings.ToLower(rand.Text()[:10]) + "-"
		return destinationSubject(t, prefix, keyvault.Options{URL: url, Credential: cred})
	})
}

func destinationSubject(t *testing.T, prefix string, o keyvault.Options) contract.DestinationSubject {
	t.Helper()
	client, err := keyvault.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return contract.DestinationSubject{Destination: client, Prefix: prefix, Delete: client.Delete}
}
