package format

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/keyferry/keyferry/secret"
)

// Credential is what Find reads from a value.
type Credential struct {
	User     string // "" when the value has none, or the format does not say where
	Password secret.Value
}

// Find reads the credential in v.
//
// Errors wrap secret.ErrInvalid, or secret.ErrTooLarge for a value that Key Vault could not hold.
func (f Format) Find(v secret.Value) (Credential, error) {
	l, err := f.find(v.Reveal())
	if err != nil {
		return Credential{}, fmt.Errorf("find the password in a value of format %q: %w", f, err)
	}
	return Credential{User: l.user.text, Password: secret.New(l.password.text)}, nil
}

// Replace returns v with next in the place of its password and, unless user is "" or the one that is there, with user
// in the place of its user. All other bytes stay. Find on the result returns exactly what was put in, so what Replace
// accepts can be rotated again. It is pure: call it before a target is touched, and a value that cannot be
// published costs nothing.
//
// Where Find succeeds, Replace of the password succeeds for every next of letters and digits that v does not hold
// already, unless the result is too large. It refuses a user where v has none, and a password or user that is
// empty, is not UTF-8, holds NUL, or cannot be written in the format (a user with a colon in a dsn).
//
// Errors wrap secret.ErrInvalid or secret.ErrTooLarge.
func (f Format) Replace(v secret.Value, user string, next secret.Value) (secret.Value, error) {
	text, err := f.replace(v.Reveal(), user, next.Reveal())
	if err != nil {
		return secret.Value{}, fmt.Errorf("replace the password in a value of format %q: %w", f, err)
	}
	return secret.New(text), nil
}

func (f Format) find(value string) (layout, error) {
	switch {
	case value == "":
		return layout{}, invalid(errors.New("the value is empty"))
	case len(value) > secret.MaxValue:
		return layout{}, tooLarge(value)
	case !utf8.ValidString(value):
		return layout{}, invalid(errors.New("the value is not UTF-8"))
	}
	l, err := f.grammar().locate(value)
	if err == nil {
		err = l.check()
	}
	if err != nil {
		return layout{}, invalid(err)
	}
	return l, nil
}

func (f Format) replace(value, user, next string) (string, error) {
	if err := fit("password", next); err != nil {
		return "", err
	}
	was, err := f.find(value)
	if err != nil {
		return "", err
	}
	write := f.grammar().write
	edits := []edit{{was.password, write(next)}}
	if user != "" && user != was.user.text {
		if err := fit("user", user); err != nil {
			return "", err
		}
		if was.user.text == "" {
			return "", invalid(errors.New("there is no user to replace"))
		}
		edits = append(edits, edit{was.user, write(user)})
		was.user.text = user
	}
	result := splice(value, edits...)
	if len(result) > secret.MaxValue {
		return "", tooLarge(result)
	}
	is, err := f.find(result)
	if err != nil {
		return "", fmt.Errorf("the result does not read back: %w", err)
	}
	if is.password.text != next || is.user.text != was.user.text {
		return "", invalid(errors.New("the result does not read back: this format cannot hold the new password or user"))
	}
	return result, nil
}

// fit refuses what no format carries to a target.
func fit(what, text string) error {
	switch {
	case text == "":
		return invalid(fmt.Errorf("the new %s is empty", what))
	case !utf8.ValidString(text):
		return invalid(fmt.Errorf("the new %s is not UTF-8", what))
	case strings.IndexByte(text, 0) >= 0:
		return invalid(fmt.Errorf("the new %s holds a NUL", what))
	}
	return nil
}

func invalid(err error) error { return fmt.Errorf("%w: %w", secret.ErrInvalid, err) }

func tooLarge(value string) error {
	return fmt.Errorf("%w: %d bytes of %d", secret.ErrTooLarge, len(value), secret.MaxValue)
}
