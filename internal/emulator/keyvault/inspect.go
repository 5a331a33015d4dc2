package keyvault

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Secret is a secret as [Vault.Seed] takes it and [Vault.Secrets] shows it, past every rule of the data plane.
type Secret struct {
	// Name is the secret's name in its first-set casing.
	Name string
	// State is not read by Seed: a set DeletedAt makes the secret a deleted one.
	State State
	// Managed marks a secret that backs a certificate, KeyID the key beside it.
	Managed bool
	KeyID   string
	// Versions are shown in the order of their ids.
	Versions []Version
	// Current is the id of the current version; for Seed, empty means the last of Versions.
	Current string
	// DeletedAt is when the secret was deleted; zero means it is not.
	DeletedAt time.Time
}

// Version is one version of a [Secret].
type Version struct {
	// ID is 32 hex digits; Seed makes one for an empty ID.
	ID string
	// Value may be anything in Seed.
	Value       string
	ContentType string
	Disabled    bool
	// NotBefore and Expires are zero when not set. All times are cut to seconds.
	NotBefore, Expires time.Time
	// Created and Updated: for Seed, zero means now, and Created.
	Created, Updated time.Time
	Tags             map[string]string
	// Quiet versions raise no expiry events, like those that are older than the event subscription.
	Quiet bool
}

// CurrentVersion returns the current version, or the zero Version when there is none.
func (s Secret) CurrentVersion() Version {
	for _, v := range s.Versions {
		if v.ID == s.Current {
			return v
		}
	}
	return Version{}
}

// Seed puts secrets into the vault as they are, without events, throttling or calls. The error names the first secret that has a
// bad or taken name, or no or twice the same version; those before it are in.
func (v *Vault) Seed(secrets ...Secret) error {
	now := v.opts.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range secrets {
		if !validName(s.Name) || len(s.Versions) == 0 || v.lookup(s.Name, now) != nil {
			return fmt.Errorf("seed secret %q: bad or taken name, or no version", s.Name)
		}
		r := newRecord(s.Name)
		r.managed, r.kid, r.deleted = s.Managed, s.KeyID, s.DeletedAt
		for _, seed := range s.Versions {
			ver, ok := v.seedVersion(seed, now)
			if !ok || !r.add(ver) {
				return fmt.Errorf("seed secret %q: no id for a version", s.Name)
			}
		}
		if s.Current != "" {
			if r.current = r.find(s.Current); r.current == nil {
				return fmt.Errorf("seed secret %q: no version %q", s.Name, s.Current)
			}
		}
		v.register(r)
	}
	return nil
}

func newRecord(name string) *record { return &record{name: name, key: strings.ToUpper(name)} }

func (v *Vault) seedVersion(s Version, now time.Time) (*version, bool) {
	if s.ID == "" {
		id, ok := newVersionID(v.opts.Rand)
		if !ok {
			return nil, false
		}
		s.ID = id
	}
	if s.Created.IsZero() {
		s.Created = now
	}
	if s.Updated.IsZero() {
		s.Updated = s.Created
	}
	ver := &version{
		id: strings.ToLower(s.ID), value: s.Value, enabled: !s.Disabled, quiet: s.Quiet, tags: tagsOf(s.Tags),
		nbf: unixOf(s.NotBefore), exp: unixOf(s.Expires), created: s.Created.Unix(), updated: s.Updated.Unix(),
	}
	if s.ContentType != "" {
		ver.contentType = &s.ContentType
	}
	return ver, true
}

// Secrets returns a copy of everything in the vault, in every state, ordered by upper-cased name.
func (v *Vault) Secrets() []Secret {
	now := v.opts.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []Secret
	for _, key := range slices.Sorted(maps.Keys(v.records)) {
		if s, ok := v.snapshot(v.records[key], now); ok {
			all = append(all, s)
		}
	}
	return all
}

// Secret returns a copy of one secret in whatever state, found by name without regard to case.
func (v *Vault) Secret(name string) (Secret, bool) {
	now := v.opts.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.records[strings.ToUpper(name)]
	if r == nil {
		return Secret{}, false
	}
	return v.snapshot(r, now)
}

func (v *Vault) snapshot(r *record, now time.Time) (Secret, bool) {
	state := r.state(now, &v.opts)
	s := Secret{Name: r.name, State: state, Managed: r.managed, KeyID: r.kid, Current: r.current.id, DeletedAt: r.deleted}
	for _, ver := range r.versions {
		x := Version{
			ID: ver.id, Value: ver.value, Disabled: !ver.enabled, Quiet: ver.quiet, Tags: ver.tags.toMap(),
			NotBefore: timeOf(ver.nbf), Expires: timeOf(ver.exp),
			Created: time.Unix(ver.created, 0).UTC(), Updated: time.Unix(ver.updated, 0).UTC(),
		}
		if ver.contentType != nil {
			x.ContentType = *ver.contentType
		}
		s.Versions = append(s.Versions, x)
	}
	return s, state != gone
}

// Calls returns how many calls of each operation passed the token, the api-version and the path; throttled and refused ones count.
func (v *Vault) Calls() map[Operation]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.calls)
}

// ResetCalls starts counting anew.
func (v *Vault) ResetCalls() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.calls)
}

func unixOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}

func timeOf(s *int64) time.Time {
	if s == nil {
		return time.Time{}
	}
	return time.Unix(*s, 0).UTC()
}
