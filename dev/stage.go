package dev

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/keyferry/keyferry/internal/emulator/eventgrid"
	"github.com/keyferry/keyferry/internal/emulator/functions"
	"github.com/keyferry/keyferry/internal/emulator/identity"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/emulator/vault"
)

// stage is everything that runs.
type stage struct {
	options  Options
	vault    *vault.Server // nil when a real Vault is read
	keyVault *keyvault.Vault
	topic    *eventgrid.Topic
	host     *functions.Host

	vaultURL, keyVaultURL, hostURL string
	vaultToken                     string
	functionKey                    string

	mu     sync.Mutex
	events []keyvault.Event // raised and not yet taken
	log    []string         // what the handler said last

	closers []func()
}

// start brings the stage up, the emulators first and the handler last.
func start(ctx context.Context, o Options) (*stage, error) {
	s := &stage{options: o, vaultToken: rand.Text(), functionKey: rand.Text()}
	if err := s.start(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) start(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "keyferry-dev-")
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() { _ = os.RemoveAll(dir) })
	certificate, pem, err := newCertificate()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "roots.pem"), pem, 0o600); err != nil {
		return err
	}

	identityKey, topicKey := rand.Text(), rand.Text()
	ids, err := identity.New(identity.Options{Header: identityKey})
	if err != nil {
		return err
	}
	identityURL, err := s.listen(ids, nil)
	if err != nil {
		return err
	}
	s.keyVault = keyvault.New(keyvault.Options{
		Name: "kv-dev", Token: ids.ValidFor("https://vault.azure.net"), CreateLimit: 300, TransactionLimit: 4000,
		Events: s.raise,
	})
	if s.keyVaultURL, err = s.listen(s.keyVault, certificate); err != nil {
		return err
	}
	s.topic = eventgrid.New(eventgrid.Options{Key: topicKey})
	topicURL, err := s.listen(s.topic, certificate)
	if err != nil {
		return err
	}
	if s.vaultURL = s.options.Vault; s.vaultURL == "" {
		s.vault = vault.New(vault.Options{RootToken: s.vaultToken})
		if s.vaultURL, err = s.listen(s.vault, nil); err != nil {
			return err
		}
		if err := s.seedVault(ctx); err != nil {
			return err
		}
	}
	if err := s.seedKeyVault(); err != nil {
		return err
	}

	settings := filepath.Join(dir, "keyferry.yaml")
	if err := os.WriteFile(settings, []byte(s.configuration(filepath.Join(dir, "roots.pem"))), 0o600); err != nil {
		return err
	}
	env := []string{
		"KEYFERRY_CONFIG=" + settings,
		"VAULT_TOKEN=" + s.vaultToken,
		"IDENTITY_ENDPOINT=" + identityURL + "/msi/token",
		"IDENTITY_HEADER=" + identityKey,
		"KEYFERRY_ALERT_TOPIC=" + topicURL + "/api/events",
		"KEYFERRY_ALERT_TOPIC_KEY=" + topicKey,
		"KEYFERRY_SYNC_SCHEDULE=0 */15 * * * *",
	}
	if s.options.Vault != "" {
		for _, name := range []string{"VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT"} {
			if v, ok := s.options.LookupEnv(name); ok {
				env = append(env, name+"="+v)
			}
		}
	}
	return s.startHost(ctx, dir, env)
}

// startHost starts the Functions host, and with it keyferry serve.
func (s *stage) startHost(ctx context.Context, dir string, env []string) error {
	binary := s.options.Binary
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			return fmt.Errorf("find this executable: %w", err)
		}
	}
	var err error
	s.host, err = functions.New(functions.Options{
		App: s.options.App, Executable: binary, Dir: dir, Env: env,
		Keys: functions.Keys{Function: s.functionKey}, Log: s.remember,
	})
	if err != nil {
		return fmt.Errorf("read the functions app: %w", err)
	}
	if err := s.host.Start(ctx); err != nil {
		return fmt.Errorf("start the functions host: %w\n%s", err, strings.Join(s.lastLog(), "\n"))
	}
	s.closers = append(s.closers, s.host.Stop)
	s.hostURL, err = s.listen(s.host, nil)
	return err
}

// listen serves h on a free loopback port, with TLS when there is a certificate.
func (s *stage) listen(h http.Handler, c *certificate) (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: quiet()}
	s.closers = append(s.closers, func() { _ = server.Close() })
	if c == nil {
		go func() { _ = server.Serve(l) }()
		return "http://" + l.Addr().String(), nil
	}
	server.TLSConfig = c.config()
	go func() { _ = server.ServeTLS(l, "", "") }()
	return "https://" + l.Addr().String(), nil
}

// close ends everything in the reverse order of its start.
func (s *stage) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// raise keeps an event until somebody delivers it, as Event Grid does.
func (s *stage) raise(e keyvault.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *stage) takeEvents() []keyvault.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.events
	s.events = nil
	return taken
}

// remember keeps the last lines of the handler, for when something goes wrong.
func (s *stage) remember(_, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const keep = 20
	s.log = append(s.log, line)
	if len(s.log) > keep {
		s.log = s.log[len(s.log)-keep:]
	}
}

func (s *stage) lastLog() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// forceSync calls the HTTP function as a person would.
func (s *stage) forceSync(ctx context.Context, body string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.hostURL+"/api/ForceSync", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("x-functions-key", s.functionKey)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(a.Body, 8<<20))
	return a.StatusCode, answer, err
}
