package rotatortest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/rotation"
)

// witness hears what a rotator says, and knows what it must not say.
type witness struct {
	r     rotation.Rotator
	known []rotation.Credential
	said  []string
}

func watch(r rotation.Rotator, s Subject) *witness {
	w := &witness{r: r, known: []rotation.Credential{s.Current}}
	if s.Deps.Admin != nil {
		w.known = append(w.known, *s.Deps.Admin)
	}
	return w
}

func (w *witness) knows(c ...rotation.Credential) { w.known = append(w.known, c...) }

// heard keeps the text of an error and passes the error on.
func (w *witness) heard(err error) error {
	if err != nil {
		w.said = append(w.said, err.Error())
	}
	return err
}

// leaks is an error when something that was said holds a credential, as it is or encoded.
func (w *witness) leaks() error {
	for _, text := range w.said {
		for _, c := range w.known {
			for _, form := range formsOf(c.Secret.Reveal()) {
				if strings.Contains(text, form) {
					return errors.New("an error of it holds a credential")
				}
			}
		}
	}
	return nil
}

// formsOf are the ways in which drivers, URLs and headers write a secret. Those too short to mean anything are left out.
func formsOf(plain string) (forms []string) {
	quoted := strconv.Quote(plain)
	for _, form := range []string{
		plain, url.QueryEscape(plain), url.PathEscape(plain), quoted[1 : len(quoted)-1],
		hex.EncodeToString([]byte(plain)), base64.StdEncoding.EncodeToString([]byte(plain)),
		strings.ReplaceAll(plain, "'", "''"), strings.ReplaceAll(plain, `\`, `\\`),
	} {
		if len(form) >= 6 {
			forms = append(forms, form)
		}
	}
	return forms
}

func (w *witness) verify(t *testing.T, c rotation.Credential) error {
	ctx, cancel := within(t)
	defer cancel()
	return w.heard(w.r.Verify(ctx, c))
}

func (w *witness) accepts(t *testing.T, c rotation.Credential) error {
	if err := w.verify(t, c); err != nil {
		return fmt.Errorf("Verify of a credential that must be valid: %w", err)
	}
	return nil
}

func (w *witness) denies(t *testing.T, c rotation.Credential) error {
	if err := w.verify(t, c); !errors.Is(err, rotation.ErrDenied) {
		return fmt.Errorf("Verify of a credential that must not be valid is %v, not ErrDenied", err)
	}
	return nil
}
