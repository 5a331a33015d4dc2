package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// planted stands where somebody may paste a secret by mistake. No error repeats it.
const planted = "obviously-fake-5up3r-S3cret"

// parse is the file alone, without app settings.
func parse(text []byte) (Config, error) {
	f, err := decode(text)
	if err != nil {
		return Config{}, err
	}
	return f.domain()
}

func TestEveryKeyOfTheFileArrives(t *testing.T) {
	got, err := parse([]byte(`
vault:
  address: https://vault.example.com:8200
  namespace: team
  caCert: vault.pem
  auth: {method: jwt, mount: jwt-azure, role: keyferry, audience: "api://vault"}
sources:
  old: {address: "https://old.example.com", auth: {method: kubernetes, role: reader}}
keyVault: {url: "https://kv.vault.azure.net", identity: workload, caCert: roots.pem}
keyVaults: {billing: "https://kv-billing.vault.azure.net"}
state: {url: "https://st.blob.core.windows.net/keyferry"}
alerts: {topic: "https://topic.example.net/api/events"}
sync:
  paused: true
  limits: {removals: 20, removalShare: 0.1}
  rules:
    - name: app
      source: old
      destination: billing
      mount: secret
      include: ["app/**"]
      exclude: ["**/scratch/**"]
      as: json
      map: {app/one: one}
      nameAs: "{{.Base}}"
      onCollision: suffix
      onConflict: vault
      onDelete: disable
      onDestinationRemoved: recover
      adopt: true
      writeBack: true
      expiry: 0
      metadata: [owner]
      pem: true
      rotation: {type: generated, target: keys, validity: 60d}
rotation:
  paused: true
  validity: 90d
  rotateBefore: 720h
  minAge: 2h30m
  grace: 12h
  targets:
    - name: keys
      type: generated
      secrets: ["app-*"]
      validity: 30d
      params: {length: 48}
      user: app
      format: url
      admin: {secret: db-admin, user: root, format: "json:/password"}
      resource: /subscriptions/s/resourceGroups/g
      outage: accepted
      window: "Sat 01:00-05:00 UTC"
      grace: 1h
      writeBack: true
      rotateBeforeCutover: accept
`))
	if err != nil {
		t.Fatal(err)
	}
	none := time.Duration(0)
	const day = 24 * time.Hour
	want := Config{
		Vault: Vault{
			Address: "https://vault.example.com:8200", Namespace: "team", CACert: "vault.pem",
			Auth: Auth{Method: "jwt", Mount: "jwt-azure", Role: "keyferry", Audience: "api://vault"},
		},
		Sources: map[string]Vault{
			"old": {Address: "https://old.example.com", Auth: Auth{Method: "kubernetes", Role: "reader"}},
		},
		KeyVaults: map[string]string{"billing": "https://kv-billing.vault.azure.net"},
		KeyVault:  KeyVault{URL: "https://kv.vault.azure.net", Identity: "workload", CACert: "roots.pem"},
		State:     State{URL: "https://st.blob.core.windows.net/keyferry"},
		Alerts:    Alerts{Topic: "https://topic.example.net/api/events"},
		Sync: vaultsync.Settings{Paused: true, Limits: vaultsync.Limits{Removals: 20, RemovalShare: 0.1}, Rules: []vaultsync.Rule{{
			Name: "app", Source: "old", Destination: "billing", Mount: "secret", Include: []string{"app/**"}, Exclude: []string{"**/scratch/**"},
			As: vaultsync.ShapeJSON, Map: map[string]string{"app/one": "one"}, OnCollision: vaultsync.CollisionSuffix,
			NameAs: "{{.Base}}", OnConflict: vaultsync.DriftVault, OnDelete: vaultsync.DeleteDisable,
			OnDestinationRemoved: vaultsync.RemovedRecover, Adopt: true, WriteBack: true,
			Expiry: &none, Metadata: []string{"owner"}, PEM: true,
			Rotation: vaultsync.Rotation{Type: "generated", Target: "keys", Days: 60},
		}}},
		Rotation: rotation.Settings{
			Paused: true, Validity: 90 * day, RotateBefore: 30 * day, MinAge: 150 * time.Minute, Grace: 12 * time.Hour,
			Targets: []rotation.Target{{
				Name: "keys", Type: "generated", Secrets: []string{"app-*"}, Validity: 30 * day,
				Params: map[string]any{"length": uint64(48)}, User: "app", Format: "url",
				Admin:    rotation.Admin{Secret: "db-admin", User: "root", Format: "json:/password"},
				Resource: "/subscriptions/s/resourceGroups/g", Outage: true, Window: "Sat 01:00-05:00 UTC", Grace: time.Hour,
				WriteBack: true, BeforeCutover: true,
			}},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Config{}, "Hash"), cmp.Comparer(secret.Value.Equal)); diff != "" {
		t.Error(diff)
	}
}

func TestWordsForDefaultsMeanTheDefault(t *testing.T) {
	got, err := parse([]byte("sync: {rules: [{name: a, mount: m, as: auto, onCollision: refuse}, {name: b, mount: m, expiry: }]}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got.Sync.Rules {
		if r.As != vaultsync.ShapeAuto || r.OnCollision != vaultsync.CollisionRefuse || r.Expiry != nil {
			t.Errorf("rule %q: as %q, onCollision %q, expiry %v", r.Name, r.As, r.OnCollision, r.Expiry)
		}
	}
}

func TestNoFileIsAnEmptyOne(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing yet\n", "---\n", "vault:\nsync:\n"} {
		if _, err := parse([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "vault:\n  adress: x\n", `line 2: unknown key "adress"`},
		{"unknown section", "kubernetes: {}\n", `line 1: unknown key "kubernetes"`},
		{"a secret where none belongs", "vault:\n  auth:\n    token: " + planted + "\n", `line 3: unknown key "token"`},
		{"key twice", "vault:\n  address: a\n  address: b\n", `line 3: key "address" stands twice`},
		{"two documents", "vault: {}\n---\nvault: {}\n", "more than one YAML document"},
		{"list instead of text", "vault:\n  address: [" + planted + "]\n", "line 2: want text here"},
		{"text instead of a list", "sync:\n  rules:\n    - include: " + planted + "\n", "line 3: want a list here"},
		{"text instead of keys", "vault: " + planted + "\n", "line 1: want keys with values here"},
		{"word instead of a boolean", "sync:\n  paused: " + planted + "\n", "line 2: want true or false here"},
		{"text alone", planted, "line 1: want keys with values here"},
		{"open bracket", "vault: {namespace: " + planted + "\n", "line 1: this is not YAML"},
		{"open quote", "vault:\n  namespace: \"" + planted + "\n", "line 2: this is not YAML"},
		{"bad block header", "vault:\n  namespace: |" + planted + "\n", "line 2: this is not YAML"},
		{"unknown anchor", "vault:\n  namespace: *" + planted + "\n", "line 2: this is not YAML"},
		{"duration of a word", "rotation:\n  validity: " + planted + "\n", "line 2: this is no duration: write 90d or 36h"},
		{"duration without unit", "rotation:\n  validity: 90\n", "line 2: this is no duration"},
		{"duration below zero", "rotation:\n  validity: -3d\n", "line 2: this is no duration"},
		{"duration of part of a day", "rotation:\n  validity: 1.5d\n", "line 2: this is no duration"},
		{"duration over a century", "rotation:\n  validity: 36501d\n", "line 2: this is no duration"},
		{"duration of keys", "sync:\n  rules:\n    - expiry: {days: 3}\n", "line 3: this is no duration"},
		{"rotation days of hours", "sync:\n  rules:\n    - rotation: {type: manual, validity: 12h}\n", "sync.rules[0].rotation.validity is whole days, as in 90d"},
		{"huge", "# " + strings.Repeat("x", maxFile), "over 4 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse([]byte(c.text))
			if !errors.Is(err, secret.ErrUsage) || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Fatalf("parse = %v, want a usage error with %q", err, c.want)
			}
			if strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error repeats the file: %v", err)
			}
		})
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "90d": 90 * 24 * time.Hour, "36500d": 36_500 * 24 * time.Hour, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute,
		`"7d"`: 7 * 24 * time.Hour, `'7d' # a week`: 7 * 24 * time.Hour,
	} {
		c, err := parse([]byte("rotation:\n  validity: " + text + "\n"))
		if err != nil || c.Rotation.Validity != want {
			t.Errorf("%s = %v, %v", text, c.Rotation.Validity, err)
		}
	}
}

func TestHashTellsFilesApart(t *testing.T) {
	one, two := hashOf([]byte("vault: {}\n")), hashOf([]byte("vault: {} \n"))
	if one == two || len(one) != 12 {
		t.Errorf("%q and %q", one, two)
	}
}

func TestExampleIsGood(t *testing.T) {
	text, err := os.ReadFile("../keyferry.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(text, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sync.Rules) == 0 || len(c.Rotation.Targets) == 0 || c.Hash == "" {
		t.Error("the example shows no rule, no target or has no hash")
	}
}

// FuzzParse holds the decoder to three promises for any file: no panic, faults that wrap secret.ErrUsage on one line,
// and no fault that repeats a quoted value.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../keyferry.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(example), "", "---\n---\n", "vault: &v {address: @}\nkeyVault: *v\n", "vault: {address: @, address: @}",
		"sync:\n  rules:\n    - {name: a, mount: m, expiry: @, map: {x: @}}\n", "rotation: {targets: [{params: {a: [@, {b: @}]}}]}",
		"sync: {paused: @}", "vault:\n  <<: {address: @}\n", "vault: !!binary @\n", "? [a]\n: @\n", "rotation: {validity: @}", "\ufeff\t@: |@\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = []byte(strings.ReplaceAll(string(text), "@", `"`+planted+`"`))
		_, err := parse(text)
		switch {
		case err == nil:
		case !errors.Is(err, secret.ErrUsage), strings.Contains(err.Error(), "\n"):
			t.Errorf("the error is %v", err)
		case strings.Contains(err.Error(), planted) && !strings.Contains(err.Error(), " key "):
			t.Errorf("the error repeats a value: %v", err)
		}
	})
}
