package vault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metadata answers metadata/<key>, and lists it.
func (c *call) metadata(key string) *answer {
	if c.req.op == list || c.req.op == scan {
		return c.listMetadata(key)
	}
	key = strings.TrimSuffix(key, "/")
	k, ok := c.mount.v2.get(key)
	switch c.req.op {
	case read:
		if !ok {
			return notFound()
		}
		a := &answer{data: c.show(k), mount: c.mount.kind}
		return a.ignoring(c.req.fields, settings...)
	case remove:
		if ok {
			c.mount.v2.remove(key)
		}
		return done()
	case patch:
		if !ok {
			return &answer{status: http.StatusNotFound, empty: true}
		}
		return c.configure(key, k)
	default:
		if !ok {
			now := c.now()
			k = &secret{created: now, updated: now}
		}
		return c.configure(key, k)
	}
}

// settings are the fields that metadata/ knows.
var settings = []string{"max_versions", "cas_required", "delete_version_after", "custom_metadata", "exclude_deleted"}

func (c *call) listMetadata(dir string) *answer {
	if c.req.op == scan {
		return c.mount.names(c.mount.v2.walk(dir))
	}
	names := c.mount.v2.list(dir)
	if c.options.OpenBao {
		return c.mount.names(c.page(names))
	}
	if yes, _ := strconv.ParseBool(fmt.Sprint(c.req.fields["exclude_deleted"])); yes {
		names = c.withoutDeletion(dir, names)
	}
	return c.mount.names(names).ignoring(c.req.fields, settings...)
}

// withoutDeletion drops what Vault's exclude_deleted drops: every key whose
// current version has a deletion_time, also one in the future.
func (c *call) withoutDeletion(dir string, names []string) []string {
	var kept []string
	for _, name := range names {
		k, ok := c.mount.v2.get(dir + name)
		if ok && k.latest() != nil && !k.latest().deletion.IsZero() {
			continue
		}
		kept = append(kept, name)
	}
	return kept
}

// show is the body of a metadata read.
func (c *call) show(k *secret) map[string]any {
	versions := make(map[string]any, len(k.versions))
	for i := range k.versions {
		v := &k.versions[i]
		shown := map[string]any{"created_time": stamp(v.created), "deletion_time": stamp(v.deletion), "destroyed": v.destroyed}
		if !c.options.OpenBao {
			shown["created_by"], shown["deleted_by"] = v.createdBy, v.deletedBy
		}
		versions[strconv.FormatUint(k.current-uint64(len(k.versions)-1-i), 10)] = shown
	}
	body := map[string]any{
		"versions": versions, "current_version": k.current, "oldest_version": k.oldest,
		"created_time": stamp(k.created), "updated_time": stamp(k.updated), "max_versions": k.maxVersions,
		"cas_required": k.casRequired, "delete_version_after": k.deleteAfter.String(), "custom_metadata": k.labels(),
	}
	if c.options.OpenBao {
		body["current_metadata_version"], body["metadata_cas_required"] = k.metadataVersion, false
	} else {
		body["last_updated_by"] = k.updatedBy
	}
	return body
}

// configure writes the settings of a key: all that are given, or none when one
// is wrong. Neither the versions nor updated_time change.
func (c *call) configure(key string, k *secret) *answer {
	given := map[string]any{}
	for _, name := range settings[:4] {
		if value, ok := c.req.fields[name]; ok {
			given[name] = value
		}
	}
	if len(given) == 0 && c.req.op == update {
		return done()
	}
	changed := *k
	for name, value := range given {
		if refusal := changed.set(name, value, c.req.op == patch); refusal != nil {
			return refusal
		}
	}
	changed.metadataVersion++
	*k = changed
	c.mount.v2.put(key, k)
	if given["cas_required"] == false && c.mount.config.casRequired {
		return &answer{mount: c.mount.kind, warnings: []string{`"cas_required" set to false, but is mandated by backend config. This value will be ignored.`}}
	}
	return done()
}

// set changes one setting. With merging custom_metadata is a merge patch.
func (k *secret) set(name string, value any, merging bool) *answer {
	var err error
	switch name {
	case "max_versions":
		k.maxVersions, err = count(value)
	case "cas_required":
		k.casRequired, err = strconv.ParseBool(fmt.Sprint(value))
	case "delete_version_after":
		var after time.Duration
		if after, err = seconds(value); err == nil && after < 0 {
			err = fmt.Errorf("cannot provide negative value '%d'", int(after/time.Second))
		}
		if err == nil {
			k.deleteAfter = after
		}
	case "custom_metadata":
		return k.label(value, merging)
	}
	if err != nil {
		return failed(http.StatusBadRequest, fmt.Sprintf("error converting input for field %q: %v", name, err))
	}
	return nil
}

// count reads a whole number, also from text.
func count(value any) (uint32, error) {
	n, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot parse '' as int: %w", err)
	}
	return uint32(n), nil
}

// seconds reads a duration: a number of seconds, or text with a unit.
func seconds(value any) (time.Duration, error) {
	switch value := value.(type) {
	case nil:
		return 0, nil
	case json.Number:
		n, err := value.Int64()
		return time.Duration(n) * time.Second, err
	case string:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return time.Duration(n) * time.Second, nil
		}
		if days, ok := strings.CutSuffix(value, "d"); ok {
			n, err := strconv.ParseInt(days, 10, 64)
			return time.Duration(n) * 24 * time.Hour, err
		}
		return time.ParseDuration(value)
	}
	return 0, fmt.Errorf("could not parse duration from input")
}
