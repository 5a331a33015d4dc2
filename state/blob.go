package state

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/keyferry/keyferry/secret"
)

// Folders of the container.
const (
	records = "records/"
	leases  = "leases/"
)

// tryTime is the time limit of one try of one call.
const tryTime = 10 * time.Second

// Blob keeps records and leases in one container of an Azure storage account, which it creates when something is to
// be kept and the container is not there. It is safe for concurrent use.
//
// A call that the network or the service failed is tried again for some seconds. A write whose answer was lost is
// settled by looking; secret.ErrAmbiguous when that fails too. Every other error of the service is a sentinel of
// package secret with the service's status and code.
type Blob struct {
	container *container.Client
}

// NewBlob uses the container at the service URL (https://<account>.blob.core.windows.net) as the identity cred, which
// needs the role Storage Blob Data Contributor. A nil transport is http.DefaultTransport. No redirect is followed.
func NewBlob(service, name string, cred azcore.TokenCredential, transport http.RoundTripper) (*Blob, error) {
	u, err := url.Parse(service)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("use blob service: %w: want https://<account>.blob.core.windows.net", secret.ErrInvalid)
	}
	if err := checkContainer(name); err != nil {
		return nil, err
	}
	c, err := container.NewClient(u.JoinPath(name).String(), cred, clientOptions(transport))
	if err != nil {
		return nil, fmt.Errorf("use blob service: %w", secret.ErrInvalid)
	}
	return &Blob{container: c}, nil
}

// NewBlobFromConnection uses the container of the account that a connection string names, as AzureWebJobsStorage
// does. "UseDevelopmentStorage=true" is Azurite on its usual port. transport is as for NewBlob.
func NewBlobFromConnection(connection secret.Value, name string, transport http.RoundTripper) (*Blob, error) {
	if err := checkContainer(name); err != nil {
		return nil, err
	}
	text := connection.Reveal()
	if strings.EqualFold(strings.Trim(text, "; "), "UseDevelopmentStorage=true") {
		text = developmentStorage
	}
	c, err := container.NewClientFromConnectionString(text, name, clientOptions(transport))
	if err != nil {
		// The error of the library may repeat parts of the connection string, which holds a key.
		return nil, fmt.Errorf("use storage connection string: %w", secret.ErrInvalid)
	}
	return &Blob{container: c}, nil
}

// developmentStorage is Azurite with the key that everybody knows
// (https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key).
const developmentStorage = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=" +
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"

func clientOptions(transport http.RoundTripper) *container.ClientOptions {
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect would carry what authorizes the request elsewhere
	}}
	return &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: client,
		Retry:     policy.RetryOptions{MaxRetries: -1, TryTimeout: tryTime},
		Telemetry: policy.TelemetryOptions{ApplicationID: "keyferry"},
	}}
}

// checkContainer keeps to the rule of Azure: 3 to 63 of a-z, 0-9 and single hyphens, none at the ends.
func checkContainer(name string) error {
	ok := len(name) >= 3 && len(name) <= 63 && strings.Trim(name, "-") == name && !strings.Contains(name, "--") &&
		!strings.ContainsAny(name, "/._") && keyBytes(name)
	if !ok {
		return fmt.Errorf("use blob container: %w: a name is 3 to 63 of a-z, 0-9 and single hyphens", secret.ErrInvalid)
	}
	return nil
}

func (b *Blob) blob(folder, key string) *blockblob.Client {
	return b.container.NewBlockBlobClient(folder + key)
}

// inContainer makes a call that writes, and makes it again once the container exists if that was what it lacked.
func inContainer[T any](ctx context.Context, b *Blob, call func(context.Context) (T, error)) (T, error) {
	v, err := call(ctx)
	if !bloberror.HasCode(err, bloberror.ContainerNotFound) {
		return v, err
	}
	if _, err := b.container.Create(ctx, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		return v, err
	}
	return call(ctx)
}

// absent reports whether the service proved that a blob, or the container with it, is not there.
func absent(err error) bool { return errors.Is(err, secret.ErrNotFound) }
