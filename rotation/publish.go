package rotation

import (
	"maps"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// successor is the version that follows meta: its value, content type, expiry and the complete tags, since Key Vault
// carries nothing over. hash makes the vault-hash of the value, or "" when it cannot.
func successor(meta secret.Meta, value secret.Value, made secret.RotationState, validity time.Duration, hash string) secret.Draft {
	contentType := meta.ContentType
	if contentType == "" {
		contentType = "text/plain"
	}
	return secret.Draft{
		Value: value, ContentType: contentType,
		Expires: made.At.Add(validity),
		Tags:    successorTags(meta.Tags, made, hash),
	}
}

// successorTags keeps every tag, foreign ones too, but those that tell of the old value. Key Vault is the authority from
// here on, so that no sync brings the old value back.
func successorTags(old map[string]string, made secret.RotationState, hash string) map[string]string {
	tags := make(map[string]string, len(old)+2)
	maps.Copy(tags, old)
	delete(tags, secret.TagVaultHash)
	tags[secret.TagAuthority] = secret.AuthorityKeyVault
	tags[secret.TagRotationState] = made.String()
	if _, had := old[secret.TagVaultHash]; had && hash != "" && len(tags) < secret.MaxTags {
		tags[secret.TagVaultHash] = hash
	}
	return tags
}
