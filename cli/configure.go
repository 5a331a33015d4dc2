package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/config"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

// configFlag adds the flag that names the configuration.
func configFlag(c *cobra.Command) *string {
	return c.Flags().StringP("config", "c", "", "configuration file, or URL of a blob (default: app setting KEYFERRY_CONFIG)")
}

// configure reads the configuration that the flag or the app setting names and joins the app settings to it. Without
// either the app settings stand alone.
func (p Process) configure(ctx context.Context, name string) (config.Config, error) {
	if name == "" {
		name, _ = p.LookupEnv(config.FileSetting)
	}
	var file []byte
	var err error
	switch {
	case name == "":
	case strings.HasPrefix(name, "https://"):
		file, err = p.readBlob(ctx, name)
	default:
		file, err = readFile(name)
	}
	if err != nil {
		return config.Config{}, err
	}
	c, err := config.Load(file, p.LookupEnv)
	if err != nil && name == "" {
		err = errors.Join(fmt.Errorf("%w: no configuration is named: --config or app setting %s", secret.ErrUsage, config.FileSetting), err)
	}
	return c, err
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: configuration %q is not there; start from keyferry.example.yaml", secret.ErrUsage, name)
	case err != nil:
		return nil, fmt.Errorf("%w: configuration: %w", secret.ErrUsage, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("%w: configuration: %w", secret.ErrUsage, err)
	}
	return b, nil
}

// maxConfig bounds what is read; config refuses a file of more.
const maxConfig = 4 << 20

// readBlob reads a blob by the managed identity of the app.
func (p Process) readBlob(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%w: %s is not the plain URL of a blob; it is read by identity, without a SAS", secret.ErrUsage, config.FileSetting)
	}
	client, _ := p.LookupEnv("AZURE_CLIENT_ID")
	credential, err := keyvault.NewCredential(keyvault.CredentialOptions{Identity: keyvault.IdentityManaged, ClientID: client})
	if err != nil {
		return nil, err
	}
	what := "read configuration blob " + u.Host + u.Path
	body, err := getBlob(ctx, address, credential)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if len(body) > maxConfig {
		return nil, fmt.Errorf("%s: %w", what, secret.ErrTooLarge)
	}
	return body, nil
}

// getBlob is one GET as https://learn.microsoft.com/rest/api/storageservices/get-blob says. The SDK's blob client is
// not needed for it.
func getBlob(ctx context.Context, address string, credential azcore.TokenCredential) ([]byte, error) {
	auth := runtime.NewBearerTokenPolicy(credential, []string{"https://storage.azure.com/.default"}, nil)
	pipeline := runtime.NewPipeline("keyferry", "", runtime.PipelineOptions{PerRetry: []policy.Policy{auth}}, nil)
	request, err := runtime.NewRequest(ctx, "GET", address)
	if err != nil {
		return nil, secret.ErrInvalid
	}
	request.Raw().Header.Set("x-ms-version", "2023-11-03")
	runtime.SkipBodyDownload(request)
	answer, err := pipeline.Do(request)
	if err != nil {
		return nil, secret.ErrUnavailable
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case 200:
	case 401, 403:
		return nil, fmt.Errorf("%w: the identity needs the role Storage Blob Data Reader", secret.ErrForbidden)
	case 404:
		return nil, secret.ErrNotFound
	default:
		return nil, fmt.Errorf("%w: status %d", secret.ErrUnavailable, answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxConfig+1))
	if err != nil {
		return nil, secret.ErrUnavailable
	}
	return body, nil
}
