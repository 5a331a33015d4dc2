package config

import (
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/secret"
)

// FileSetting names the configuration: a path, or the URL of a blob that is read by identity.
const FileSetting = "KEYFERRY_CONFIG"

// Load joins the file with the app settings, which lookup answers as os.LookupEnv does, and validates the whole. An
// empty file is allowed: a few settings are enough to rotate. Every fault is reported at once, of a file that cannot be
// decoded the first, and wraps secret.ErrUsage; none repeats a value.
func Load(text []byte, lookup func(string) (string, bool)) (Config, error) {
	f, err := decode(text)
	if err != nil {
		return Config{}, err
	}
	c, err := f.domain()
	c.Hash = hashOf(text)
	faults := []error{err}
	for _, s := range Settings() {
		v, ok := lookup(s.Name)
		if !ok || v == "" {
			continue
		}
		if err := s.apply(&c, v); err != nil {
			faults = append(faults, fmt.Errorf("%w: app setting %s %w", secret.ErrUsage, s.Name, err))
		}
	}
	if c.KeyVault.Identity == "" {
		c.KeyVault.Identity = "managed"
	}
	if !c.Vault.Auth.Token.IsZero() { // a setting, so it wins over the method of the file
		c.Vault.Auth.Method = "token"
	}
	for name, v := range c.Sources { // credentials are app settings, and there is one set of them
		v.Auth.RoleID, v.Auth.SecretID, v.Auth.Token = c.Vault.Auth.RoleID, c.Vault.Auth.SecretID, c.Vault.Auth.Token
		c.Sources[name] = v
	}
	if err := c.Validate(); err != nil {
		faults = append(faults, err)
	}
	return c, errors.Join(faults...)
}
