package keyvault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

// No error of this package, printed whichever way, holds the value, the token, the address, a header or the body.
func TestErrorsHoldNothingForeign(t *testing.T) {
	const value, tok, body, header = "the-value", "the-token", "the-body", "the-header"
	fault := func(status int, inner string) faults.Fault {
		return faults.Answer(status, `{"error":{"code":"`+body+`","message":"`+body+`","innererror":{"code":"`+inner+`"}}}`,
			"X-Ms-Error-Code", header, "WWW-Authenticate", header)
	}
	troubles := map[string]func(*http.Request) faults.Fault{
		"not JSON": func(*http.Request) faults.Fault { return reply(`{"value":`+body, "X", header) },
		"reset":    func(*http.Request) faults.Fault { return faults.ResetAfter() },
		"redirect": func(*http.Request) faults.Fault {
			return faults.Answer(307, body, "Location", "https://example.invalid/"+header)
		},
	}
	for _, status := range []int{400, 401, 403, 404, 408, 409, 412, 413, 429, 500, 503} {
		for _, inner := range []string{"", body, "ForbiddenByRbac", "SecretDisabled", "ObjectIsBeingDeleted"} {
			troubles[fmt.Sprint(status, " ", inner)] = func(*http.Request) faults.Fault { return fault(status, inner) }
		}
	}
	calls := map[string]func(context.Context, *keyvault.Client) error{
		"get": func(ctx context.Context, c *keyvault.Client) error { _, _, err := c.Get(ctx, "a"); return err },
		"set": func(ctx context.Context, c *keyvault.Client) error {
			_, err := c.Set(ctx, "a", draft(value))
			return err
		},
		"delete": func(ctx context.Context, c *keyvault.Client) error { return c.Delete(ctx, "a") },
		"list":   func(ctx context.Context, c *keyvault.Client) error { _, err := names(ctx, c); return err },
		"versions": func(ctx context.Context, c *keyvault.Client) error {
			_, err := c.Versions(ctx, "a")
			return err
		},
		"update": func(ctx context.Context, c *keyvault.Client) error {
			_, err := c.Update(ctx, "a", secret.Patch{Tags: map[string]string{"t": "x"}})
			return err
		},
	}
	for what, trouble := range troubles {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for name, call := range calls {
					road := &road{to: emulator.New(emulator.Options{})}
					client, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: token(tok), Transport: loud{faults.Transport(road)}})
					if err != nil {
						t.Fatal(err)
					}
					road.meet(trouble)
					if err = call(t.Context(), client); err == nil {
						continue // a 404 is an answer to some
					}
					for _, word := range []string{value, tok, body, header, "vault.azure.net", "https:", "api-version"} {
						if text := fmt.Sprintf("%v %+v %#v", err, err, err.Error()); strings.Contains(text, word) {
							t.Errorf("%s: the error holds %q: %s", name, word, text)
						}
					}
					if errors.As(err, new(*azcore.ResponseError)) {
						t.Errorf("%s: the SDK's error, with the body in it, is wrapped", name)
					}
				}
			})
		})
	}
}

// loud adds to each error of the network what such errors like to hold.
type loud struct{ http.RoundTripper }

func (l loud) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		err = fmt.Errorf("%s %s the-header the-value: %w", r.Method, r.URL, err)
	}
	return resp, err
}
