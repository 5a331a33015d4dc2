package rotation

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
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

// leftOut is the text of an error that cannot be shown.
const leftOut = "its error repeats a part of a credential and is left out"

// scrub takes the secrets of these credentials out of the text of an error, as they are and as drivers, URLs and
// headers write them; nil stays nil. Where a part remains, as after a server that cuts what it quotes, the text is
// left out: it is worth less than the secret.
func scrub(err error, credentials ...Credential) error {
	if err == nil {
		return nil
	}
	var forms, covered []string
	for _, c := range credentials {
		for _, form := range written(c.Secret.Reveal()) {
			forms, covered = append(forms, form), append(covered, form, c.Secret.String())
		}
	}
	text := strings.NewReplacer(covered...).Replace(err.Error())
	for _, form := range forms {
		if sharesPart(text, form) {
			return scrubbed{text: leftOut, err: err}
		}
	}
	return scrubbed{text: text, err: err}
}

// written are the forms of a secret, none of them empty.
func written(plain string) []string {
	if plain == "" {
		return nil
	}
	quoted := strconv.Quote(plain)
	encoded := []string{
		url.QueryEscape(plain), url.PathEscape(plain), quoted[1 : len(quoted)-1],
		hex.EncodeToString([]byte(plain)), strings.ToUpper(hex.EncodeToString([]byte(plain))),
	}
	// In base64 a text looks different at each of three places inside a longer one.
	for _, before := range []string{"", "-", "--"} {
		for _, base64 := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := base64.EncodeToString([]byte(before + plain))
			encoded = append(encoded, text[(len(before)*8+5)/6:len(text)-1])
		}
	}
	// What is shorter than a part stands everywhere by chance.
	encoded = slices.DeleteFunc(encoded, func(form string) bool { return len(form) < part })
	return append([]string{plain}, encoded...)
}

// part is how many characters of a secret in a row are too many to show.
const part = 8

// sharesPart reports whether the text holds a part of the form.
func sharesPart(text, form string) bool {
	for i := 0; i+part <= len(form); i++ {
		if strings.Contains(text, form[i:i+part]) {
			return true
		}
	}
	return false
}
