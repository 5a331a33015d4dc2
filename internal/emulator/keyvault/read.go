package keyvault

// readable returns the record and the version a call names, or 404. The lock is held.
func (v *Vault) readable(c *call) (*record, *version, *Fault) {
	r := v.lookup(c.name, c.now)
	if r != nil && r.readable(c.now, &v.opts) {
		if ver := r.find(c.version); ver != nil {
			return r, ver, nil
		}
	}
	id := c.name
	if c.version != "" {
		id += "/" + c.version
	}
	return nil, nil, secretNotFound(id)
}

// get answers one version with its value. A disabled one is refused and no older one stands in for it; nbf and exp refuse nothing.
func (v *Vault) get(c *call) (any, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ver, f := v.readable(c)
	if f != nil {
		return nil, f
	}
	if !ver.enabled {
		return nil, secretDisabled()
	}
	return v.bundle(c, r, ver, showVersion|showValue), nil
}

// list answers a page of secrets, disabled ones too, each with the properties of its current version.
func (v *Vault) list(c *call) (any, *Fault) {
	return v.listRecords(c, 0, func(r *record) bool { return r.readable(c.now, &v.opts) })
}

// listDeleted answers a page of deleted secrets.
func (v *Vault) listDeleted(c *call) (any, *Fault) {
	return v.listRecords(c, showDeletion, func(r *record) bool { return r.state(c.now, &v.opts) == Deleted })
}

func (v *Vault) listRecords(c *call, s show, keep func(*record) bool) (any, *Fault) {
	from, size, f := c.paging(recordScope)
	if f != nil {
		return nil, f
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	found, next := v.names.page(from, size, keep)
	p := page{Value: make([]bundle, 0, len(found))}
	for _, r := range found {
		p.Value = append(p.Value, v.bundle(c, r, r.current, s))
	}
	p.NextLink = c.nextLink(recordScope, next, size)
	return p, nil
}

// listVersions answers a page of versions in the order of their ids. Of an unknown secret it answers 404, which is unverified.
func (v *Vault) listVersions(c *call) (any, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, _, f := v.readable(c)
	if f != nil {
		return nil, f
	}
	scope := recordScope + r.key + "/"
	from, size, f := c.paging(scope)
	if f != nil {
		return nil, f
	}
	i, _ := r.search(from)
	p, next := page{Value: []bundle{}}, ""
	for _, ver := range r.versions[i:] {
		if len(p.Value) == size {
			next = ver.id
			break
		}
		p.Value = append(p.Value, v.bundle(c, r, ver, showVersion))
	}
	p.NextLink = c.nextLink(scope, next, size)
	return p, nil
}
