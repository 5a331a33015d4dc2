package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/keyferry/keyferry/secret"
)

// Auth is a way to log in: Token, AppRole, JWT, Azure or Kubernetes makes one. The zero Auth is none.
type Auth struct {
	name  string
	mount string       // of the auth method, without slashes at the ends
	token secret.Value // set for a token that was given and cannot be renewed
	proof func(context.Context) (map[string]secret.Value, error)
	fault error // of the arguments, reported by New
}

// JWTSource returns a JSON web token, fresh enough to log in with now. Its errors are shown, so they hold no secret.
type JWTSource func(context.Context) (secret.Value, error)

// Token uses a token that someone else obtained. It is never renewed: for development and the command line.
func Token(token secret.Value) Auth {
	a := Auth{name: "token", token: token}
	if token.Len() == 0 {
		a.fault = errors.New("the token is empty")
	}
	return a
}

// AppRole logs in with a role and its secret id (API page auth/approle). mount "" is "approle".
func AppRole(mount, roleID string, secretID secret.Value) Auth {
	a := method("approle", mount, func(context.Context) (map[string]secret.Value, error) {
		return map[string]secret.Value{"role_id": secret.New(roleID), "secret_id": secretID}, nil
	})
	if roleID == "" || secretID.Len() == 0 {
		a.fault = errors.New("role id or secret id is empty")
	}
	return a
}

// JWT logs in with a JSON web token (API page auth/jwt; facts/vault-sync.md A13, option 2). mount "" is "jwt".
func JWT(mount, role string, source JWTSource) Auth { return bearer("jwt", mount, role, source) }

// Azure logs in with the token of a managed identity to the azure method, whose role is bound to service principals
// only, so that role and token are all it needs (facts/vault-sync.md A13, option 1a). mount "" is "azure".
func Azure(mount, role string, source JWTSource) Auth { return bearer("azure", mount, role, source) }

// Kubernetes logs in with the service account token in the file, read anew for each log-in because Kubernetes replaces
// it. mount "" is "kubernetes", file "" the place where Kubernetes puts it.
func Kubernetes(mount, role, file string) Auth {
	if file == "" {
		file = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	}
	return bearer("kubernetes", mount, role, FileJWT(file))
}

// FileJWT reads the token from a file each time.
func FileJWT(name string) JWTSource {
	return func(context.Context) (secret.Value, error) {
		f, err := os.Open(name)
		if err != nil {
			return secret.Value{}, fmt.Errorf("%w: open token file: %w", secret.ErrUnauthorized, err)
		}
		defer f.Close()
		const limit = 64 << 10
		text, err := io.ReadAll(io.LimitReader(f, limit+1))
		if err != nil {
			return secret.Value{}, fmt.Errorf("%w: read token file: %w", secret.ErrUnauthorized, err)
		}
		if len(text) > limit {
			return secret.Value{}, fmt.Errorf("%w: token file has more than %d bytes", secret.ErrUnauthorized, limit)
		}
		return secret.New(strings.TrimSpace(string(text))), nil
	}
}

// AzureJWT asks an Azure credential for a token with the given audience, which must be equal to the resource in the
// azure method's config or to a bound audience of the jwt role, to the trailing slash (facts/vault-sync.md A13).
func AzureJWT(credential azcore.TokenCredential, audience string) JWTSource {
	return func(ctx context.Context) (secret.Value, error) {
		t, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{audience + "/.default"}})
		switch {
		case err != nil && ctx.Err() != nil:
			return secret.Value{}, context.Cause(ctx)
		case err != nil:
			// azidentity's errors print the answer of the token endpoint.
			return secret.Value{}, fmt.Errorf("%w: the Azure identity got no token for audience %q", secret.ErrUnauthorized, audience)
		}
		return secret.New(t.Token), nil
	}
}

func method(name, mount string, proof func(context.Context) (map[string]secret.Value, error)) Auth {
	if mount = strings.Trim(mount, "/"); mount == "" {
		mount = name
	}
	return Auth{name: name, mount: mount, proof: proof}
}

func bearer(name, mount, role string, source JWTSource) Auth {
	a := method(name, mount, func(ctx context.Context) (map[string]secret.Value, error) {
		jwt, err := source(ctx)
		return map[string]secret.Value{"role": secret.New(role), "jwt": jwt}, err
	})
	if role == "" || source == nil {
		a.fault = errors.New("role or token source is not set")
	}
	return a
}

func (a Auth) validate() error {
	if a.fault != nil || a.proof == nil {
		return a.fault
	}
	return checkPath(a.mount, 2)
}

// login obtains a token with one POST to auth/<mount>/login.
func (c *Client) login(ctx context.Context, auth Auth) (grant, error) {
	if auth.proof == nil {
		return grant{token: auth.token}, nil
	}
	proving, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	fields, err := auth.proof(proving)
	if err != nil {
		return grant{}, err
	}
	revealed := make(map[string]string, len(fields))
	for name, v := range fields {
		revealed[name] = v.Reveal()
	}
	body, err := json.Marshal(revealed)
	if err != nil {
		return grant{}, fmt.Errorf("%w: log-in cannot be encoded", secret.ErrInvalid)
	}
	a, err := c.send(ctx, secret.Value{}, request{path: "auth/" + auth.mount + "/login", body: body, limit: maxFault})
	var f *fault
	switch {
	case errors.As(err, &f) && (f.kind == secret.ErrInvalid || f.kind == secret.ErrForbidden):
		return grant{}, &fault{kind: secret.ErrUnauthorized, text: "vault refuses the role or its proof; vault's own log says why"}
	case err != nil:
		return grant{}, err
	case a.status != http.StatusOK:
		return grant{}, &fault{kind: secret.ErrUnauthorized, text: "no auth method is mounted there"}
	}
	return decodeGrant(a.body)
}
