package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// Config is everything Keyferry is told.
type Config struct {
	Vault    Vault            // the source called "vault"
	Sources  map[string]Vault // further sources by name
	KeyVault KeyVault         // the destination called "keyvault", and where rotation is at home
	// KeyVaults are further destinations by name. They are reached by the same identity.
	KeyVaults map[string]string // URL
	State     State
	Alerts    Alerts
	Sync      vaultsync.Settings
	Rotation  rotation.Settings
	Hash      string // of the file, stands in every report
}

// Vault says which HashiCorp Vault is read and how to log in.
type Vault struct {
	Address   string
	Namespace string
	CACert    string // path of a PEM file
	Auth      Auth
}

// Auth is a log-in at Vault. Which fields count depends on Method.
type Auth struct {
	Method   string // azure, jwt, approle, kubernetes or token
	Mount    string // of the auth method; empty: the method's name
	Role     string
	Audience string // azure, jwt: of the managed identity's token
	RoleID   string // approle
	SecretID secret.Value
	Token    secret.Value
}

// KeyVault says which Key Vault is written and as whom.
type KeyVault struct {
	URL      string
	Identity string // managed, workload, cli or environment
	ClientID string // of a user-assigned identity; empty: the system-assigned one
	CACert   string // path of a PEM file with further roots, for an emulator or a proxy that inspects TLS
}

// State says where leases and records are kept.
type State struct {
	URL        string       // container: https://<account>.blob.core.windows.net/<container>, or MemoryState
	Connection secret.Value // connection string, instead of an identity
}

// MemoryState keeps leases and records in the process. It is refused unless Key Vault is an emulator on this machine.
const MemoryState = "memory"

// Alerts says who is told. The log always is.
type Alerts struct {
	Topic    string // endpoint of an Event Grid custom topic
	TopicKey secret.Value
	Webhook  secret.Value // URL; secret, because such URLs carry tokens
}

// methods are the ways to log in at Vault and what each needs.
var methods = map[string]string{
	"azure": "role", "jwt": "role", "kubernetes": "role",
	"approle": "role id and secret id", "token": "token",
}

var identities = []string{"managed", "workload", "cli", "environment"}

// Validate reports every fault at once, each wrapping secret.ErrUsage.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: %s", secret.ErrUsage, fmt.Sprintf(format, args...)))
	}
	c.validateEnds(fault)
	if err := httpsURL(c.KeyVault.URL, noPath); err != nil {
		fault("keyVault.url (KEYFERRY_KEYVAULT_URL) %v, for example https://kv-webapp-prod.vault.azure.net", err)
	}
	if !slices.Contains(identities, c.KeyVault.Identity) {
		fault("keyVault.identity is one of %s, not %q", strings.Join(identities, ", "), c.KeyVault.Identity)
	}
	c.State.validate(c.KeyVault.URL, fault)
	if c.Alerts.Topic != "" {
		if err := httpsURL(c.Alerts.Topic, anyPath); err != nil {
			fault("alerts.topic (KEYFERRY_ALERT_TOPIC) %v", err)
		}
	}
	if err := c.Sync.Validate(); err != nil {
		faults = append(faults, err)
	}
	if err := c.Rotation.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("%w: %w", secret.ErrUsage, err))
	}
	return errors.Join(faults...)
}

func (s State) validate(keyVaultURL string, fault func(string, ...any)) {
	const example = "for example https://<account>.blob.core.windows.net/keyferry"
	switch {
	case s.URL == MemoryState && !Loopback(keyVaultURL):
		fault("state.url (KEYFERRY_STATE_URL) memory is for an emulator on this machine; name a blob container, %s", example)
	case s.URL == MemoryState || s.URL == "" && !s.Connection.IsZero():
	case s.URL != "" && !s.Connection.IsZero():
		if u, err := url.Parse(s.URL); err != nil || !containerPath.MatchString(u.Path) {
			fault("state.url (KEYFERRY_STATE_URL) does not end in the name of a container, %s", example)
		}
	default:
		if err := httpsURL(s.URL, containerPath); err != nil {
			fault("state.url (KEYFERRY_STATE_URL) %v, %s", err, example)
		}
	}
}

// validateEnds checks the sources and destinations that rules name, and that they name none that is not there.
func (c Config) validateEnds(fault func(string, ...any)) {
	read := map[string]bool{}
	for _, r := range c.Sync.Rules {
		source, destination := cmp.Or(r.Source, vaultsync.DefaultSource), cmp.Or(r.Destination, vaultsync.DefaultDestination)
		read[source] = true
		if _, ok := c.Sources[source]; !ok && source != vaultsync.DefaultSource {
			fault("sync rule %q reads source %q, which is not under sources", r.Name, source)
		}
		if _, ok := c.KeyVaults[destination]; !ok && destination != vaultsync.DefaultDestination {
			fault("sync rule %q writes destination %q, which is not under keyVaults", r.Name, destination)
		}
	}
	if read[vaultsync.DefaultSource] {
		c.Vault.validate("vault", " (VAULT_ADDR)", fault)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		if !endName.MatchString(name) || name == vaultsync.DefaultSource {
			fault("sources: %q is not a name of lower-case letters, digits and hyphens, other than vault", name)
		}
		c.Sources[name].validate("sources."+name, "", fault)
	}
	for _, name := range slices.Sorted(maps.Keys(c.KeyVaults)) {
		if !endName.MatchString(name) || name == vaultsync.DefaultDestination {
			fault("keyVaults: %q is not a name of lower-case letters, digits and hyphens, other than keyvault", name)
		}
		if err := httpsURL(c.KeyVaults[name], noPath); err != nil {
			fault("keyVaults.%s %v", name, err)
		}
	}
}

var endName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// validate checks what stands at the key; setting is the app setting that may say the address, if there is one.
func (v Vault) validate(key, setting string, fault func(string, ...any)) {
	address := key + ".address" + setting
	u, err := url.Parse(v.Address)
	switch {
	case v.Address == "":
		fault("%s is missing, for example https://vault.example.com:8200", address)
	case err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http"):
		fault("%s is not an address like https://vault.example.com:8200", address)
	case u.Scheme == "http" && !Loopback(v.Address):
		fault("%s is not https: values would cross the network in the clear (this machine is http://127.0.0.1)", address)
	}
	needs, ok := methods[v.Auth.Method]
	has := map[string]bool{
		"role":                  v.Auth.Role != "",
		"role id and secret id": v.Auth.RoleID != "" && !v.Auth.SecretID.IsZero(),
		"token":                 !v.Auth.Token.IsZero(),
	}
	where := map[string]string{
		"role":                  key + ".auth.role",
		"role id and secret id": "app settings VAULT_ROLE_ID and VAULT_SECRET_ID",
		"token":                 "app setting VAULT_TOKEN",
	}
	switch {
	case !ok:
		fault("%s.auth.method is azure, jwt, approle, kubernetes or token, not %q", key, v.Auth.Method)
	case !has[needs]:
		fault("%s.auth.method %s needs a %s (%s)", key, v.Auth.Method, needs, where[needs])
	}
}

var (
	anyPath       = regexp.MustCompile(`^`)
	noPath        = regexp.MustCompile(`^/?$`)
	containerPath = regexp.MustCompile(`/[a-z0-9](-?[a-z0-9]){2,62}$`)
)

// httpsURL says what is wrong with the URL, without repeating it.
func httpsURL(s string, path *regexp.Regexp) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return errors.New("is missing")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("is not a plain URL")
	case u.Scheme != "https":
		return errors.New("is not https")
	case !path.MatchString(u.Path):
		return errors.New("has another path than it should")
	}
	return nil
}

// Loopback reports whether the URL points at this machine by address, so that no name service can bend it.
func Loopback(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}

// hashOf identifies a configuration file.
func hashOf(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:6])
}
