package vaultsync

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// fingerprint identifies what the source holds without its value (facts/vault-sync.md A3): version numbers alone
// start again when a secret or a mount is made anew, and updated_time does not move on delete, undelete and destroy.
func fingerprint(m Mount, s State, now time.Time) string {
	text := fmt.Sprintf("%s\x00%d\x00%d\x00%s\x00%t\x00%t",
		m.ID, m.Version, s.Version, s.Created.UTC().Format(time.RFC3339Nano), s.Destroyed, s.Gone(now))
	sum := sha256.Sum256([]byte(text))
	return mountPrint(m) + hex.EncodeToString(sum[:8])
}

// mountPrint is the beginning of every fingerprint: it tells whether the mount is the one the copy was made from.
func mountPrint(m Mount) string {
	sum := sha256.Sum256([]byte(m.ID))
	return hex.EncodeToString(sum[:3])
}

// stamp is what a copy records about itself in its tags.
type stamp struct {
	field    string
	version  int // 0: KV v1
	state    secret.State
	hash     string
	migrated string // date of the first copy
	rotation string // rotation-state to keep
}

// wantTags is the full set of tags a copy should carry, and the names of those for which there was no room.
// Keyferry's own come first, then what others put on the secret, then allow-listed custom_metadata, which wins over
// what others put there under the same name, since it was copied there before.
func wantTags(e Entry, s stamp, foreign, custom map[string]string) (tags map[string]string, dropped []string) {
	own := map[string]string{
		secret.TagMigratedFrom:   e.Rule.source(),
		secret.TagVaultPath:      e.Ref,
		secret.TagVaultField:     secret.Shorten(s.field, secret.MaxTagValue),
		secret.TagVaultState:     s.state.String(),
		secret.TagVaultHash:      s.hash,
		secret.TagMigrationDate:  s.migrated,
		secret.TagAuthority:      secret.AuthorityVault,
		secret.TagRotationType:   e.Rule.Rotation.Type,
		secret.TagRotationTarget: e.Rule.Rotation.Target,
		secret.TagRotationState:  s.rotation,
	}
	if s.version > 0 {
		own[secret.TagVaultVersion] = strconv.Itoa(s.version)
	}
	if d := e.Rule.Rotation.Days; d > 0 {
		own[secret.TagRotationDays] = strconv.Itoa(d)
	}
	copied := map[string]string{}
	for _, k := range e.Rule.Metadata {
		if v := custom[k]; v != "" && !secret.IsOwnTag(k) {
			copied[k] = secret.Shorten(v, secret.MaxTagValue)
		}
	}
	tags = make(map[string]string, secret.MaxTags)
	add := func(k, v string) {
		switch {
		case v == "":
		case len(tags) == secret.MaxTags:
			dropped = append(dropped, k)
		default:
			tags[k] = v
		}
	}
	for _, k := range secret.OwnTags() {
		add(k, own[k])
	}
	for _, k := range slices.Sorted(maps.Keys(foreign)) {
		if _, ours := copied[k]; !ours {
			add(k, foreign[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(copied)) {
		add(k, copied[k])
	}
	return tags, dropped
}
