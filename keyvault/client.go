package keyvault

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyferry/keyferry/secret"
)

// Options tell New which vault to speak to and how. The zero value of every field but URL and Credential is usable.
type Options struct {
	// URL of the vault: https and a host, nothing else, as in https://kv1.vault.azure.net.
	URL string

	// Credential gives the tokens. NewCredential makes one from settings.
	Credential azcore.TokenCredential

	// Transport carries the requests. Nil: a transport of our own with many idle connections, which honours the
	// proxy variables of the environment. Redirects are never followed.
	Transport http.RoundTripper

	// CreatesPer10s bounds the versions that all writers of this Client make within any ten seconds, 10 to 300.
	// Key Vault takes 300 (facts/keyvault.md 2) and counts certificates and keys among them. 0: 296,
	// because calls that start evenly do not arrive so.
	CreatesPer10s int

	// AttemptTimeout bounds one request and its answer. 0: ten seconds.
	AttemptTimeout time.Duration

	// DisableChallengeCheck accepts an authentication challenge for a resource of another domain, so that an
	// emulator can be called by a loopback address. New refuses it for any other host: it would hand a token for
	// Key Vault to whoever asks.
	DisableChallengeCheck bool
}

const (
	defaultCreates = 296
	minCreates     = 10
	maxCreates     = 300
	defaultAttempt = 10 * time.Second
	idleConns      = 64
)

// Client speaks to one Key Vault. Make one for each vault and share it: the write budget and the back-off after a
// 429 are the Client's. It is safe for concurrent use.
type Client struct {
	api *azsecrets.Client
}

// New makes a Client without calling the vault. Every fault of the options is reported at once, as
// secret.ErrInvalid.
func New(o Options) (*Client, error) {
	host, err := o.validate()
	if err != nil {
		return nil, err
	}
	attempt := o.AttemptTimeout
	if attempt == 0 {
		attempt = defaultAttempt
	}
	api, err := azsecrets.NewClient("https://"+host, guarded{o.Credential}, &azsecrets.ClientOptions{
		ClientOptions: azcore.ClientOptions{
			Transport:       &wire{base: orDefault(o.Transport), host: host, timeout: attempt},
			Retry:           policy.RetryOptions{MaxRetries: -1},
			PerCallPolicies: []policy.Policy{newPacer(o.CreatesPer10s)},
			Telemetry:       policy.TelemetryOptions{ApplicationID: "keyferry"},
		},
		DisableChallengeResourceVerification: o.DisableChallengeCheck,
	})
	if err != nil {
		return nil, fmt.Errorf("key vault client: %w", secret.ErrInvalid)
	}
	return &Client{api: api}, nil
}

// validate returns the host of the vault, in lower case and with its port when it is not 443.
func (o Options) validate() (host string, err error) {
	var faults []error
	bad := func(format string, a ...any) {
		faults = append(faults, fmt.Errorf("%w: key vault: %s", secret.ErrInvalid, fmt.Sprintf(format, a...)))
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Hostname() == "":
		bad("the URL is not https://<host>")
	case u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		bad("the URL holds more or less than https and a host")
	default:
		host = canonicalHost(u)
		if o.DisableChallengeCheck && !loopback(u.Hostname()) {
			bad("the challenge check can be disabled for a loopback address only")
		}
	}
	if o.Credential == nil {
		bad("no credential")
	}
	if n := o.CreatesPer10s; n != 0 && (n < minCreates || n > maxCreates) {
		bad("%d creates in ten seconds: choose %d to %d", n, minCreates, maxCreates)
	}
	if o.AttemptTimeout < 0 {
		bad("a negative timeout")
	}
	return host, errors.Join(faults...)
}

// canonicalHost makes hosts comparable: page links of the service carry an explicit :443.
func canonicalHost(u *url.URL) string {
	return strings.TrimSuffix(strings.ToLower(u.Host), ":443")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func orDefault(rt http.RoundTripper) http.RoundTripper {
	if rt != nil {
		return rt
	}
	t := &http.Transport{}
	if std, ok := http.DefaultTransport.(*http.Transport); ok {
		t = std.Clone()
	}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = idleConns, idleConns
	return t
}
