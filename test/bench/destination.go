package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

// clients is how many share the writes of a destination: so many that each makes
// fewer versions than its budget allows.
const clients = 150

// destination is the Key Vault of a far side, written without our own limit: a
// first copy would else be 300 creates in 10 s on any machine, and say nothing
// of us. A client of package keyvault cannot be told to ignore the limit, so
// many take turns.
type destination struct {
	*keyvault.Client // for all but Set
	writers          []*keyvault.Client
	turn             atomic.Uint64
}

// newDestination lets every client take its first steps, the challenge and the
// token, before anything is timed.
func newDestination(ctx context.Context, f *far) (*destination, error) {
	road, err := roadTo(f)
	if err != nil {
		return nil, err
	}
	d := &destination{}
	for range clients {
		c, err := keyvault.New(keyvault.Options{
			URL: f.KeyVault, Credential: token{}, Transport: road, DisableChallengeCheck: true, CreatesPer10s: 300,
		})
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

// roadTo is the transport to the Key Vault, with as many connections as the
// product keeps.
func roadTo(f *far) (*http.Transport, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(f.Roots) {
		return nil, errors.New("the far side has no certificate")
	}
	return &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
	}, nil
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
