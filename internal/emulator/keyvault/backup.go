package keyvault

import (
	"encoding/base64"
	"fmt"
)

// maxBackupVersions is how many versions a secret may have and still be backed up (facts/keyvault.md 2).
const maxBackupVersions = 500

// backupMark opens every blob, as it does the service's.
const backupMark = "(AzureKeyVaultSecretBackupV1.microsoft.com"

// backup answers a blob that stands for a frozen copy of all versions. The copy itself stays in the vault's memory: a blob is of
// no use to another vault.
func (v *Vault) backup(c *call) (any, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, _, f := v.readable(c)
	if f != nil {
		return nil, f
	}
	if len(r.versions) > maxBackupVersions {
		return nil, tooManyVersions()
	}
	blob := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s.%s.%d", backupMark, r.current.id, len(v.backups)))
	v.backups[blob] = r.clone()
	return struct {
		Value string `json:"value"`
	}{blob}, nil
}

// restore brings a backed-up secret back with the ids and times of all its versions, unless its name is taken in any state.
func (v *Vault) restore(c *call) (any, *Fault) {
	var in struct {
		Value string `json:"value"`
	}
	if f := decode(c.body, &in); f != nil {
		return nil, f
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	kept := v.backups[in.Value]
	if kept == nil {
		return nil, invalidBackup()
	}
	if v.lookup(kept.name, c.now) != nil {
		return nil, restoreConflict(secretID(c.host, kept.name, kept.current.id))
	}
	r := kept.clone()
	v.register(r)
	return v.bundle(c, r, r.current, showVersion), nil
}
