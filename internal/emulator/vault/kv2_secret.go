package vault

import "time"

// A secret is the metadata of a version 2 key and its versions. With no
// versions it is metadata that was written before any value.
type secret struct {
	created, updated time.Time
	current, oldest  uint64
	versions         []version // up to current, the newest last
	maxVersions      uint32    // 0: the engine decides
	casRequired      bool
	deleteAfter      time.Duration // 0: the engine decides
	custom           map[string]string
	updatedBy        *attribution
	metadataVersion  uint64 // OpenBao's
}

// A version is one value of a secret.
type version struct {
	data      []byte // a JSON object or null with the numbers as written; nil once destroyed
	created   time.Time
	deletion  time.Time // zero: none; in the future: still readable
	destroyed bool
	createdBy *attribution
	deletedBy *attribution
}

// attribution says who did what, as Vault shows it since 1.21.
type attribution struct {
	Actor     string `json:"actor,omitempty"`
	Operation string `json:"operation,omitempty"`
	EntityID  string `json:"entity_id,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
}

// engineConfig is the config of a version 2 engine.
type engineConfig struct {
	maxVersions uint32 // 0: 10
	casRequired bool
	deleteAfter time.Duration // 0: never; negative: never, whatever a key says
}

// latest returns the current version, or nil when there is only metadata.
func (k *secret) latest() *version { return k.version(k.current) }

// version returns the version of that number, or nil when there is none or it
// was pruned.
func (k *secret) version(number uint64) *version {
	first := k.current - uint64(len(k.versions)) + 1
	if number < first || number > k.current || len(k.versions) == 0 {
		return nil
	}
	return &k.versions[number-first]
}

// deleted tells whether a read at that time finds the version gone. A version
// is gone at its deletion_time; a Vault, whose clock never stands still, would
// say just after.
func (v *version) deleted(now time.Time) bool {
	return !v.deletion.IsZero() && !v.deletion.After(now)
}

// add appends a version and prunes the oldest beyond the limit of the engine or
// the key, whichever is larger.
func (k *secret) add(v version, config engineConfig) *version {
	k.current++
	k.updated, k.updatedBy = v.created, v.createdBy
	k.versions = append(k.versions, v)
	limit := uint64(max(k.maxVersions, config.maxVersions))
	if limit == 0 {
		limit = 10
	}
	if k.current-k.oldest >= limit {
		k.oldest = k.current - limit + 1
		if keep := int(limit); len(k.versions) > keep {
			k.versions = append([]version(nil), k.versions[len(k.versions)-keep:]...)
		}
	}
	return &k.versions[len(k.versions)-1]
}

// deletionOf is when a version made at that time will be deleted: after the
// shorter of the engine's and the key's delete_version_after.
func (k *secret) deletionOf(created time.Time, config engineConfig) time.Time {
	after := k.deleteAfter
	if config.deleteAfter != 0 && (after == 0 || config.deleteAfter < after) {
		after = config.deleteAfter
	}
	if after <= 0 {
		return time.Time{}
	}
	return created.Add(after)
}

// stamp writes a time as Vault does; the zero time is "".
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// describe is the metadata beside a value.
func (k *secret) describe(v *version) map[string]any {
	number := k.current
	for i := range k.versions {
		if &k.versions[i] == v {
			number = k.current - uint64(len(k.versions)-1-i)
		}
	}
	return map[string]any{
		"version": number, "created_time": stamp(v.created), "deletion_time": stamp(v.deletion),
		"destroyed": v.destroyed, "custom_metadata": k.labels(),
	}
}

// labels is custom_metadata: null when empty.
func (k *secret) labels() any {
	if len(k.custom) == 0 {
		return nil
	}
	return k.custom
}
