package cli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyferry/keyferry/cli"
	"github.com/keyferry/keyferry/internal/emulator/identity"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/rotators"
)

// TestMain lets the test binary be keyferry: go test hands it flags of its own, and everybody else means the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(cli.Main(cli.Process{
			Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
			App: os.DirFS(os.Getenv("KEYFERRY_TEST_APP")), Kinds: rotators.All(),
		}))
	}
	os.Exit(m.Run())
}

// TestTranscripts plays testdata/*.txtar. They are read as documentation of the commands.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			newPlay(t, file).play(string(text))
		})
	}
}

// play is a script with the services a keyferry needs, each for this script alone, and its app settings set.
type play struct {
	script
	program  string
	vault    *vault.Server
	keyVault *keyvault.Vault
}

func newPlay(t *testing.T, file string) *play {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	app, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	p := &play{program: program, script: script{t: t, name: file, dir: t.TempDir()}}
	rootToken, identityKey := rand.Text(), rand.Text()
	ids, err := identity.New(identity.Options{Header: identityKey})
	if err != nil {
		t.Fatal(err)
	}
	p.vault = vault.New(vault.Options{RootToken: rootToken})
	p.vault.Mount("secret", 2)
	p.vault.Mount("legacy", 1)
	p.keyVault = keyvault.New(keyvault.Options{Name: "kv-transcript", Token: ids.ValidFor("https://vault.azure.net")})
	serve := func(server *httptest.Server) *httptest.Server {
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that an ended program left behind
		t.Cleanup(server.Close)
		return server
	}
	keys := serve(httptest.NewTLSServer(p.keyVault))
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: keys.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(p.dir, "roots.pem"), roots, 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = map[string]string{
		"KEYFERRY_TEST_APP":     app,
		"KEYFERRY_CONFIG":       "keyferry.yaml",
		"VAULT_ADDR":            serve(httptest.NewServer(p.vault)).URL,
		"VAULT_TOKEN":           rootToken,
		"KEYFERRY_KEYVAULT_URL": keys.URL,
		"IDENTITY_ENDPOINT":     serve(httptest.NewServer(ids)).URL + "/msi/token",
		"IDENTITY_HEADER":       identityKey,
		"TMPDIR":                t.TempDir(),
	}
	p.commands = map[string]func(bool, []string) error{
		"exits": p.exits, "terminated": p.terminated, "port": p.port, "vault": p.vaultDo, "keyvault": p.keyVaultDo, "json": p.json, "forgotten": p.forgotten,
	}
	return p
}

// limit is for programs that hang.
const limit = 2 * time.Minute

func (p *play) command(ctx context.Context, args []string) (*exec.Cmd, error) {
	if len(args) == 0 || args[0] != "keyferry" {
		return nil, errors.New("want: keyferry ARGUMENT...")
	}
	c := exec.CommandContext(ctx, p.program, args[1:]...)
	c.Dir = p.dir
	for name, value := range p.env {
		c.Env = append(c.Env, name+"="+value)
	}
	c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return c, nil
}

// end keeps what the program said and compares its exit code.
func (p *play) end(c *exec.Cmd, code string) error {
	p.stdout, p.stderr = fmt.Sprint(c.Stdout), fmt.Sprint(c.Stderr)
	if got := strconv.Itoa(c.ProcessState.ExitCode()); got != code {
		return fmt.Errorf("exit code %s, not %s", got, code)
	}
	return nil
}

// exits is: exits CODE keyferry ARGUMENT...
func (p *play) exits(_ bool, args []string) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	c, err := p.command(ctx, args[1:])
	if err != nil {
		return err
	}
	if err := c.Run(); c.ProcessState == nil {
		return err
	}
	return p.end(c, args[0])
}

// terminated is: terminated CODE TEXT keyferry ARGUMENT... It asks for an orderly end once the program has said the text.
func (p *play) terminated(_ bool, args []string) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	c, err := p.command(ctx, args[2:])
	if err != nil {
		return err
	}
	said := &listener{text: args[1], heard: make(chan struct{})}
	c.Stdout = said
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(ended)
	}()
	select {
	case <-said.heard:
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
	case <-ended:
	}
	<-ended
	return p.end(c, args[0])
}

// listener keeps what is written to it and tells when it has heard the text.
type listener struct {
	all   bytes.Buffer // no embedding: io.Copy would find its ReadFrom
	text  string
	heard chan struct{}
	once  sync.Once
}

func (l *listener) Write(b []byte) (int, error) {
	n, err := l.all.Write(b)
	if strings.Contains(l.all.String(), l.text) {
		l.once.Do(func() { close(l.heard) })
	}
	return n, err
}

// String is for when the program has ended.
func (l *listener) String() string { return l.all.String() }
