package rotatortest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators/rotatortest"
	"github.com/keyferry/keyferry/secret"
)

type gatewayParams struct {
	URL string `json:"url" doc:"of the gateway, as https://gateway.example.com"`
}

// Validate makes no call: the configuration is judged before anything is reached.
func (p gatewayParams) Validate() error {
	if u, err := url.Parse(p.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return errors.New("parameter url: want https://host[:port]")
	}
	return nil
}

func gatewayKind() rotation.Kind {
	return rotation.Define("gateway-password", "the password of an account of our gateway",
		func(deps rotation.Deps, p gatewayParams) (rotation.Rotator, error) {
			client := *deps.HTTP // a redirection would carry the password elsewhere
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			return gateway{&client, p.URL + "/passwords/", deps.Admin}, nil
		})
}

// gateway is a Setter: we choose the password. It is no Retirer, so the old one dies in Set.
type gateway struct {
	client  *http.Client
	address string
	admin   *rotation.Credential
}

func (g gateway) Verify(ctx context.Context, c rotation.Credential) error {
	return g.call(ctx, http.MethodHead, c, c.User, "")
}

func (g gateway) Set(ctx context.Context, now, next rotation.Credential) error {
	login := now
	if g.admin != nil {
		login = *g.admin
	}
	return g.call(ctx, http.MethodPut, login, next.User, next.Secret.Reveal())
}

func (g gateway) call(ctx context.Context, method string, login rotation.Credential, user, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, g.address+url.PathEscape(user), strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: the address of the gateway", secret.ErrPermanent)
	}
	r.SetBasicAuth(login.User, login.Secret.Reveal())
	response, err := g.client.Do(r)
	if err != nil {
		return fmt.Errorf("%s at the gateway: %w", method, errors.Unwrap(err)) // without the address
	}
	response.Body.Close()
	// Say only what is certain. Anything else is ambiguous, and the engine asks before it repeats.
	means := map[int]error{401: rotation.ErrDenied, 422: rotation.ErrRefused, 403: secret.ErrPermanent, 404: secret.ErrPermanent}
	switch is := means[response.StatusCode]; {
	case response.StatusCode/100 == 2:
		return nil
	case is != nil:
		return fmt.Errorf("%s at the gateway: %w: status %d", method, is, response.StatusCode)
	}
	return fmt.Errorf("%s at the gateway: status %d", method, response.StatusCode)
}

func TestGateway(t *testing.T) {
	rotatortest.Run(t, func(t *testing.T) rotatortest.Subject {
		address, account := startGateway(t) // yours: a real server or a fake
		return rotatortest.Subject{
			Kind: gatewayKind(), Params: map[string]any{"url": address},
			Current: account("app", "first-password"),
		}
	})
}
