package rotation

import (
	"github.com/keyferry/keyferry/format"
	"github.com/keyferry/keyferry/secret"
)

// credential reads the current credential of a target out of a version of the secret. The value names the user, else the
// settings do; the id stands in the tags.
func (t Target) credential(f format.Format, value secret.Value, meta secret.Meta) (Credential, error) {
	found, err := f.Find(value)
	if err != nil {
		return Credential{}, err
	}
	c := Credential{User: found.User, Secret: found.Password, ID: meta.Tags[secret.TagCredentialID]}
	if c.User == "" {
		c.User = t.User
	}
	if made, err := secret.ParseRotationState(meta.Tags[secret.TagRotationState]); err == nil && made.Credential != "" {
		c.ID = made.Credential
	}
	return c, nil
}

// render is the value of the next version: that of the current one with another credential in it.
func render(f format.Format, value secret.Value, current, next Credential) (secret.Value, error) {
	user := next.User
	if user == current.User {
		user = "" // it stays, wherever it comes from
	}
	return f.Replace(value, user, next.Secret)
}

// raw reports whether the name of a format means that the value is the password.
func raw(spec string) bool { return spec == "" || spec == "raw" }
