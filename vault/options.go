package vault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyferry/keyferry/secret"
)

// Options says which Vault a Client reads and how. Address and Auth are mandatory.
type Options struct {
	Address   string // https://host[:port][/prefix]; http:// only to this machine, unless PlainHTTP
	PlainHTTP bool   // allows http:// to another host, so that tokens and values cross the network readable
	Namespace string // Vault Enterprise, HCP or OpenBao namespace; "" is the root namespace
	Auth      Auth

	CACert  []byte        // PEM certificates trusted instead of the system's; none: the system's
	Workers int           // calls made at the same time, for which connections are kept open; 0 means 128
	Timeout time.Duration // of one call, reading the answer included; 0 means 30 s

	Transport http.RoundTripper // carries the calls instead of a transport of our own; CACert and Workers then mean nothing
	Now       func() time.Time  // nil means time.Now
}

const (
	defaultWorkers = 128 // a walk and as many reads of vaultsync beside it
	defaultTimeout = 30 * time.Second
)

// Client reads and writes one Vault, or one namespace of it. It implements vaultsync.Source, vaultsync.Writer and
// vaultsync.DetailedLister and is safe for concurrent use. It logs in at the first call, so a Client of an unreachable
// Vault can be made.
type Client struct {
	api     *api.Client // never sends: each call sends through a copy that carries its own token
	timeout time.Duration
	now     func() time.Time
	session *session

	detailed atomic.Bool // the server is OpenBao, as far as is known
}

// New returns a Client, or every fault of the options at once; they wrap secret.ErrUsage. It makes no call.
func New(o Options) (*Client, error) {
	if o.Workers == 0 {
		o.Workers = defaultWorkers
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		t, err := newTransport(o)
		if err != nil {
			return nil, errors.Join(err, o.validate())
		}
		o.Transport = t
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	conn, err := connect(o)
	if err != nil {
		return nil, err
	}
	c := &Client{api: conn, timeout: o.Timeout, now: o.Now}
	c.session = newSession(o.Auth, c.login, o.Now)
	return c, nil
}

func (o Options) validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: vault "+format, append([]any{secret.ErrUsage}, args...)...))
	}
	switch u, err := url.Parse(o.Address); {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		fault("address is not https://host[:port]")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		fault("address has more than scheme, host and path")
	case u.Scheme == "http" && !o.PlainHTTP && !loopback(u.Hostname()):
		fault("address is plain http to another host, which shows tokens and values to the network")
	}
	if o.Auth.name == "" {
		fault("log-in is not set")
	} else if err := o.Auth.validate(); err != nil {
		fault("log-in %s: %w", o.Auth.name, err)
	}
	if o.Workers < 0 {
		fault("workers is negative")
	}
	if o.Timeout < 0 {
		fault("timeout is negative")
	}
	return errors.Join(faults...)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}

// newTransport is Go's transport without a proxy from the environment, and with a connection kept for each worker:
// with the default of two or so, 10,000 reads leave 10,000 sockets in TIME_WAIT (facts/vault-sync.md A12).
func newTransport(o Options) (*http.Transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CACert) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(o.CACert) {
			return nil, fmt.Errorf("%w: vault CA certificate is not PEM", secret.ErrUsage)
		}
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    o.Workers,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}
