package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// vault is HashiCorp Vault in dev mode, built from source at the version
// test/vault/go.mod pins. KEYFERRY_TEST_VAULT_BIN lets a test start a private
// one: sealing stops every test that shares a server.
func vault() server {
	return server{name: "vault", start: func(ctx context.Context, m *machine) (ready, error) {
		bin, err := buildVault(ctx, m)
		if err != nil {
			return ready{}, err
		}
		port, err := freePort()
		if err != nil {
			return ready{}, err
		}
		addr, token := "http://127.0.0.1:"+port, randomSecret()
		p, err := m.launch("vault", exec.Command(bin, "server", "-dev", "-dev-no-store-token",
			"-dev-listen-address=127.0.0.1:"+port, "-dev-root-token-id="+token))
		if err != nil {
			return ready{}, err
		}
		if err := p.await(ctx, time.Minute, answers(addr+"/v1/sys/health", http.StatusOK)); err != nil {
			return ready{}, err
		}
		version, err := exec.CommandContext(ctx, bin, "version").Output()
		if err != nil {
			return ready{}, fmt.Errorf("ask the version: %w", err)
		}
		name, _, _ := strings.Cut(string(version), ",")
		return ready{
			detail: name + " at " + addr,
			env: []string{
				"KEYFERRY_TEST_VAULT_ADDR=" + addr,
				"KEYFERRY_TEST_VAULT_TOKEN=" + token,
				"KEYFERRY_TEST_VAULT_BIN=" + bin,
			},
		}, nil
	}}
}

// buildVault returns the path of the executable, which it builds once per state
// of test/vault.
func buildVault(ctx context.Context, m *machine) (string, error) {
	module := filepath.Join(m.root, "test", "vault")
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("read what to build: %w", err)
		}
		sum.Write(text)
	}
	dir := filepath.Join(m.cache, "vault-"+hex.EncodeToString(sum.Sum(nil))[:12])
	return filepath.Join(dir, "vault"), m.make(dir, func(tmp string) error {
		m.say("building Vault, once: five minutes on two cores with nothing cached")
		cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w",
			"-tags=minimal", "-o", filepath.Join(tmp, "vault"), "github.com/hashicorp/vault")
		cmd.Dir, cmd.Env = module, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		return m.quietly(cmd, "vault-build")
	})
}
