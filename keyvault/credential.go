package keyvault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/keyferry/keyferry/secret"
)

// The identities a setting may name. There is no automatic choice: a chain that tries one after the other signs in
// as whoever happens to be found.
const (
	IdentityManaged     = "managed"     // the managed identity of the Function App or machine
	IdentityWorkload    = "workload"    // workload identity of Kubernetes: a token file and the variables beside it
	IdentityCLI         = "cli"         // whoever signed in to the Azure CLI, for a terminal
	IdentityEnvironment = "environment" // a service principal in AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret or certificate
)

// CredentialOptions are the settings of NewCredential.
type CredentialOptions struct {
	Identity string // one of the Identity constants; there is no default
	ClientID string // of a user-assigned managed identity or a workload identity; "" is the one of the host
	TenantID string // for workload and cli; "" is the one of the host or the sign-in

	// Transport carries the token requests of managed and workload identities. Nil: the SDK's.
	Transport policy.Transporter
}

// NewCredential makes the credential that the settings name, without signing in. The token endpoint is asked at most
// four times within some six seconds; nothing above repeats that. secret.ErrInvalid.
func NewCredential(o CredentialOptions) (azcore.TokenCredential, error) {
	client := azcore.ClientOptions{
		Transport: o.Transport,
		Retry:     policy.RetryOptions{MaxRetries: 3, RetryDelay: 500 * time.Millisecond, TryTimeout: 10 * time.Second},
	}
	var cred azcore.TokenCredential
	var err error
	switch o.Identity {
	case IdentityManaged:
		managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: client}
		if o.ClientID != "" {
			managed.ID = azidentity.ClientID(o.ClientID)
		}
		cred, err = azidentity.NewManagedIdentityCredential(managed)
	case IdentityWorkload:
		cred, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: client, ClientID: o.ClientID, TenantID: o.TenantID,
		})
	case IdentityCLI:
		cred, err = azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: o.TenantID})
	case IdentityEnvironment:
		cred, err = azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{ClientOptions: client})
	default:
		return nil, fmt.Errorf("%w: identity %q: choose managed, workload, cli or environment", secret.ErrInvalid, o.Identity)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: identity %q: its settings are missing or wrong", secret.ErrInvalid, o.Identity)
	}
	return cred, nil
}

// guarded is a credential whose errors are failures, so that they are told from those of the vault: the SDK's texts
// hold URLs and bodies.
type guarded struct{ azcore.TokenCredential }

// GetToken implements azcore.TokenCredential.
func (g guarded) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	t, err := g.TokenCredential.GetToken(ctx, o)
	switch {
	case err == nil:
		return t, nil
	case ctx.Err() != nil:
		return azcore.AccessToken{}, &failure{kind: context.Cause(ctx), why: "waiting for a token", known: true}
	}
	return azcore.AccessToken{}, &failure{kind: secret.ErrUnauthorized, why: signInReason(err), known: true}
}

var entraCode = regexp.MustCompile(`AADSTS\d{4,9}`)

// signInReason keeps of a failed sign-in what can be looked up: the number of Entra ID and the status.
func signInReason(err error) string {
	why := "no token"
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		why += fmt.Sprintf(": %d from the token endpoint", failed.RawResponse.StatusCode)
	}
	if code := entraCode.FindString(err.Error()); code != "" {
		why += ", " + code
	}
	return why
}
