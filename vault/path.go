package vault

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// checkPath reports why a path cannot be sent as it is to a mount of the KV version: Vault redirects or refuses it, or
// the API module would clean it into another path (facts/vault-sync.md A6).
func checkPath(path string, version int) error {
	if !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) {
		return fmt.Errorf("%w: path %q has control characters or is not UTF-8", secret.ErrInvalid, path)
	}
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".", "..":
			return fmt.Errorf("%w: path %q has an empty, %q or %q segment", secret.ErrInvalid, path, ".", "..")
		}
	}
	if version == 1 && strings.Contains(path, "..") {
		return fmt.Errorf("%w: path %q has %q, which KV version 1 cannot hold", secret.ErrInvalid, path, "..")
	}
	return nil
}

// secretPath is where a mount serves a secret; area is "data" or "metadata" on KV version 2.
func secretPath(m vaultsync.Mount, area, path string) (string, error) {
	if err := checkMount(m); err != nil {
		return "", err
	}
	if err := checkPath(path, m.Version); err != nil {
		return "", err
	}
	if m.Version == 1 {
		return m.Path + "/" + path, nil
	}
	return m.Path + "/" + area + "/" + path, nil
}

// folderPath is where a mount lists a folder; area is "metadata" or "detailed-metadata" on KV version 2.
func folderPath(m vaultsync.Mount, area, dir string) (string, error) {
	if dir == "" {
		if m.Version == 1 {
			return m.Path, checkMount(m)
		}
		return m.Path + "/" + area, checkMount(m)
	}
	path, slash := strings.CutSuffix(dir, "/")
	if !slash {
		return "", fmt.Errorf("%w: folder %q does not end in a slash", secret.ErrInvalid, dir)
	}
	return secretPath(m, area, path)
}

func checkMount(m vaultsync.Mount) error {
	if m.Version != 1 && m.Version != 2 {
		return fmt.Errorf("%w: mount has KV version %d", secret.ErrInvalid, m.Version)
	}
	return checkPath(m.Path, 2)
}
