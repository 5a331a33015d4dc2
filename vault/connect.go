package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyferry/keyferry/secret"
)

// Limits of an answer in bytes. A secret of 1 MiB is the most Vault stores (facts/vault-sync.md A10), and Vault escapes
// what it sends; a listing of 100,000 names stays below 64 MiB with names of 600 characters.
const (
	maxSecret  = 8 << 20
	maxListing = 64 << 20
	maxFault   = 1 << 20 // answers of status 400 and up, among them the 404 of a deleted version
)

// environment is every variable that api.NewClient reads (vault/api v1.23.0, client.go and logical.go).
var environment = []string{
	api.EnvVaultAddress, api.EnvVaultAgentAddr, api.EnvVaultCACert, api.EnvVaultCACertBytes, api.EnvVaultCAPath,
	api.EnvVaultClientCert, api.EnvVaultClientKey, api.EnvVaultClientTimeout, api.EnvVaultHeaders, api.EnvVaultSRVLookup,
	api.EnvVaultSkipVerify, api.EnvVaultNamespace, api.EnvVaultTLSServerName, api.EnvVaultWrapTTL, api.EnvVaultMaxRetries,
	api.EnvVaultToken, api.EnvRateLimit, api.EnvHTTPProxy, api.EnvVaultProxyAddr, api.EnvVaultDisableRedirects,
}

// connect builds the API client so that nothing of the environment is left in it: the Config is complete, and token,
// headers and the wrapping of answers, which NewClient takes from the environment whatever the Config says, are set
// again. NewClient parses the environment all the same and fails when it cannot; then the error names the variables.
func connect(o Options) (*api.Client, error) {
	client, err := api.NewClient(&api.Config{
		Address: o.Address,
		HttpClient: &http.Client{
			Transport:     limited{o.Transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		MaxRetries:       0,
		CheckRetry:       func(_ context.Context, _ *http.Response, err error) (bool, error) { return false, err },
		DisableRedirects: true,
	})
	if err != nil {
		var set []string
		for _, name := range environment {
			if os.Getenv(name) != "" {
				set = append(set, name)
			}
		}
		return nil, fmt.Errorf("%w: the library for vault cannot parse the environment, which is not used otherwise: unset or correct one of %s",
			secret.ErrUsage, strings.Join(set, ", "))
	}
	client.ClearToken()
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	if o.Namespace != "" {
		client.SetNamespace(o.Namespace)
	}
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	return client, nil
}

// limited keeps the body of a refusal small, because the API client reads it whole before we see it. It has no
// CloseIdleConnections on purpose: the API client calls that after every failed call, for all workers at once.
type limited struct{ next http.RoundTripper }

func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxFault)
	}
	return resp, err
}

// request is one call to Vault. The path begins after /v1/ and has been checked; a body makes it a PUT, or with patch a
// PATCH.
type request struct {
	path  string
	list  bool
	body  []byte
	patch bool
	limit int64
}

// answer is what came back: 200, or 404, which means many things.
type answer struct {
	status int
	body   []byte
}

// send makes one attempt. The answer has status 200 or 404; all else is a *fault, or the cause for which ctx ended.
func (c *Client) send(ctx context.Context, token secret.Value, r request) (answer, error) {
	attempt, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	logical := c.api.WithRequestCallbacks(func(req *api.Request) {
		req.ClientToken = token.Reveal()
		if r.patch { // the API module sets a type that KV refuses with 415
			req.Headers.Set("Content-Type", "application/merge-patch+json")
		}
	}).Logical()
	resp, err := func() (*api.Response, error) {
		switch {
		case r.patch:
			return logical.PatchRawWithContext(attempt, r.path, r.body)
		case r.body != nil:
			return logical.WriteRawWithContext(attempt, r.path, r.body)
		case r.list:
			return logical.ReadRawWithDataWithContext(attempt, r.path, map[string][]string{"list": {"true"}})
		default:
			return logical.ReadRawWithContext(attempt, r.path)
		}
	}()
	if resp != nil {
		defer resp.Body.Close()
	}
	var refusal *api.ResponseError
	if err != nil && !errors.As(err, &refusal) {
		return answer{}, broken(ctx, attempt, err)
	}
	var body bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= r.limit {
		body.Grow(int(n) + bytes.MinRead)
	}
	if _, err := io.Copy(&body, http.MaxBytesReader(nil, resp.Body, r.limit)); err != nil {
		return answer{}, broken(ctx, attempt, err)
	}
	a := answer{resp.StatusCode, body.Bytes()}
	if a.status == http.StatusOK || a.status == http.StatusNotFound {
		return a, nil
	}
	return answer{}, judge(a, retryAfter(resp.Header.Get("Retry-After"), c.now()))
}

// retryAfter decodes the header of that name: whole seconds or a date. Anything else is no wish at all.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
