package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

// clients is how many share the writes of a destination: so many that each makes
// fewer versions than its budget allows at once.
const clients = 120

// destination is an empty Key Vault, emulated and at a distance, without the
// limit of the service: a first copy would else be 300 creates in 10 s on any
// machine, and say nothing of us. A client of package keyvault cannot be told to
// ignore the limit, so many take turns.
type destination struct {
	*keyvault.Client // for all but Set
	writers          []*keyvault.Client
	turn             atomic.Uint64
}

// newDestination makes the vault and lets every client take its first steps,
// the challenge and the token, before anything is timed.
func newDestination(ctx context.Context) (*destination, error) {
	road := distant{faults.Transport(emulator.New(emulator.Options{})), keyVaultDelay}
	d := &destination{}
	for range clients {
		c, err := newClient(road)
		if err != nil {
			return nil, err
		}
		if _, err := c.Versions(ctx, "nothing-there"); err != nil {
			return nil, fmt.Errorf("open the emulated Key Vault: %w", err)
		}
		d.writers = append(d.writers, c)
	}
	d.Client = d.writers[0]
	return d, nil
}

func newClient(road http.RoundTripper) (*keyvault.Client, error) {
	return keyvault.New(keyvault.Options{URL: "https://kv1.vault.azure.net", Credential: token{}, Transport: road, CreatesPer10s: 300})
}

// Set writes through the next client.
func (d *destination) Set(ctx context.Context, name string, draft secret.Draft) (secret.Meta, error) {
	return d.writers[d.turn.Add(1)%clients].Set(ctx, name, draft)
}

// token is a credential that the emulator takes.
type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "made-up", ExpiresOn: time.Now().Add(time.Hour)}, nil
}
