package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// file is keyferry.yaml. Unknown keys are refused.
type file struct {
	Vault    vaultSource            `yaml:"vault"`
	Sources  map[string]vaultSource `yaml:"sources"`
	KeyVault struct {
		URL      string `yaml:"url"`
		Identity string `yaml:"identity"`
		CACert   string `yaml:"caCert"`
	} `yaml:"keyVault"`
	KeyVaults map[string]string `yaml:"keyVaults"`
	State     struct {
		URL string `yaml:"url"`
	} `yaml:"state"`
	Alerts struct {
		Topic string `yaml:"topic"`
	} `yaml:"alerts"`
	Sync struct {
		Paused bool   `yaml:"paused"`
		Rules  []rule `yaml:"rules"`
		Limits struct {
			Removals     int     `yaml:"removals"`
			RemovalShare float64 `yaml:"removalShare"`
		} `yaml:"limits"`
	} `yaml:"sync"`
	Rotation struct {
		Paused       bool     `yaml:"paused"`
		Validity     duration `yaml:"validity"`
		RotateBefore duration `yaml:"rotateBefore"`
		MinAge       duration `yaml:"minAge"`
		Grace        duration `yaml:"grace"`
		Targets      []target `yaml:"targets"`
	} `yaml:"rotation"`
}

// vaultSource is how one HashiCorp Vault is reached.
type vaultSource struct {
	Address   string `yaml:"address"`
	Namespace string `yaml:"namespace"`
	CACert    string `yaml:"caCert"`
	Auth      struct {
		Method   string `yaml:"method"`
		Mount    string `yaml:"mount"`
		Role     string `yaml:"role"`
		Audience string `yaml:"audience"`
	} `yaml:"auth"`
}

func (v vaultSource) domain() Vault {
	return Vault{
		Address: v.Address, Namespace: v.Namespace, CACert: v.CACert,
		Auth: Auth{Method: v.Auth.Method, Mount: v.Auth.Mount, Role: v.Auth.Role, Audience: v.Auth.Audience},
	}
}

type rule struct {
	Name        string            `yaml:"name"`
	Source      string            `yaml:"source"`
	Destination string            `yaml:"destination"`
	Mount       string            `yaml:"mount"`
	Include     []string          `yaml:"include"`
	Exclude     []string          `yaml:"exclude"`
	As          string            `yaml:"as"`
	NameAs      string            `yaml:"nameAs"`
	Map         map[string]string `yaml:"map"`
	OnCollision string            `yaml:"onCollision"`
	OnConflict  string            `yaml:"onConflict"`
	OnDelete    string            `yaml:"onDelete"`
	OnRemoved   string            `yaml:"onDestinationRemoved"`
	Adopt       bool              `yaml:"adopt"`
	WriteBack   bool              `yaml:"writeBack"`
	Expiry      *duration         `yaml:"expiry"`
	Metadata    []string          `yaml:"metadata"`
	PEM         bool              `yaml:"pem"`
	Rotation    struct {
		Type     string   `yaml:"type"`
		Target   string   `yaml:"target"`
		Validity duration `yaml:"validity"`
	} `yaml:"rotation"`
}

type target struct {
	Name     string         `yaml:"name"`
	Type     string         `yaml:"type"`
	Secrets  []string       `yaml:"secrets"`
	Validity duration       `yaml:"validity"`
	Params   map[string]any `yaml:"params"`
	User     string         `yaml:"user"`
	Format   string         `yaml:"format"`
	Admin    struct {
		Secret string `yaml:"secret"`
		User   string `yaml:"user"`
		Format string `yaml:"format"`
	} `yaml:"admin"`
	Resource            string   `yaml:"resource"`
	Outage              string   `yaml:"outage"`
	Window              string   `yaml:"window"`
	Grace               duration `yaml:"grace"`
	WriteBack           bool     `yaml:"writeBack"`
	RotateBeforeCutover string   `yaml:"rotateBeforeCutover"`
}

// domain is the target as rotation knows it. What gives up a protection is a word to be written out.
func (t target) domain() (rotation.Target, error) {
	var faults []error
	if t.Outage != "" && t.Outage != "accepted" {
		faults = append(faults, fmt.Errorf("%w: target %q: outage is accepted, or is not there", secret.ErrUsage, t.Name))
	}
	if t.RotateBeforeCutover != "" && t.RotateBeforeCutover != "accept" {
		faults = append(faults, fmt.Errorf("%w: target %q: rotateBeforeCutover is accept, or is not there", secret.ErrUsage, t.Name))
	}
	return rotation.Target{
		Name: t.Name, Type: t.Type, Secrets: t.Secrets, Validity: time.Duration(t.Validity), Params: t.Params,
		User: t.User, Format: t.Format, Resource: t.Resource, Window: t.Window, Grace: time.Duration(t.Grace),
		Admin:  rotation.Admin{Secret: t.Admin.Secret, User: t.Admin.User, Format: t.Admin.Format},
		Outage: t.Outage != "", WriteBack: t.WriteBack, BeforeCutover: t.RotateBeforeCutover != "",
	}, errors.Join(faults...)
}

// domain is the file in the domains' own settings, also when the error says what of it does not fit them.
func (f file) domain() (Config, error) {
	c := Config{
		Vault:     f.Vault.domain(),
		KeyVaults: f.KeyVaults,
		KeyVault:  KeyVault{URL: f.KeyVault.URL, Identity: f.KeyVault.Identity, CACert: f.KeyVault.CACert},
		State:     State{URL: f.State.URL},
		Alerts:    Alerts{Topic: f.Alerts.Topic},
		Sync: vaultsync.Settings{
			Paused: f.Sync.Paused,
			Limits: vaultsync.Limits{Removals: f.Sync.Limits.Removals, RemovalShare: f.Sync.Limits.RemovalShare},
		},
		Rotation: rotation.Settings{
			Paused:       f.Rotation.Paused,
			Validity:     time.Duration(f.Rotation.Validity),
			RotateBefore: time.Duration(f.Rotation.RotateBefore),
			MinAge:       time.Duration(f.Rotation.MinAge),
			Grace:        time.Duration(f.Rotation.Grace),
		},
	}
	for name, v := range f.Sources {
		if c.Sources == nil {
			c.Sources = map[string]Vault{}
		}
		c.Sources[name] = v.domain()
	}
	var faults []error
	for i, r := range f.Sync.Rules {
		if r.Rotation.Validity%day != 0 {
			faults = append(faults, fmt.Errorf("%w: sync.rules[%d].rotation.validity is whole days, as in 90d", secret.ErrUsage, i))
		}
		c.Sync.Rules = append(c.Sync.Rules, r.domain())
	}
	for _, t := range f.Rotation.Targets {
		one, err := t.domain()
		faults = append(faults, err)
		c.Rotation.Targets = append(c.Rotation.Targets, one)
	}
	return c, errors.Join(faults...)
}

// domain is the rule as the sync knows it. The words that say what happens anyway are the empty ones there.
func (r rule) domain() vaultsync.Rule {
	return vaultsync.Rule{
		Name: r.Name, Source: r.Source, Destination: r.Destination, Mount: r.Mount, Include: r.Include, Exclude: r.Exclude,
		As: vaultsync.Shape(unless(r.As, "auto")), NameAs: r.NameAs, Map: r.Map,
		OnCollision:          vaultsync.Collision(unless(r.OnCollision, "refuse")),
		OnConflict:           vaultsync.OnConflict(unless(r.OnConflict, "report")),
		OnDelete:             vaultsync.OnDelete(unless(r.OnDelete, "keep")),
		OnDestinationRemoved: vaultsync.OnRemoved(unless(r.OnRemoved, "report")),
		Adopt:                r.Adopt, WriteBack: r.WriteBack, Metadata: r.Metadata, PEM: r.PEM, Expiry: (*time.Duration)(r.Expiry),
		Rotation: vaultsync.Rotation{
			Type: r.Rotation.Type, Target: r.Rotation.Target,
			Days: int(r.Rotation.Validity / day),
		},
	}
}

// unless is the word, or nothing for the one that is meant when nothing is said.
func unless(word, usual string) string {
	if word == usual {
		return ""
	}
	return word
}
