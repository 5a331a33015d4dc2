package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	emulator "github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// The secrets: estateSize of them, folderSize in each folder.
const (
	estateSize = 2000
	folderSize = 100
)

// estate is a mount of KV v2 full of secrets.
type estate struct {
	mount  vaultsync.Mount
	source vaultsync.Source // from a distance
	server string           // which Vault it is, for people

	address, token string
	near           *http.Client // without the distance
}

// newEstate makes and fills a mount of its own.
func newEstate(ctx context.Context) (*estate, error) {
	e := &estate{server: "emulated Vault", address: "http://127.0.0.1:8200", token: rand.Text()}
	var road http.RoundTripper
	if address := os.Getenv("KEYFERRY_TEST_VAULT_ADDR"); address != "" {
		e.server, e.address, e.token = "real Vault", address, os.Getenv("KEYFERRY_TEST_VAULT_TOKEN")
		road = &http.Transport{MaxIdleConnsPerHost: 64}
	} else {
		road = faults.Transport(emulator.New(emulator.Options{RootToken: e.token}))
	}
	e.near = &http.Client{Transport: road}
	source, err := vault.New(vault.Options{
		Address: e.address, Auth: vault.Token(secret.New(e.token)), Transport: distant{road, vaultDelay},
	})
	if err != nil {
		return nil, err
	}
	e.source = source
	name := "bench-" + strings.ToLower(rand.Text())
	if err := e.call(ctx, http.MethodPost, "sys/mounts/"+name, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}); err != nil {
		return nil, err
	}
	e.mount = vaultsync.Mount{Path: name}
	if err := e.fill(ctx); err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	return e, nil
}

// fill waits until the engine is up, writes the secrets, and learns how the
// source describes the mount.
func (e *estate) fill(ctx context.Context) error {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := e.call(ctx, http.MethodGet, e.mount.Path+"/config", nil)
		if err == nil {
			break
		}
		if time.Since(begin) > 10*time.Second {
			return fmt.Errorf("wait for the mount: %w", err)
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range estateSize {
		group.Go(func() error {
			value := map[string]any{"data": map[string]string{"password": rand.Text()}}
			return e.call(gctx, http.MethodPost, e.mount.Path+"/data/"+path(i), value)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	mounts, err := e.source.Mounts(ctx)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Path == e.mount.Path {
			e.mount = m
			return nil
		}
	}
	return fmt.Errorf("mount %q is not listed", e.mount.Path)
}

// path is where the i-th secret lies.
func path(i int) string { return fmt.Sprintf("team-%02d/service-%04d", i/folderSize, i) }

// close removes the mount.
func (e *estate) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return e.call(ctx, http.MethodDelete, "sys/mounts/"+e.mount.Path, nil)
}

// call is one call to the Vault's API that must succeed.
func (e *estate) call(ctx context.Context, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, e.address+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", e.token)
	resp, err := e.near.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: status %d", method, path, resp.StatusCode)
	}
	return nil
}
