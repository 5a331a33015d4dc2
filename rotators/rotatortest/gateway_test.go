package rotatortest_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators/rotatortest"
	"github.com/keyferry/keyferry/secret"
)

// gatewayServer is the target of the example: accounts with a password each. Whoever logs in as root may set every
// password, others their own.
type gatewayServer struct {
	mu        sync.Mutex
	passwords map[string]string
}

// startGateway starts a server and returns its address and what makes an account on it.
func startGateway(t *testing.T) (address string, account func(user, password string) rotation.Credential) {
	t.Helper()
	g := &gatewayServer{passwords: map[string]string{}}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return server.URL, func(user, password string) rotation.Credential {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.passwords[user] = password
		return rotation.Credential{User: user, Secret: secret.New(password)}
	}
}

func (g *gatewayServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	w.WriteHeader(g.answer(r, string(body)))
}

func (g *gatewayServer) answer(r *http.Request, body string) int {
	login, password, _ := r.BasicAuth()
	user, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/passwords/"))
	switch has, there := g.passwords[login]; {
	case !there || has != password:
		return http.StatusUnauthorized
	case err != nil || login != user && login != "root":
		return http.StatusForbidden
	case r.Method == http.MethodHead:
		return http.StatusNoContent
	case body == "" || strings.Contains(body, ";"): // a rule of this server, as servers have them
		return http.StatusUnprocessableEntity
	}
	if _, there := g.passwords[user]; !there {
		return http.StatusNotFound
	}
	g.passwords[user] = body
	return http.StatusNoContent
}

// TestGatewayWithAdmin runs the kit against the example once more: an administrator makes the change, and the accounts
// have hostile names.
func TestGatewayWithAdmin(t *testing.T) {
	rotatortest.Run(t, func(t *testing.T) rotatortest.Subject {
		address, account := startGateway(t)
		admin := account("root", "admin-password")
		return rotatortest.Subject{
			Kind: gatewayKind(), Params: map[string]any{"url": address}, Deps: rotation.Deps{Admin: &admin},
			Current: account("app", "first-password"), Slow: true,
			WithUser: func(_ *testing.T, user, password string) (rotation.Credential, error) {
				if strings.Contains(user, ":") {
					return rotation.Credential{}, errors.New("nobody logs in by HTTP with a colon in the name")
				}
				return account(user, password), nil
			},
		}
	})
}
