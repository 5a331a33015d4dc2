package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// WriteField sets one field of a secret, as vaultsync.Writer says. It is a PATCH where Vault takes one for this value
// and this token, else the secret is read and written whole, still only as the successor of version cas.
func (c *Client) WriteField(ctx context.Context, m vaultsync.Mount, path, field string, value secret.Value, cas int) (vaultsync.State, error) {
	s, err := c.writeField(ctx, m, path, field, value, cas)
	if err != nil {
		return vaultsync.State{}, fmt.Errorf("write field %q of %q in mount %q: %w", field, path, m.Path, err)
	}
	return s, nil
}

func (c *Client) writeField(ctx context.Context, m vaultsync.Mount, path, field string, value secret.Value, cas int) (vaultsync.State, error) {
	holds := func(now vaultsync.Fields) bool { return sameJSON(now[field], value) }
	w, err := c.newWrite(m, path, vaultsync.Fields{field: value}, cas, holds)
	if err != nil {
		return vaultsync.State{}, err
	}
	if mergeable(value) {
		w.request.patch = true
		s, err := w.run(ctx)
		if !errors.Is(err, secret.ErrForbidden) && !errors.Is(err, secret.ErrUnsupported) {
			return s, err
		}
	}
	fields, err := c.succeeded(ctx, m, path, cas)
	if err != nil {
		return vaultsync.State{}, err
	}
	fields[field] = value
	if w, err = c.newWrite(m, path, fields, cas, holds); err != nil {
		return vaultsync.State{}, err
	}
	return w.run(ctx)
}

// WriteObject replaces all fields of a secret, as vaultsync.Writer says.
func (c *Client) WriteObject(ctx context.Context, m vaultsync.Mount, path string, fields vaultsync.Fields, cas int) (vaultsync.State, error) {
	s, err := c.writeObject(ctx, m, path, fields, cas)
	if err != nil {
		return vaultsync.State{}, fmt.Errorf("write %q in mount %q: %w", path, m.Path, err)
	}
	return s, nil
}

func (c *Client) writeObject(ctx context.Context, m vaultsync.Mount, path string, fields vaultsync.Fields, cas int) (vaultsync.State, error) {
	w, err := c.newWrite(m, path, fields, cas, func(now vaultsync.Fields) bool {
		if len(now) != len(fields) {
			return false
		}
		for key, value := range fields {
			if !sameJSON(now[key], value) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return vaultsync.State{}, err
	}
	if _, err := c.succeeded(ctx, m, path, cas); err != nil {
		return vaultsync.State{}, err
	}
	return w.run(ctx)
}

// MayWrite asks Vault for the capabilities of the token, as vaultsync.Writer says.
func (c *Client) MayWrite(ctx context.Context, m vaultsync.Mount, path string) error {
	if err := c.mayWrite(ctx, m, path); err != nil {
		return fmt.Errorf("see whether %q in mount %q may be written: %w", path, m.Path, err)
	}
	return nil
}

func (c *Client) mayWrite(ctx context.Context, m vaultsync.Mount, path string) error {
	where, err := versionedPath(m, path)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string][]string{"paths": {where}})
	if err != nil {
		return err
	}
	a, err := c.read(ctx, request{path: "sys/capabilities-self", body: body, limit: maxFault})
	if errors.Is(err, secret.ErrForbidden) {
		return nil
	}
	if err == nil && a.status != http.StatusOK {
		err = malformed("404 for the capabilities")
	}
	if err != nil {
		return err
	}
	can, err := decodeCapabilities(a.body, where)
	if err == nil && !slices.ContainsFunc(can, func(s string) bool { return s == "root" || s == "update" || s == "patch" }) {
		err = fmt.Errorf("%w: the policies of this log-in grant neither update nor patch", secret.ErrForbidden)
	}
	return err
}

// versionedPath is where a mount of KV version 2 takes the value of a secret.
func versionedPath(m vaultsync.Mount, path string) (string, error) {
	if m.Version == 1 {
		return "", fmt.Errorf("%w: KV version 1 has no check-and-set", secret.ErrUnsupported)
	}
	return secretPath(m, "data", path)
}

// mergeable reports whether a JSON merge patch sets a field to the value and nothing else. It merges an object into the
// one that was there, takes a null for a removal, and Vault drops the nulls inside of a list.
func mergeable(v secret.Value) bool {
	text := strings.TrimLeft(v.Reveal(), " \t\r\n")
	return text != "" && !strings.ContainsRune("{[n", rune(text[0]))
}

// succeeded reads the fields of version cas, or says why it cannot be succeeded. Check-and-set alone would bring a
// deleted secret back to life (facts/vault-sync.md A8).
func (c *Client) succeeded(ctx context.Context, m vaultsync.Mount, path string, cas int) (vaultsync.Fields, error) {
	s, fields, err := c.data(ctx, m, path)
	if err == nil {
		err = succeeds(s, fields, cas)
	}
	return fields, gone(err)
}

// succeeds reports why version cas cannot be succeeded; nil when it is the current one and can be read.
func succeeds(s vaultsync.State, fields vaultsync.Fields, cas int) error {
	switch {
	case s.Version != cas:
		return fmt.Errorf("%w: vault holds version %d, not %d", secret.ErrConflict, s.Version, cas)
	case fields == nil:
		return fmt.Errorf("%w: version %d has nothing to be read in vault: deleted, destroyed or null", secret.ErrConflict, cas)
	}
	return nil
}

// gone makes proven absence what it is to a write: somebody removed the secret.
func gone(err error) error {
	if errors.Is(err, errAbsent) {
		return fmt.Errorf("%w: the secret is no longer in vault", secret.ErrConflict)
	}
	return err
}

// sameJSON reports whether two JSON texts are one value to KV version 2, which keeps numbers as float64.
func sameJSON(a, b secret.Value) bool {
	var x, y any
	if json.Unmarshal([]byte(a.Reveal()), &x) != nil || json.Unmarshal([]byte(b.Reveal()), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
