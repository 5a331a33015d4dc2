package handler_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/handler"
)

const (
	gridEvent = `{"id":"e1","topic":"/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv1","subject":"db-password",
		"eventType":"Microsoft.KeyVault.SecretNearExpiry","eventTime":"2026-01-02T03:04:05.1234567Z",
		"data":{"Id":"https://kv1.vault.azure.net/secrets/db-password/0f0f","VaultName":"kv1","ObjectType":"Secret",
		"ObjectName":"db-password","Version":"0f0f","NBF":null,"EXP":1767324245},"dataVersion":"1","metadataVersion":"1"}`
	cloudEvent = `{"id":"e2","source":"/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv1","subject":"db-password",
		"type":"Microsoft.KeyVault.SecretExpired","time":"2026-01-02T03:04:05Z","specversion":"1.0",
		"data":{"Id":"https://kv1.vault.azure.net/secrets/db-password/0f0f","VaultName":"kv1","ObjectType":"Secret",
		"ObjectName":"db-password","Version":"0f0f","NBF":null,"EXP":1767324245}}`
)

var expiry = time.Unix(1767324245, 0).UTC()

func TestBothSchemasGiveOneEvent(t *testing.T) {
	want := handler.Event{ID: "e1", Kind: handler.NearExpiry, Vault: "kv1", ObjectType: "Secret", Name: "db-password", Version: "0f0f",
		Expires: &expiry, Time: time.Date(2026, 1, 2, 3, 4, 5, 123456700, time.UTC)}
	got, err := handler.ParseEvent([]byte(gridEvent))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Event Grid schema: %v %s", err, diff)
	}
	want.ID, want.Kind, want.Time = "e2", handler.Expired, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got, err = handler.ParseEvent([]byte(cloudEvent))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("CloudEvents: %v %s", err, diff)
	}
}

func TestWhatKeyVaultIsKnownToVary(t *testing.T) {
	for name, replace := range map[string][2]string{
		"blank after a key":      {`"ObjectName"`, `"ObjectName "`},
		"blank in the version":   {`"0f0f","NBF"`, `" 0f0f","NBF"`},
		"camel case":             {`"VaultName"`, `"vaultName"`},
		"camel case name":        {`"ObjectName"`, `"objectName"`},
		"no object name":         {`"ObjectName":"db-password",`, ``},
		"no name but in subject": {`"data":{"Id":"https://kv1.vault.azure.net/secrets/db-password/0f0f"`, `"data":{"Id":""`},
		"no vault name":          {`"VaultName":"kv1",`, ``},
		"no version":             {`"Version":"0f0f",`, ``},
		"no object type":         {`"ObjectType":"Secret",`, ``},
		"EXP as text":            {`1767324245`, `"1767324245"`},
		"EXP as a float":         {`1767324245`, `1.767324245e9`},
		"type in lower case":     {`Microsoft.KeyVault.SecretNearExpiry`, `microsoft.keyvault.secretnearexpiry`},
		"unknown field":          {`"NBF"`, `"new":{"a":[1]},"NBF"`},
	} {
		text := strings.Replace(gridEvent, replace[0], replace[1], 1)
		if text == gridEvent {
			t.Fatalf("%s: nothing replaced", name)
		}
		e, err := handler.ParseEvent([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.Kind != handler.NearExpiry || e.Vault != "kv1" || e.ObjectType != "Secret" || e.Name != "db-password" || e.Version != "0f0f" || e.Expires == nil || !e.Expires.Equal(expiry) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestOddExpiryNeverLosesTheEvent(t *testing.T) {
	for _, exp := range []string{`null`, `""`, `"soon"`, `true`, `{}`, `[]`, `-5`, `1e300`, `"Infinity"`, `"NaN"`} {
		e, err := handler.ParseEvent([]byte(strings.Replace(gridEvent, "1767324245", exp, 1)))
		if err != nil || e.Expires != nil || e.Name != "db-password" {
			t.Errorf("EXP %s: %+v, %v", exp, e, err)
		}
	}
}

func TestUnreadableEvents(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           ``,
		"null":              `null`,
		"a string":          `"x"`,
		"an array":          `[]`,
		"broken":            gridEvent[:100],
		"no type":           strings.Replace(gridEvent, "eventType", "kind", 1),
		"type is a number":  strings.Replace(gridEvent, `"Microsoft.KeyVault.SecretNearExpiry"`, `7`, 1),
		"no data":           strings.Replace(gridEvent, `"data":`, `"date":`, 1),
		"data is text":      `{"type":"Microsoft.KeyVault.SecretExpired","data":"x"}`,
		"no name anywhere":  `{"type":"Microsoft.KeyVault.SecretExpired","data":{}}`,
		"path in the name":  strings.Replace(gridEvent, `"ObjectName":"db-password"`, `"ObjectName":"../keys/x"`, 1),
		"name of 128":       strings.Replace(gridEvent, `"ObjectName":"db-password"`, `"ObjectName":"`+strings.Repeat("x", 128)+`"`, 1),
		"query in version":  strings.Replace(gridEvent, `"Version":"0f0f"`, `"Version":"0f?x=1"`, 1),
		"line end in name":  strings.Replace(gridEvent, `"ObjectName":"db-password"`, `"ObjectName":"db\npassword"`, 1),
		"non-ASCII in name": strings.Replace(gridEvent, `"ObjectName":"db-password"`, `"ObjectName":"dbä"`, 1),
	} {
		if e, err := handler.ParseEvent([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", name, e)
		}
	}
}

func TestWhoseEventItIs(t *testing.T) {
	event := func(pairs ...string) handler.Event {
		e, err := handler.ParseEvent([]byte(strings.NewReplacer(pairs...).Replace(gridEvent)))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, c := range []struct {
		name  string
		event handler.Event
		vault string
		want  string
	}{
		{"ours", event(), "kv1", ""},
		{"ours in another case", event(`"kv1"`, `"KV1"`, `"Secret"`, `"secret"`), "kv1", ""},
		{"any vault", event(), "", ""},
		{"another vault", event(), "kv2", "another vault"},
		{"a key", event("SecretNearExpiry", "KeyNearExpiry", `"Secret"`, `"Key"`), "kv1", "another type"},
		{"a certificate", event("SecretNearExpiry", "CertificateExpired", `"Secret"`, `"Certificate"`), "kv1", "another type"},
		{"a key behind a secret's type", event(`"Secret"`, `"Key"`), "kv1", "key or a certificate"},
		{"a new version", event("SecretNearExpiry", "SecretNewVersionCreated"), "kv1", "another type"},
		{"access policy", event("SecretNearExpiry", "VaultAccessPolicyChanged", `"db-password"`, `""`), "kv1", "another type"},
	} {
		if got := c.event.NotOurs(c.vault); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(gridEvent))
	f.Add([]byte(cloudEvent))
	f.Add([]byte(`{"type":"Microsoft.KeyVault.SecretExpired","data":{"Id":"https://kv1.vault.azure.net/secrets/a/b","EXP":"1"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := handler.ParseEvent(raw)
		if err != nil {
			return
		}
		again, err := handler.ParseEvent(raw)
		if diff := cmp.Diff(e, again); err != nil || diff != "" {
			t.Fatalf("read twice: %v %s", err, diff)
		}
		if e.Kind == handler.Other {
			return
		}
		if e.Name == "" || len(e.Name) > 127 || strings.ContainsAny(e.Name+e.Version, "/?#%. \n") {
			t.Fatalf("accepted %+v", e)
		}
		if e.Expires != nil && e.Expires.Year() > 9999 {
			t.Fatalf("expires %v", e.Expires)
		}
	})
}
