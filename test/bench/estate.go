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
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// folderSize is how many secrets lie in each folder of an estate.
const folderSize = 100

// seeders is how many write at once while an estate is filled.
const seeders = 16

// estate is a mount of KV v2 with so many secrets in folders.
type estate struct {
	mount vaultsync.Mount
	size  int

	address, token string
	near           *http.Client
}

// newEstate makes and fills a mount of its own in the Vault at the address.
func newEstate(ctx context.Context, address, token string, size int) (*estate, error) {
	name := "bench-" + strings.ToLower(rand.Text()[:8])
	e := &estate{
		size: size, address: address, token: token, mount: vaultsync.Mount{Path: name},
		near: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: seeders}},
	}
	if err := e.call(ctx, http.MethodPost, "sys/mounts/"+name, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}); err != nil {
		return nil, err
	}
	if err := e.fill(ctx); err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	return e, nil
}

// source is a client of the estate's Vault by the road of the far side.
func (e *estate) source(f *far) (*vault.Client, error) {
	return vault.New(vault.Options{Address: f.Vault, Auth: vault.Token(secret.New(e.token))})
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
	group.SetLimit(seeders)
	for i := range e.size {
		group.Go(func() error {
			value := map[string]any{"data": map[string]string{"password": rand.Text()}}
			return e.call(gctx, http.MethodPost, e.mount.Path+"/data/"+path(i), value)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	source, err := vault.New(vault.Options{Address: e.address, Auth: vault.Token(secret.New(e.token))})
	if err != nil {
		return err
	}
	mounts, err := source.Mounts(ctx)
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
func path(i int) string { return fmt.Sprintf("team-%03d/service-%06d", i/folderSize, i) }

// lists is how many folders a walk lists: the mount and those in it.
func (e *estate) lists() int { return 1 + (e.size+folderSize-1)/folderSize }

// pages is how many pages a listing of a Key Vault with so many secrets has.
func pages(secrets int) int { return (secrets + 24) / 25 }

// firstCopy copies the estate to the far side's empty Key Vault, as fast as it
// goes, and returns how long the run took.
func (e *estate) firstCopy(ctx context.Context, f *far) (time.Duration, error) {
	source, err := e.source(f)
	if err != nil {
		return 0, err
	}
	to, err := newDestination(ctx, f)
	if err != nil {
		return 0, err
	}
	engine, err := vaultsync.New(vaultsync.Options{
		Settings:    vaultsync.Settings{Rules: []vaultsync.Rule{{Name: "all", Mount: e.mount.Path}}},
		Sources:     map[string]vaultsync.Source{vaultsync.DefaultSource: source},
		Destination: to,
		Lock:        func(ctx context.Context, _ string, fn func(context.Context) error) error { return fn(ctx) },
		Now:         time.Now,
	})
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	report, err := engine.Sync(ctx, vaultsync.Scope{})
	took := time.Since(begin)
	if err != nil {
		return 0, fmt.Errorf("first sync: %w", err)
	}
	return took, e.check(report, e.size)
}

// check says what is wrong with a run that should have looked at every secret,
// made so many changes, and failed with none.
func (e *estate) check(r *vaultsync.Report, changes int) error {
	if r.Changes() != changes || r.Total() != e.size || r.Counts[vaultsync.Failed] != 0 || !r.Complete {
		return fmt.Errorf("%d changes and %d failures among %d secrets, want %d and none among %d",
			r.Changes(), r.Counts[vaultsync.Failed], r.Total(), changes, e.size)
	}
	return nil
}

// close removes the mount.
func (e *estate) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
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
