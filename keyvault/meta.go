package keyvault

import (
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyferry/keyferry/secret"
)

// metaOf reads what every answer of Key Vault says of a secret. It reports false for what Key Vault does not send: no
// attributes, or an id that is not one of a secret.
func metaOf(id *azsecrets.ID, a *azsecrets.SecretAttributes, contentType *string, managed *bool, tags map[string]*string) (secret.Meta, bool) {
	if id == nil || a == nil {
		return secret.Meta{}, false
	}
	name, version, ok := splitID(string(*id))
	if !ok {
		return secret.Meta{}, false
	}
	m := secret.Meta{
		Name:        name,
		Version:     version,
		ContentType: deref(contentType),
		Enabled:     a.Enabled == nil || *a.Enabled,
		Managed:     deref(managed),
		Created:     utc(a.Created),
		Updated:     utc(a.Updated),
		NotBefore:   utc(a.NotBefore),
		Expires:     utc(a.Expires),
	}
	if len(tags) > 0 {
		m.Tags = make(map[string]string, len(tags))
		for k, v := range tags {
			m.Tags[k] = deref(v)
		}
	}
	return m, true
}

// namedMeta is metaOf for the answer to a call that named a secret: the answer must be of that secret and name a
// version.
func namedMeta(name string, s azsecrets.Secret) (secret.Meta, bool) {
	m, ok := metaOf(s.ID, s.Attributes, s.ContentType, s.Managed, s.Tags)
	return m, ok && m.Version != "" && secret.SameName(m.Name, name)
}

// splitID parses https://<host>/secrets/<name>[/<version>]. The SDK's own parser panics on anything else.
func splitID(id string) (name, version string, ok bool) {
	u, err := url.Parse(id)
	if err != nil {
		return "", "", false
	}
	part := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	if len(part) < 2 || len(part) > 3 || part[0] != "secrets" || !secret.ValidName(part[1]) {
		return "", "", false
	}
	if len(part) == 3 {
		if version = part[2]; !validVersion(version) {
			return "", "", false
		}
	}
	return part[1], version, true
}

// validVersion reports whether s can be a version: Key Vault makes 32 hexadecimal digits (facts/keyvault.md 1.3).
func validVersion(s string) bool {
	return len(s) <= 64 && secret.ValidName(s) && !strings.Contains(s, "-")
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
