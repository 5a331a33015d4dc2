package config

import (
	"fmt"
	"strconv"

	"github.com/keyferry/keyferry/secret"
)

// Setting is an app setting: an environment variable of the function app.
type Setting struct {
	Name  string
	Doc   string
	apply func(c *Config, value string) error
}

// Settings lists every app setting, in the order of the documentation. KEYFERRY_CONFIG, which names the file, stands
// beside them.
func Settings() []Setting {
	text := func(at func(*Config) *string) func(*Config, string) error {
		return func(c *Config, v string) error { *at(c) = v; return nil }
	}
	guarded := func(at func(*Config) *secret.Value) func(*Config, string) error {
		return func(c *Config, v string) error { *at(c) = secret.New(v); return nil }
	}
	flag := func(at func(*Config) *bool) func(*Config, string) error {
		return func(c *Config, v string) error {
			b, err := strconv.ParseBool(v)
			if err != nil {
				return fmt.Errorf("is true or false")
			}
			*at(c) = b
			return nil
		}
	}
	return []Setting{
		{"VAULT_ADDR", "Address of HashiCorp Vault, `vault.address`.", text(func(c *Config) *string { return &c.Vault.Address })},
		{"VAULT_NAMESPACE", "Namespace of Vault Enterprise, HCP or OpenBao, `vault.namespace`.", text(func(c *Config) *string { return &c.Vault.Namespace })},
		{"VAULT_CACERT", "PEM file with the roots that signed Vault's certificate, `vault.caCert`.", text(func(c *Config) *string { return &c.Vault.CACert })},
		{"VAULT_TOKEN", "Token for Vault, instead of the log-in of the file. For a terminal and for tests.", guarded(func(c *Config) *secret.Value { return &c.Vault.Auth.Token })},
		{"VAULT_ROLE_ID", "Role id for `vault.auth.method: approle`.", text(func(c *Config) *string { return &c.Vault.Auth.RoleID })},
		{"VAULT_SECRET_ID", "Secret id for `vault.auth.method: approle`; make it a Key Vault reference.", guarded(func(c *Config) *secret.Value { return &c.Vault.Auth.SecretID })},
		{"KEYFERRY_KEYVAULT_URL", "The Key Vault that is written, `keyVault.url`.", text(func(c *Config) *string { return &c.KeyVault.URL })},
		{"AZURE_CLIENT_ID", "Client id of a user-assigned managed identity; without it the system-assigned one.", text(func(c *Config) *string { return &c.KeyVault.ClientID })},
		{"KEYFERRY_STATE_URL", "Blob container for leases and records, `state.url`.", text(func(c *Config) *string { return &c.State.URL })},
		{"KEYFERRY_STATE_CONNECTION", "Connection string for that container, where no identity can be used (Azurite).", guarded(func(c *Config) *secret.Value { return &c.State.Connection })},
		{"KEYFERRY_ALERT_TOPIC", "Endpoint of an Event Grid custom topic that gets the alerts, `alerts.topic`.", text(func(c *Config) *string { return &c.Alerts.Topic })},
		{"KEYFERRY_ALERT_TOPIC_KEY", "Key of that topic; without it the identity is used.", guarded(func(c *Config) *secret.Value { return &c.Alerts.TopicKey })},
		{"KEYFERRY_ALERT_WEBHOOK", "URL that gets each alert as JSON.", guarded(func(c *Config) *secret.Value { return &c.Alerts.Webhook })},
		{"KEYFERRY_SYNC_PAUSED", "`true` stops the sync, `sync.paused`.", flag(func(c *Config) *bool { return &c.Sync.Paused })},
		{"KEYFERRY_ROTATION_PAUSED", "`true` stops rotation, `rotation.paused`.", flag(func(c *Config) *bool { return &c.Rotation.Paused })},
	}
}
