package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"time"
)

// The newest Azurite that runs on Node 20, and the account every Azurite has:
// its key is public, printed in Microsoft's documentation.
const (
	azuriteVersion = "3.35.0"
	azuriteAccount = "devstoreaccount1"
	azuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// azurite is Microsoft's emulator of Azure Blob storage, in memory.
func azurite() server {
	return server{name: "azurite", start: func(ctx context.Context, m *machine) (ready, error) {
		npm, err := m.program(ctx, "npm", "nodejs", "npm")
		if err != nil {
			return ready{}, err
		}
		dir := filepath.Join(m.cache, "azurite-"+azuriteVersion)
		err = m.make(dir, func(tmp string) error {
			m.say("installing Azurite, once")
			return m.quietly(exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--prefix", tmp,
				"azurite@"+azuriteVersion), "azurite-install")
		})
		if err != nil {
			return ready{}, err
		}
		port, err := freePort()
		if err != nil {
			return ready{}, err
		}
		// azblob asks for a newer API version than this Azurite knows.
		p, err := m.launch("azurite", exec.Command(filepath.Join(dir, "node_modules", ".bin", "azurite-blob"),
			"--blobHost", "127.0.0.1", "--blobPort", port, "--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"))
		if err != nil {
			return ready{}, err
		}
		endpoint := "http://127.0.0.1:" + port + "/" + azuriteAccount
		if err := p.await(ctx, time.Minute, answers(endpoint)); err != nil {
			return ready{}, err
		}
		return ready{
			detail: azuriteVersion + " at " + endpoint,
			env: []string{"KEYFERRY_TEST_AZURITE=DefaultEndpointsProtocol=http;AccountName=" + azuriteAccount +
				";AccountKey=" + azuriteKey + ";BlobEndpoint=" + endpoint + ";"},
		}, nil
	}}
}
