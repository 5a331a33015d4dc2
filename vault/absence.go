package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

var errAbsent = fmt.Errorf("%w: the mount has nothing there", secret.ErrNotFound)

// absence says what a 404 at a path of the mount means. It is errAbsent only when the mount is still there and still
// the one the caller holds, so that neither a mount made anew nor one of the other KV version, which answers the same
// {"errors":[]}, looks like one whose secrets were all removed. noMount is the sentinel for a mount that is gone: a
// listing may call it not found, a secret in it is only out of reach.
func (c *Client) absence(ctx context.Context, m vaultsync.Mount, a answer, noMount error) error {
	switch decodeNotFound(a.body) {
	case noRoute:
		return fmt.Errorf("%w: there is no such mount", noMount)
	case otherVersion:
		return fmt.Errorf("%w: the mount has another KV version than %d", secret.ErrConflict, m.Version)
	case emptyErrors:
		if err := c.prove(ctx, m); err != nil {
			return err
		}
		return errAbsent
	}
	return malformed("404 without a reason")
}

// prove looks the mount up and compares it.
func (c *Client) prove(ctx context.Context, m vaultsync.Mount) error {
	a, err := c.read(ctx, request{path: "sys/internal/ui/mounts/" + m.Path, limit: maxFault})
	if err == nil && a.status != http.StatusOK {
		err = malformed("404 for a mount")
	}
	if err != nil {
		return fmt.Errorf("prove the mount: %w", err)
	}
	switch now, kv, err := decodeMount(a.body); {
	case err != nil:
		return fmt.Errorf("prove the mount: %w", err)
	case !kv || now.Path != m.Path || now.Version != m.Version:
		return fmt.Errorf("%w: the mount is no longer KV version %d", secret.ErrConflict, m.Version)
	case m.ID != "" && now.ID != m.ID:
		return fmt.Errorf("%w: the mount was replaced by another of the same name", secret.ErrConflict)
	}
	return nil
}

// notFound is what a 404 says.
type notFound int

const (
	nothing      notFound = iota // a page of something that is not Vault, or a refusal we do not know
	emptyErrors                  // {"errors":[]}: the mount has nothing there
	noRoute                      // there is no mount
	otherVersion                 // the path is one of the other KV version
	aVersion                     // a version that is deleted or destroyed
)

// decodeNotFound tells the kinds of 404 apart (facts/vault-sync.md A2, A4).
func decodeNotFound(body []byte) notFound {
	var a struct {
		Errors   *[]string `json:"errors"`
		Warnings []string  `json:"warnings"`
		Data     *struct {
			Metadata json.RawMessage `json:"metadata"`
		} `json:"data"`
	}
	has := func(texts []string, phrase string) bool {
		return strings.Contains(strings.Join(texts, "\n"), phrase)
	}
	switch err := decode(body, &a, "refusal"); {
	case err != nil:
		return nothing
	case a.Data != nil && len(a.Data.Metadata) > 0:
		return aVersion
	case has(a.Warnings, "Invalid path for a versioned"):
		return otherVersion
	case a.Errors == nil:
		return nothing
	case len(*a.Errors) == 0:
		return emptyErrors
	case has(*a.Errors, "no handler for route"):
		return noRoute
	}
	return nothing
}
