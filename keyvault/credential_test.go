package keyvault_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

type transporter func(*http.Request) (*http.Response, error)

func (f transporter) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestManagedIdentityAsksForTheIdentityThatIsSet(t *testing.T) {
	t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
	t.Setenv("IDENTITY_HEADER", "made-up")
	// MSAL keeps tokens for the life of the process, so the identity is a new one each time.
	for _, clientID := range []string{"", rand.Text()} {
		var asked string
		cred, err := keyvault.NewCredential(keyvault.CredentialOptions{
			Identity: keyvault.IdentityManaged, ClientID: clientID,
			Transport: transporter(func(r *http.Request) (*http.Response, error) {
				asked = r.URL.Query().Get("client_id")
				return response(200, `{"access_token":"t","expires_on":"4102444800","token_type":"Bearer"}`), nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
		if err != nil || tok.Token != "t" || asked != clientID {
			t.Errorf("asked for identity %q: %v; want %q", asked, err, clientID)
		}
	}
}

func TestIdentityIsAlwaysNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("made-up"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"} {
		t.Setenv(name, "")
		_ = os.Unsetenv(name)
	}
	for identity, want := range map[string]error{
		"": secret.ErrInvalid, "default": secret.ErrInvalid,
		keyvault.IdentityWorkload: secret.ErrInvalid, keyvault.IdentityEnvironment: secret.ErrInvalid,
		keyvault.IdentityCLI: nil, keyvault.IdentityManaged: nil,
	} {
		if _, err := keyvault.NewCredential(keyvault.CredentialOptions{Identity: identity}); !errors.Is(err, want) {
			t.Errorf("%q without settings: %v, want %v", identity, err, want)
		}
	}
	t.Setenv("AZURE_TENANT_ID", "made-up")
	t.Setenv("AZURE_CLIENT_ID", "made-up")
	t.Setenv("AZURE_CLIENT_SECRET", "made-up")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	for _, identity := range []string{keyvault.IdentityWorkload, keyvault.IdentityEnvironment} {
		if _, err := keyvault.NewCredential(keyvault.CredentialOptions{Identity: identity}); err != nil {
			t.Errorf("%q with its variables: %v", identity, err)
		}
	}
}

type noToken struct{ err error }

func (n noToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, n.err
}

// A failed sign-in is told from a refusal of the vault, by its numbers alone, and is not repeated here.
func TestAFailedSignIn(t *testing.T) {
	const body = "AADSTS70021: No matching federated identity record found for the-subject at https://login.example.invalid"
	for what, c := range map[string]struct {
		err  error
		text string
	}{
		"refused by Entra ID": {&azidentity.AuthenticationFailedError{RawResponse: response(401, body)}, "401 from the token endpoint, AADSTS70021"},
		"not available":       {errors.New("ManagedIdentityCredential: https://login.example.invalid the-subject"), "no token"},
		"wrapped":             {fmt.Errorf("chain: %w", errors.New(body)), "AADSTS70021"},
	} {
		t.Run(what, func(t *testing.T) {
			calls := 0
			r := &road{to: emulator.New(emulator.Options{}), trouble: func(*http.Request) faults.Fault { calls++; return nil }}
			client, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: noToken{c.err}, Transport: faults.Transport(r)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Set(t.Context(), "a", draft("v"))
			if !errors.Is(err, secret.ErrUnauthorized) || errors.Is(err, secret.ErrAmbiguous) || calls != 0 {
				t.Errorf("%v after %d calls, want unauthorized without one", err, calls)
			}
			if text := err.Error(); !strings.Contains(text, c.text) || strings.Contains(text, "the-subject") || strings.Contains(text, "https") {
				t.Errorf("%q, want %q and nothing foreign", text, c.text)
			}
		})
	}
}
