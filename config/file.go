package config

import (
	"fmt"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// file is keyferry.yaml. Unknown keys are refused.
type file struct {
	Vault struct {
		Address   string `yaml:"address"`
		Namespace string `yaml:"namespace"`
		CACert    string `yaml:"caCert"`
		Auth      struct {
			Method   string `yaml:"method"`
			Mount    string `yaml:"mount"`
			Role     string `yaml:"role"`
			Audience string `yaml:"audience"`
		} `yaml:"auth"`
	} `yaml:"vault"`
	KeyVault struct {
		URL      string `yaml:"url"`
		Identity string `yaml:"identity"`
		CACert   string `yaml:"caCert"`
	} `yaml:"keyVault"`
	State struct {
		URL string `yaml:"url"`
	} `yaml:"state"`
	Alerts struct {
		Topic string `yaml:"topic"`
	} `yaml:"alerts"`
	Sync struct {
		Paused bool   `yaml:"paused"`
		Rules  []rule `yaml:"rules"`
	} `yaml:"sync"`
	Rotation struct {
		Paused       bool     `yaml:"paused"`
		Validity     duration `yaml:"validity"`
		RotateBefore duration `yaml:"rotateBefore"`
		MinAge       duration `yaml:"minAge"`
		Targets      []target `yaml:"targets"`
	} `yaml:"rotation"`
}

type rule struct {
	Name        string            `yaml:"name"`
	Source      string            `yaml:"source"`
	Mount       string            `yaml:"mount"`
	Include     []string          `yaml:"include"`
	Exclude     []string          `yaml:"exclude"`
	As          string            `yaml:"as"`
	Map         map[string]string `yaml:"map"`
	OnCollision string            `yaml:"onCollision"`
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
}

// parse reads keyferry.yaml into the domains' own settings. See decode for its faults.
func parse(b []byte) (Config, error) {
	f, err := decode(b)
	if err != nil {
		return Config{}, err
	}
	c := Config{
		Vault: Vault{
			Address: f.Vault.Address, Namespace: f.Vault.Namespace, CACert: f.Vault.CACert,
			Auth: Auth{
				Method: f.Vault.Auth.Method, Mount: f.Vault.Auth.Mount, Role: f.Vault.Auth.Role,
				Audience: f.Vault.Auth.Audience,
			},
		},
		KeyVault: KeyVault{URL: f.KeyVault.URL, Identity: f.KeyVault.Identity, CACert: f.KeyVault.CACert},
		State:    State{URL: f.State.URL},
		Alerts:   Alerts{Topic: f.Alerts.Topic},
		Sync:     vaultsync.Settings{Paused: f.Sync.Paused},
		Rotation: rotation.Settings{
			Paused:       f.Rotation.Paused,
			Validity:     time.Duration(f.Rotation.Validity),
			RotateBefore: time.Duration(f.Rotation.RotateBefore),
			MinAge:       time.Duration(f.Rotation.MinAge),
		},
		Hash: hashOf(b),
	}
	for i, r := range f.Sync.Rules {
		if r.Rotation.Validity%day != 0 {
			return Config{}, fmt.Errorf("%w: sync.rules[%d].rotation.validity is whole days, as in 90d", secret.ErrUsage, i)
		}
		c.Sync.Rules = append(c.Sync.Rules, r.domain())
	}
	for _, t := range f.Rotation.Targets {
		c.Rotation.Targets = append(c.Rotation.Targets, rotation.Target{
			Name: t.Name, Type: t.Type, Secrets: t.Secrets, Validity: time.Duration(t.Validity), Params: t.Params,
		})
	}
	return c, nil
}

// domain is the rule as the sync knows it.
func (r rule) domain() vaultsync.Rule {
	out := vaultsync.Rule{
		Name: r.Name, Source: r.Source, Mount: r.Mount, Include: r.Include, Exclude: r.Exclude,
		Map: r.Map, Metadata: r.Metadata, PEM: r.PEM, Expiry: (*time.Duration)(r.Expiry),
		Rotation: vaultsync.Rotation{
			Type: r.Rotation.Type, Target: r.Rotation.Target,
			Days: int(r.Rotation.Validity / day),
		},
	}
	if r.As != "auto" {
		out.As = vaultsync.Shape(r.As)
	}
	if r.OnCollision != "refuse" {
		out.OnCollision = vaultsync.Collision(r.OnCollision)
	}
	return out
}
