package keyvault

import (
	"time"
	"unicode/utf8"
)

// Limits of 1.3 in facts/keyvault.md. Lengths of names and tags are in characters, that of a value is in bytes of UTF-8.
const (
	maxName        = 127
	maxValue       = 25_600
	maxContentType = 255
	maxTags        = 15
	maxTag         = 512
	maxTime        = 253_402_300_799 // the last second of year 9999
)

// properties are what both a new version and an update may carry. What is absent, or null, stays as it is on an update.
type properties struct {
	ContentType *string             `json:"contentType"`
	Attributes  *writableAttributes `json:"attributes"`
	Tags        *tags               `json:"tags"`
}

// writableAttributes takes the read-only attributes too, because clients send back what they have read, and ignores them.
type writableAttributes struct {
	Enabled         *bool   `json:"enabled"`
	NotBefore       *int64  `json:"nbf"`
	Expires         *int64  `json:"exp"`
	Created         *int64  `json:"created"`
	Updated         *int64  `json:"updated"`
	RecoveryLevel   *string `json:"recoveryLevel"`
	RecoverableDays *int    `json:"recoverableDays"`
}

func (p *properties) check() *Fault {
	if p.ContentType != nil && utf8.RuneCountInString(*p.ContentType) > maxContentType {
		return invalidProperty("contentType")
	}
	if a := p.Attributes; a != nil {
		if invalidTime(a.NotBefore) {
			return invalidProperty("nbf")
		}
		if invalidTime(a.Expires) {
			return invalidProperty("exp")
		}
	}
	if p.Tags == nil {
		return nil
	}
	if len(*p.Tags) > maxTags {
		return invalidProperty("tags")
	}
	for _, t := range *p.Tags {
		if t.name == "" || utf8.RuneCountInString(t.name) > maxTag || utf8.RuneCountInString(t.value) > maxTag {
			return invalidProperty("tags")
		}
	}
	return nil
}

func invalidTime(t *int64) bool { return t != nil && (*t < 0 || *t > maxTime) }

func (p *properties) apply(v *version) {
	if p.ContentType != nil {
		v.contentType = p.ContentType
	}
	if a := p.Attributes; a != nil {
		if a.Enabled != nil {
			v.enabled = *a.Enabled
		}
		if a.NotBefore != nil {
			v.nbf = a.NotBefore
		}
		if a.Expires != nil {
			v.exp = a.Expires
		}
	}
	if p.Tags != nil {
		v.tags = *p.Tags
	}
}

func validName(name string) bool {
	if len(name) == 0 || len(name) > maxName {
		return false
	}
	for _, c := range []byte(name) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-') {
			return false
		}
	}
	return true
}

// set makes a new version of nothing but what the call carries, and raises SecretNewVersionCreated.
func (v *Vault) set(c *call) (any, *Fault) {
	var in struct {
		Value *string `json:"value"`
		properties
	}
	if f := decode(c.body, &in); f != nil {
		return nil, f
	}
	if in.Value == nil || *in.Value == "" { // that an empty value is refused is unverified
		return nil, invalidProperty("value")
	}
	if len(*in.Value) > maxValue {
		return nil, invalidProperty("")
	}
	if f := in.check(); f != nil {
		return nil, f
	}
	b, event, f := v.addVersion(c, *in.Value, &in.properties)
	if f != nil {
		return nil, f
	}
	v.raise(event)
	return b, nil
}

func (v *Vault) addVersion(c *call, value string, p *properties) (bundle, Event, *Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.lookup(c.name, c.now)
	if r != nil {
		if f := v.refuseVersion(r, c.name, c.now); f != nil {
			return bundle{}, Event{}, f
		}
	}
	id, ok := newVersionID(v.opts.Rand)
	if !ok || r != nil && r.find(id) != nil {
		return bundle{}, Event{}, noVersionID()
	}
	if r == nil {
		r = newRecord(c.name)
		v.register(r)
	}
	ver := &version{id: id, value: value, enabled: true, created: c.now.Unix(), updated: c.now.Unix()}
	p.apply(ver)
	r.add(ver)
	return v.bundle(c, r, ver, showVersion|showValue), v.event(SecretNewVersionCreated, r, ver, c.now), nil
}

// refuseVersion says why an existing secret takes no new version, or nil.
func (v *Vault) refuseVersion(r *record, name string, now time.Time) *Fault {
	switch r.state(now, &v.opts) {
	case Deleting, Purging:
		return setWhileDeleting(name)
	case Deleted:
		return deletedButRecoverable(name)
	case Recovering, Settling:
		return setWhileRecovering(name)
	}
	if r.managed {
		return secretManaged("set")
	}
	return nil
}

// update changes properties of one version, the current one unless named; a disabled one as well.
func (v *Vault) update(c *call) (any, *Fault) {
	var in properties
	if f := decode(c.body, &in); f != nil {
		return nil, f
	}
	if f := in.check(); f != nil {
		return nil, f
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ver, f := v.readable(c)
	if f != nil {
		return nil, f
	}
	in.apply(ver)
	ver.updated = c.now.Unix()
	return v.bundle(c, r, ver, showVersion), nil
}
