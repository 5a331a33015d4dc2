package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

// environment answers as os.LookupEnv does.
func environment(settings map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := settings[name]
		return v, ok
	}
}

// enough is the least that works: rotation only, no file.
func enough() map[string]string {
	return map[string]string{
		"KEYFERRY_KEYVAULT_URL": "https://kv-webapp-prod.vault.azure.net",
		"KEYFERRY_STATE_URL":    "https://stkeyferry.blob.core.windows.net/keyferry",
	}
}

func with(settings map[string]string, more ...string) map[string]string {
	for i := 0; i < len(more); i += 2 {
		settings[more[i]] = more[i+1]
	}
	return settings
}

const oneRule = "sync: {rules: [{name: app, mount: secret}]}\n"

func TestSettingsAreEnough(t *testing.T) {
	c, err := Load(nil, environment(enough()))
	if err != nil {
		t.Fatal(err)
	}
	if c.KeyVault.Identity != "managed" {
		t.Errorf("identity %q, want the managed one when nothing is said", c.KeyVault.Identity)
	}
}

func TestSettingsWinOverTheFile(t *testing.T) {
	file := []byte(`
vault: {address: "https://file.example.com", namespace: file, caCert: file.pem, auth: {method: azure, role: file}}
keyVault: {url: "https://file.vault.azure.net"}
state: {url: "https://file.blob.core.windows.net/keyferry"}
alerts: {topic: "https://file.example.net/api/events"}
sync: {paused: false}
rotation: {paused: true}
`)
	env := map[string]string{
		"VAULT_ADDR": "https://app.example.com", "VAULT_NAMESPACE": "app", "VAULT_CACERT": "app.pem", "VAULT_TOKEN": "fake-token",
		"VAULT_ROLE_ID": "app-role", "VAULT_SECRET_ID": "fake-secret-id",
		"KEYFERRY_KEYVAULT_URL": "https://app.vault.azure.net", "AZURE_CLIENT_ID": "app-client",
		"KEYFERRY_STATE_URL": "https://app.blob.core.windows.net/keyferry", "KEYFERRY_STATE_CONNECTION": "fake-connection",
		"KEYFERRY_ALERT_TOPIC": "https://app.example.net/api/events", "KEYFERRY_ALERT_TOPIC_KEY": "fake-key",
		"KEYFERRY_ALERT_WEBHOOK": "https://app.example.net/hook", "KEYFERRY_SYNC_PAUSED": "true", "KEYFERRY_ROTATION_PAUSED": "false",
	}
	asked := map[string]bool{}
	c, err := Load(file, func(name string) (string, bool) {
		asked[name] = true
		v, ok := env[name]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"VAULT_ADDR": c.Vault.Address, "VAULT_NAMESPACE": c.Vault.Namespace, "VAULT_CACERT": c.Vault.CACert,
		"VAULT_TOKEN": c.Vault.Auth.Token.Reveal(), "VAULT_ROLE_ID": c.Vault.Auth.RoleID, "VAULT_SECRET_ID": c.Vault.Auth.SecretID.Reveal(),
		"KEYFERRY_KEYVAULT_URL": c.KeyVault.URL, "AZURE_CLIENT_ID": c.KeyVault.ClientID,
		"KEYFERRY_STATE_URL": c.State.URL, "KEYFERRY_STATE_CONNECTION": c.State.Connection.Reveal(),
		"KEYFERRY_ALERT_TOPIC": c.Alerts.Topic, "KEYFERRY_ALERT_TOPIC_KEY": c.Alerts.TopicKey.Reveal(),
		"KEYFERRY_ALERT_WEBHOOK": c.Alerts.Webhook.Reveal(),
	} {
		if got != env[name] {
			t.Errorf("%s: %q arrived", name, got)
		}
	}
	if !c.Sync.Paused || c.Rotation.Paused {
		t.Error("the switches of the app settings did not arrive")
	}
	if c.Vault.Auth.Method != "token" {
		t.Errorf("method %q: a token among the settings wins over the method of the file", c.Vault.Auth.Method)
	}
	if len(asked) != len(env) || len(asked) != len(Settings()) {
		t.Errorf("%d settings were asked for, %d are documented, the test sets %d", len(asked), len(Settings()), len(env))
	}
}

func TestAnEmptySettingIsNotSet(t *testing.T) {
	c, err := Load([]byte("vault: {namespace: file}\n"), environment(with(enough(), "VAULT_NAMESPACE", "", "KEYFERRY_SYNC_PAUSED", "")))
	if err != nil || c.Vault.Namespace != "file" || c.Sync.Paused {
		t.Errorf("namespace %q, paused %v, %v", c.Vault.Namespace, c.Sync.Paused, err)
	}
}

// So the app's own file serves a terminal, where nobody has the app's identity.
func TestATokenIsTheLogIn(t *testing.T) {
	env := with(enough(), "VAULT_ADDR", "https://vault.example.com:8200", "VAULT_TOKEN", "fake-token")
	for _, file := range []string{oneRule, "vault: {auth: {method: azure}}\n" + oneRule} {
		c, err := Load([]byte(file), environment(env))
		if err != nil || c.Vault.Auth.Method != "token" {
			t.Errorf("method %q, %v", c.Vault.Auth.Method, err)
		}
	}
}

func TestFaults(t *testing.T) {
	vaultWith := func(more ...string) map[string]string {
		return with(with(enough(), "VAULT_ADDR", "https://vault.example.com:8200", "VAULT_TOKEN", "fake-token"), more...)
	}
	for _, c := range []struct {
		name, file string
		env        map[string]string
		want       string // "" for none
	}{
		{"key vault missing", "", with(enough(), "KEYFERRY_KEYVAULT_URL", ""), "keyVault.url (KEYFERRY_KEYVAULT_URL) is missing, for example https://"},
		{"key vault over http", "", with(enough(), "KEYFERRY_KEYVAULT_URL", "http://"+planted), "is not https"},
		{"key vault with a path", "", with(enough(), "KEYFERRY_KEYVAULT_URL", "https://kv.vault.azure.net/secrets/"+planted), "has another path"},
		{"key vault with a password", "", with(enough(), "KEYFERRY_KEYVAULT_URL", "https://me:"+planted+"@kv.vault.azure.net"), "is not a plain URL"},
		{"key vault with a slash", "", with(enough(), "KEYFERRY_KEYVAULT_URL", "https://kv.vault.azure.net/"), ""},
		{"unknown identity", "keyVault: {identity: magic}\n", enough(), "keyVault.identity is one of managed, workload, cli, environment"},

		{"state missing", "", with(enough(), "KEYFERRY_STATE_URL", ""), "state.url (KEYFERRY_STATE_URL) is missing, for example https://"},
		{"state without container", "", with(enough(), "KEYFERRY_STATE_URL", "https://st.blob.core.windows.net"), "has another path"},
		{"state with a SAS", "", with(enough(), "KEYFERRY_STATE_URL", "https://st.blob.core.windows.net/keyferry?sig="+planted), "is not a plain URL"},
		{"state over http", "", with(enough(), "KEYFERRY_STATE_URL", "http://st.blob.core.windows.net/keyferry"), "is not https"},
		{"state by connection string", "", with(enough(), "KEYFERRY_STATE_URL", "", "KEYFERRY_STATE_CONNECTION", "UseDevelopmentStorage=true"), ""},
		{"state by connection string, container named", "", with(enough(), "KEYFERRY_STATE_CONNECTION", "UseDevelopmentStorage=true"), ""},
		{"state by connection string, container not named", "", with(enough(), "KEYFERRY_STATE_URL", "http://127.0.0.1:10000/", "KEYFERRY_STATE_CONNECTION", "x"), "does not end in the name of a container"},
		{"state in memory", "state: {url: memory}\n", with(enough(), "KEYFERRY_STATE_URL", ""), "memory is for an emulator on this machine"},
		{"state in memory beside localhost, a name that can be bent", "", with(enough(), "KEYFERRY_STATE_URL", "memory", "KEYFERRY_KEYVAULT_URL", "https://localhost:1"), "memory is for an emulator"},
		{"state in memory beside an emulator", "", with(enough(), "KEYFERRY_STATE_URL", "memory", "KEYFERRY_KEYVAULT_URL", "https://127.0.0.1:1"), ""},
		{"state in memory beside an emulator, IPv6", "", with(enough(), "KEYFERRY_STATE_URL", "memory", "KEYFERRY_KEYVAULT_URL", "https://[::1]:1"), ""},

		{"no rules, no vault", "vault: {address: nonsense}\n", enough(), ""},
		{"vault missing", oneRule, vaultWith("VAULT_ADDR", ""), "vault.address (VAULT_ADDR) is missing, for example https://"},
		{"vault over http", oneRule, vaultWith("VAULT_ADDR", "http://vault.example.com:8200"), "values would cross the network in the clear"},
		{"vault over http on localhost", oneRule, vaultWith("VAULT_ADDR", "http://localhost:8200"), "this machine is http://127.0.0.1"},
		{"vault over http on this machine", oneRule, vaultWith("VAULT_ADDR", "http://127.0.0.1:8200"), ""},
		{"vault with a password", oneRule, vaultWith("VAULT_ADDR", "https://me:"+planted+"@vault.example.com"), "is not an address like"},
		{"vault by another scheme", oneRule, vaultWith("VAULT_ADDR", "unix:///"+planted), "is not an address like"},
		{"no log-in", oneRule, vaultWith("VAULT_TOKEN", ""), "vault.auth.method is azure, jwt, approle, kubernetes or token"},
		{"azure without role", "vault: {auth: {method: azure}}\n" + oneRule, vaultWith("VAULT_TOKEN", ""), "vault.auth.method azure needs a role (vault.auth.role)"},
		{"approle without secret id", "vault: {auth: {method: approle}}\n" + oneRule, vaultWith("VAULT_TOKEN", "", "VAULT_ROLE_ID", "r"), "app settings VAULT_ROLE_ID and VAULT_SECRET_ID"},
		{"approle", "vault: {auth: {method: approle}}\n" + oneRule, vaultWith("VAULT_TOKEN", "", "VAULT_ROLE_ID", "r", "VAULT_SECRET_ID", "fake"), ""},
		{"token without token", "vault: {auth: {method: token}}\n" + oneRule, vaultWith("VAULT_TOKEN", ""), "app setting VAULT_TOKEN"},
		{"unknown method", "vault: {auth: {method: userpass}}\n" + oneRule, vaultWith("VAULT_TOKEN", ""), `not "userpass"`},

		{"topic over http", "", with(enough(), "KEYFERRY_ALERT_TOPIC", "http://"+planted), "alerts.topic (KEYFERRY_ALERT_TOPIC) is not https"},
		{"switch of another word", "", with(enough(), "KEYFERRY_SYNC_PAUSED", planted), "app setting KEYFERRY_SYNC_PAUSED is true or false"},
		{"a fault of a rule", "sync: {rules: [{name: app}]}\n", vaultWith(), `sync rule "app": mount is missing`},
		{"a fault of a target", "rotation: {targets: [{name: keys, type: generated}]}\n", enough(), "rotation.targets[0].secrets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load([]byte(c.file), environment(c.env))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("Load = %v, want no fault", err)
			case c.want == "":
			case !errors.Is(err, secret.ErrUsage) || !strings.Contains(err.Error(), c.want):
				t.Errorf("Load = %v, want a usage error with %q", err, c.want)
			case strings.Contains(err.Error(), planted):
				t.Errorf("the error repeats the value: %v", err)
			case strings.Contains(err.Error(), "\n"):
				t.Errorf("more than the one fault: %v", err)
			}
		})
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	_, err := Load([]byte(`
keyVault: {identity: magic}
state: {url: memory}
sync: {rules: [{name: a, as: csv}, {name: a, mount: secret, include: ["["]}]}
rotation: {validity: 5000d, targets: [{name: Keys, type: generated}]}
`), environment(map[string]string{"VAULT_ADDR": "http://vault.example.com", "KEYFERRY_ALERT_TOPIC": "ftp://x", "KEYFERRY_ROTATION_PAUSED": "maybe"}))
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"KEYFERRY_ROTATION_PAUSED", "vault.address", "vault.auth.method", "keyVault.url", "keyVault.identity", "state.url", "alerts.topic",
		`sync rule "a": mount is missing`, "as is auto", "the name is used twice", "is not a glob",
		"rotation.validity", "targets[0].name", "targets[0].secrets",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among the faults", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

// TestNoSettingIsRepeated gives every setting at once a value that cannot be right.
func TestNoSettingIsRepeated(t *testing.T) {
	for _, value := range []string{planted, "://" + planted, "https://u:" + planted + "@h/?" + planted, "\x00" + planted} {
		_, err := Load([]byte(oneRule), func(string) (string, bool) { return value, true })
		if err == nil || strings.Contains(err.Error(), planted) {
			t.Errorf("Load = %v", err)
		}
	}
}
