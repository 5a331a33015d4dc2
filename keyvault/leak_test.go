package keyvault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

// No error of this package, printed whichever way, holds the value, the token, the address, a header or the body.
func TestErrorsHoldNothingForeign(t *testing.T) {
	const value, tok, body, header = "the-value", "the-token", "the-body", "the-header"
	fault := func(status int, inner string) fate {
		return reply(status, "X-Ms-Error-Code", header, strings.NewReader(
			`{"error":{"code":"`+body+`","message":"`+body+`","innererror":{"code":"`+inner+`"}}}`))
	}
	troubles := map[string]func(*http.Request) fate{
		"not JSON":    func(*http.Request) fate { return reply(200, "X", header, strings.NewReader(`{"value":`+body)) },
		"a long body": func(*http.Request) fate { return reply(200, "X", header, &endless{}) },
		"network": func(*http.Request) fate {
			return func(func() *http.Response) (*http.Response, error) {
				return nil, fmt.Errorf("put %s %s %s: %w", vaultURL, value, header, io.ErrUnexpectedEOF)
			}
		},
		"redirect": func(*http.Request) fate {
			return reply(307, "Location", "https://example.invalid/"+header, strings.NewReader(body))
		},
	}
	for _, status := range []int{400, 401, 403, 404, 408, 409, 412, 413, 429, 500, 503} {
		for _, inner := range []string{"", body, "ForbiddenByRbac", "SecretDisabled", "ObjectIsBeingDeleted"} {
			troubles[fmt.Sprint(status, " ", inner)] = func(*http.Request) fate { return fault(status, inner) }
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
					client, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: token(tok), Transport: road})
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

type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
