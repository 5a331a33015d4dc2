package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/config"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// system is everything a command works with, built from one configuration. Building it makes no call.
type system struct {
	config config.Config
	vaults []*keyVault // the one called "keyvault" first, then by name
	alerts alert.Sink
	drain  func(context.Context) error // sends the alerts that could not be delivered
}

// keyVault is one Azure Key Vault with the two engines that work on it.
type keyVault struct {
	name     string // as rules say it
	url      string
	sync     *vaultsync.Engine
	rotation *rotation.Engine
}

// store keeps leases and records. state.Blob and state.Memory are stores.
type store interface {
	state.Leaser
	vaultsync.Records
	rotation.Ledger
}

// outside is the part of the world that the configuration points at.
type outside struct {
	azure      *http.Client      // Key Vault and those who get the alerts
	vault      http.RoundTripper // HashiCorp Vault; nil: the adapter's own
	credential azcore.TokenCredential
	store      store
}

// build composes the system. log gets the alerts, progress the sync's advance.
func (p Process) build(c config.Config, log *slog.Logger, progress func(done, total int)) (*system, error) {
	roots, err := roots(c.KeyVault.CACert)
	if err != nil {
		return nil, fmt.Errorf("%w: keyVault.caCert: %w", secret.ErrUsage, err)
	}
	out := outside{azure: httpClient(roots)}
	if out.credential, err = keyvault.NewCredential(keyvault.CredentialOptions{Identity: c.KeyVault.Identity, ClientID: c.KeyVault.ClientID}); err != nil {
		return nil, err
	}
	if out.store, err = openStore(c.State, out.credential); err != nil {
		return nil, err
	}
	return p.compose(c, out, log, progress)
}

// compose joins the engines to the outside.
func (p Process) compose(c config.Config, out outside, log *slog.Logger, progress func(done, total int)) (*system, error) {
	told, err := sinks(c.Alerts, log, out.azure, out.credential)
	if err != nil {
		return nil, err
	}
	outbox := alert.Outbox{Sink: told, Records: out.store, List: out.store.List}
	s := &system{config: c, alerts: outbox, drain: outbox.Drain}
	sources, err := openSources(c, out)
	if err != nil {
		return nil, err
	}
	for _, name := range append([]string{vaultsync.DefaultDestination}, slices.Sorted(maps.Keys(c.KeyVaults))...) {
		v := &keyVault{name: name, url: cmp.Or(c.KeyVaults[name], c.KeyVault.URL)}
		if err := p.engines(v, c, out, told, outbox, sources, progress); err != nil {
			return nil, err
		}
		s.vaults = append(s.vaults, v)
	}
	return s, nil
}

// engines builds the two engines of a Key Vault, which share its client and so its write budget. A sync's alerts go
// through the outbox; rotation is told whether an alert was taken, and keeps the event until it was.
func (p Process) engines(v *keyVault, c config.Config, out outside, told, outbox alert.Sink, sources map[string]vaultsync.Source, progress func(done, total int)) error {
	keys, err := keyvault.New(keyvault.Options{
		URL: v.url, Credential: out.credential, Transport: out.azure.Transport, DisableChallengeCheck: config.Loopback(v.url),
	})
	if err != nil {
		return err
	}
	lock := locker(out.store, vaultHost(v.url))
	if v.sync, err = vaultsync.New(vaultsync.Options{
		Name: v.name, Settings: c.Sync, Sources: sources, Destination: keys, Lock: lock, Now: time.Now, Config: c.Hash,
		Records: out.store, Alerts: outbox, Progress: progress, Apart: apart(lock, out.store, vaultHost(v.url)),
	}); err != nil {
		return err
	}
	v.rotation, err = rotation.New(rotation.Options{
		Secrets: keys, List: keys.List, Records: out.store, Scope: vaultHost(v.url), Lock: lock, Alerts: told,
		WriteBack: v.sync, Kinds: p.Kinds, Settings: c.Rotation, Now: time.Now,
		Deps: rotation.Deps{HTTP: out.azure, Azure: out.credential, Dial: (&net.Dialer{}).DialContext, Now: time.Now},
	})
	return err
}

// apart lets the sync write a secret under the lease by which rotations of it exclude each other, unless the record says
// that one is under way.
func apart(lock func(context.Context, string, func(context.Context) error) error, records rotation.Records, scope string) func(context.Context, string, func(context.Context) error) error {
	return func(ctx context.Context, name string, fn func(context.Context) error) error {
		return lock(ctx, rotation.LeaseName(name), func(ctx context.Context) error {
			record, err := records.Get(ctx, rotation.RecordKey(scope, name))
			switch {
			case errors.Is(err, secret.ErrNotFound):
			case err != nil:
				return fmt.Errorf("look for a rotation of %q: %w", name, err)
			case rotation.InFlight(record.Data):
				return fmt.Errorf("a rotation of %q is under way: %w", name, secret.ErrLeaseHeld)
			}
			return fn(ctx)
		})
	}
}

// openSources builds a client for every source that a rule reads.
func openSources(c config.Config, out outside) (map[string]vaultsync.Source, error) {
	sources := map[string]vaultsync.Source{}
	for _, r := range c.Sync.Rules {
		name := cmp.Or(r.Source, vaultsync.DefaultSource)
		if sources[name] != nil {
			continue
		}
		v := c.Vault
		if name != vaultsync.DefaultSource {
			v = c.Sources[name]
		}
		source, err := source(v, out)
		if err != nil {
			return nil, err
		}
		sources[name] = source
	}
	return sources, nil
}

// source builds the client of HashiCorp Vault with the log-in that is configured.
func source(v config.Vault, out outside) (*vault.Client, error) {
	var pem []byte
	if v.CACert != "" {
		var err error
		if pem, err = os.ReadFile(v.CACert); err != nil {
			return nil, fmt.Errorf("%w: vault.caCert (VAULT_CACERT): %w", secret.ErrUsage, err)
		}
	}
	audience := v.Auth.Audience
	if audience == "" {
		audience = v.Address
	}
	var auth vault.Auth
	switch v.Auth.Method {
	case "azure":
		auth = vault.Azure(v.Auth.Mount, v.Auth.Role, vault.AzureJWT(out.credential, audience))
	case "jwt":
		auth = vault.JWT(v.Auth.Mount, v.Auth.Role, vault.AzureJWT(out.credential, audience))
	case "kubernetes":
		auth = vault.Kubernetes(v.Auth.Mount, v.Auth.Role, "")
	case "approle":
		auth = vault.AppRole(v.Auth.Mount, v.Auth.RoleID, v.Auth.SecretID)
	case "token":
		auth = vault.Token(v.Auth.Token)
	}
	return vault.New(vault.Options{Address: v.Address, Namespace: v.Namespace, CACert: pem, Auth: auth, Transport: out.vault})
}

// openStore opens the store of leases and records.
func openStore(s config.State, credential azcore.TokenCredential) (store, error) {
	if s.URL == config.MemoryState {
		return state.NewMemory(time.Now), nil
	}
	container := "keyferry"
	if s.URL != "" {
		u, err := url.Parse(s.URL)
		if err != nil {
			return nil, fmt.Errorf("%w: state.url is not a URL", secret.ErrUsage)
		}
		container = path.Base(u.Path)
		if s.Connection.IsZero() {
			u.Path = path.Dir(u.Path)
			return state.NewBlob(u.String(), container, credential, nil)
		}
	}
	return state.NewBlobFromConnection(s.Connection, container, nil)
}

// locker runs work under a lease of the destination. The name of the holder tells people which process has it.
func locker(l state.Leaser, destination string) func(context.Context, string, func(context.Context) error) error {
	host, _ := os.Hostname()
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	holder := fmt.Sprintf("%s/%d/%s", host, os.Getpid(), hex.EncodeToString(id[:]))
	return func(ctx context.Context, name string, fn func(context.Context) error) error {
		return state.Hold(ctx, l, destination+"/"+name, holder, fn)
	}
}

// vaultHost is the name of the Key Vault as leases spell it.
func vaultHost(keyVaultURL string) string {
	u, err := url.Parse(keyVaultURL)
	if err != nil {
		return "unknown"
	}
	return strings.ReplaceAll(strings.ToLower(u.Host), ":", "_")
}

// roots reads further trusted certificates; nil without a file.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(bytes.TrimSpace(pem)) {
		return nil, errors.New("holds no certificate")
	}
	return pool, nil
}

// httpClient carries the calls to Azure, many at once, and follows no redirect: an answer that sends a token elsewhere
// is an error.
func httpClient(roots *x509.CertPool) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 64
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
