package rotation

import (
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/secret"
)

// Form is where a password, and perhaps a user, sits inside the value of a secret.
type Form struct {
	// Find reads them. user is "" when the value names none.
	Find func(value secret.Value) (user string, password secret.Value, err error)
	// Replace puts others in their place and leaves every other byte as it is; user "" stays.
	Replace func(value secret.Value, user string, password secret.Value) (secret.Value, error)
}

// rawForm is the value that is the password.
var rawForm = Form{
	Find: func(v secret.Value) (string, secret.Value, error) { return "", v, nil },
	Replace: func(_ secret.Value, _ string, password secret.Value) (secret.Value, error) {
		return password, nil
	},
}

// isRaw reports whether the name of a form means that the value is the password.
func isRaw(spec string) bool { return spec == "" || spec == "raw" }

// form finds the form of that name.
func (e *Engine) form(spec string) (Form, error) {
	if isRaw(spec) {
		return rawForm, nil
	}
	if e.Formats == nil {
		return Form{}, fmt.Errorf("%w: the format %s", secret.ErrUnsupported, quoted(spec))
	}
	return e.Formats(spec)
}

// credential reads the current credential of a target out of a version of the secret.
func (t Target) credential(f Form, value secret.Value, meta secret.Meta) (Credential, error) {
	user, password, err := f.Find(value)
	if err != nil {
		return Credential{}, err
	}
	if password.Len() == 0 {
		return Credential{}, errors.New("the password in it is empty")
	}
	c := Credential{User: user, Secret: password, ID: meta.Tags[secret.TagCredentialID]}
	if c.User == "" {
		c.User = t.User
	}
	if made, err := secret.ParseRotationState(meta.Tags[secret.TagRotationState]); err == nil && made.Credential != "" {
		c.ID = made.Credential
	}
	return c, nil
}

// render is the value of the next version: that of the current one with another credential in it.
func (t Target) render(f Form, value secret.Value, next Credential) (secret.Value, error) {
	user := next.User
	if user == t.User {
		user = "" // the value names nobody
	}
	return f.Replace(value, user, next.Secret)
}
