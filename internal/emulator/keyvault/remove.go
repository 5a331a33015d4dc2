package keyvault

import "time"

// delete soft-deletes a secret with all its versions.
func (v *Vault) delete(c *call) (any, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, _, f := v.readable(c)
	if f != nil {
		return nil, f
	}
	if r.managed {
		return nil, secretManaged("delete")
	}
	r.deleted, r.recovered = c.now, time.Time{}
	return v.bundle(c, r, r.current, showVersion|showDeletion), nil
}

// getDeleted answers a deleted secret without its value; the current version being disabled refuses even that.
func (v *Vault) getDeleted(c *call) (any, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.lookup(c.name, c.now)
	if r == nil || r.state(c.now, &v.opts) != Deleted {
		return nil, deletedSecretNotFound(c.name)
	}
	if !r.current.enabled {
		return nil, secretDisabled()
	}
	return v.bundle(c, r, r.current, showVersion|showDeletion), nil
}

// recover undoes a delete; the answer comes at once, the secret only when the recovery is over.
func (v *Vault) recover(c *call) (any, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, f := v.removed(c)
	if f != nil {
		return nil, f
	}
	r.deleted, r.recovered = time.Time{}, c.now
	return v.bundle(c, r, r.current, showVersion), nil
}

// purge removes a deleted secret for good and answers nothing.
func (v *Vault) purge(c *call) (any, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, f := v.removed(c)
	if f != nil {
		return nil, f
	}
	if v.opts.PurgeProtection {
		return nil, purgeProtected(v.opts.Name)
	}
	r.deleted, r.purged = time.Time{}, c.now
	return nil, nil
}

// removed returns the record of a deleted secret. The lock is held.
func (v *Vault) removed(c *call) (*record, *Fault) {
	if r := v.lookup(c.name, c.now); r != nil {
		switch r.state(c.now, &v.opts) {
		case Deleted:
			return r, nil
		case Deleting:
			return nil, beingDeleted()
		}
	}
	return nil, deletedSecretNotFound(c.name)
}
