package rotation

import (
	"errors"
	"net/url"
	"strings"
)

// scrubbed is an error of a rotator whose text has lost the credentials that a driver or a server put there. What it
// wraps is for errors.Is only.
type scrubbed struct {
	text string
	err  error
}

func (s scrubbed) Error() string        { return s.text }
func (s scrubbed) Is(target error) bool { return errors.Is(s.err, target) }

// scrub takes the secrets of these credentials, plain or percent encoded, out of the text of an error; nil stays nil.
func scrub(err error, credentials ...Credential) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, c := range credentials {
		plain := c.Secret.Reveal()
		for _, form := range []string{plain, url.QueryEscape(plain), url.PathEscape(plain)} {
			if form != "" {
				text = strings.ReplaceAll(text, form, c.Secret.String())
			}
		}
	}
	return scrubbed{text: text, err: err}
}
