package keyvault

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/keyferry/keyferry/secret"
)

// checkName and the functions below refuse before the call what Key Vault would refuse after it, with an error
// that says which limit (facts/keyvault.md 1.3).
func checkName(name string) error {
	if !secret.ValidName(name) {
		return fmt.Errorf("%w: a name is 1 to %d letters, digits and hyphens", secret.ErrInvalid, secret.MaxName)
	}
	return nil
}

func checkNameVersion(name, version string) error {
	if version != "" && !validVersion(version) {
		return fmt.Errorf("%w: a version is letters and digits", secret.ErrInvalid)
	}
	return checkName(name)
}

// ofVersion is the version as part of a message; nothing for the current one.
func ofVersion(version string) string {
	if version == "" {
		return ""
	}
	return fmt.Sprintf(" version %q", version)
}

func checkDraft(name string, d secret.Draft) error {
	if err := checkName(name); err != nil {
		return err
	}
	switch n := d.Value.Len(); {
	case n == 0:
		return fmt.Errorf("%w: the value is empty", secret.ErrInvalid)
	case n > secret.MaxValue:
		return fmt.Errorf("%w: the value has %d bytes, Key Vault holds %d", secret.ErrTooLarge, n, secret.MaxValue)
	case !utf8.ValidString(d.Value.Reveal()):
		// JSON would replace what is not UTF-8, and a value changed on the way is worse than none.
		return fmt.Errorf("%w: the value is not UTF-8 text", secret.ErrInvalid)
	}
	if err := checkContentType(d.ContentType); err != nil {
		return err
	}
	if !d.Expires.IsZero() {
		if err := checkTime(d.Expires); err != nil {
			return err
		}
	}
	return checkTags(d.Tags)
}

func checkPatch(p secret.Patch) error {
	if p.ContentType == nil && p.Expires == nil && p.Enabled == nil && p.Tags == nil {
		return fmt.Errorf("%w: the patch changes nothing", secret.ErrInvalid)
	}
	if p.ContentType != nil {
		if err := checkContentType(*p.ContentType); err != nil {
			return err
		}
	}
	if p.Expires != nil {
		if err := checkTime(*p.Expires); err != nil {
			return err
		}
	}
	return checkTags(p.Tags)
}

func checkContentType(s string) error {
	if utf8.RuneCountInString(s) > secret.MaxContentType || !utf8.ValidString(s) {
		return fmt.Errorf("%w: a content type is text of up to %d characters", secret.ErrInvalid, secret.MaxContentType)
	}
	return nil
}

// checkTime refuses times before 1970, the zero time among them: that Key Vault takes them back is not documented.
func checkTime(t time.Time) error {
	if t.Unix() <= 0 {
		return fmt.Errorf("%w: the expiry lies before 1970", secret.ErrInvalid)
	}
	return nil
}

func checkTags(tags map[string]string) error {
	if len(tags) > secret.MaxTags {
		return fmt.Errorf("%w: %d tags, Key Vault holds %d", secret.ErrInvalid, len(tags), secret.MaxTags)
	}
	for k, v := range tags {
		if k == "" || !tagText(k) {
			return fmt.Errorf("%w: the name of a tag is text of 1 to %d characters", secret.ErrInvalid, secret.MaxTagValue)
		}
		if !tagText(v) {
			return fmt.Errorf("%w: tag %q is not text of up to %d characters", secret.ErrInvalid, k, secret.MaxTagValue)
		}
	}
	return nil
}

func tagText(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= secret.MaxTagValue
}
