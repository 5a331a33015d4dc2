package cli_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyferry/keyferry/cli"
	"github.com/keyferry/keyferry/handler"
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
		"exits": p.exits, "terminated": p.terminated, "occupy": p.occupy, "vault": p.vaultDo, "keyvault": p.keyVaultDo, "json": p.json,
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

// terminated is: terminated CODE keyferry serve. It asks for an orderly end once the program answers.
func (p *play) terminated(_ bool, args []string) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	p.env[handler.PortSetting] = port
	_ = l.Close()
	c, err := p.command(ctx, args[1:])
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	for ready := false; !ready && ctx.Err() == nil; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/", nil)
		if err != nil {
			return err
		}
		if a, err := http.DefaultClient.Do(r); err == nil {
			_ = a.Body.Close()
			ready = a.StatusCode == http.StatusOK
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = c.Wait()
	return p.end(c, args[0])
}

// occupy listens on a port and hands it over as the Functions host would.
func (p *play) occupy(bool, []string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.t.Cleanup(func() { _ = l.Close() })
	_, p.env[handler.PortSetting], err = net.SplitHostPort(l.Addr().String())
	return err
}

// vaultDo is what people and mishaps do at Vault.
func (p *play) vaultDo(_ bool, args []string) error {
	switch {
	case len(args) > 3 && args[0] == "put": // vault put MOUNT PATH KEY=VALUE...
		fields := map[string]any{}
		for _, a := range args[3:] {
			name, value, _ := strings.Cut(a, "=")
			fields[name] = value
		}
		return p.vault.Put(args[1], args[2], fields)
	case len(args) == 1 && args[0] == "seal":
		p.vault.Seal(true)
		return nil
	case len(args) > 1 && args[0] == "forbid": // vault forbid PATH...: the token may read everything else
		rules := map[string][]string{"*": {"read", "list"}}
		for _, path := range args[1:] {
			rules[path] = []string{"deny"}
		}
		p.vault.Policy("narrow", rules)
		p.env["VAULT_TOKEN"] = p.vault.Token(time.Hour, "narrow")
		return nil
	case len(args) == 1 && args[0] == "unwritten": // every call since the script began was a read
		for call := range p.vault.Calls() {
			if method, _, _ := strings.Cut(call, " "); method != "GET" && method != "LIST" {
				return fmt.Errorf("Vault got %s", call)
			}
		}
		return nil
	}
	return errors.New("want: vault put, seal, forbid or unwritten")
}

// keyVaultDo is what people do at Key Vault, and what they see there.
func (p *play) keyVaultDo(_ bool, args []string) error {
	if len(args) < 2 {
		return errors.New("want: keyvault seed, value, versions or tag, and a name")
	}
	s, there := p.keyVault.Secret(args[1])
	var got string
	switch args[0] {
	case "seed": // keyvault seed NAME VALUE
		return p.keyVault.Seed(keyvault.Secret{Name: args[1], Versions: []keyvault.Version{{Value: args[2]}}})
	case "value": // keyvault value NAME VALUE
		got = s.CurrentVersion().Value
	case "versions": // keyvault versions NAME N
		got = strconv.Itoa(len(s.Versions))
	case "tag": // keyvault tag NAME VALUE TAG
		got = s.CurrentVersion().Tags[args[3]]
	}
	if want := args[2]; got != want {
		return fmt.Errorf("it is %q (there: %v)", got, there)
	}
	return nil
}

// json is: json PATH VALUE, where PATH leads into the object on stdout, as in counts.create or items.0.verb.
func (p *play) json(_ bool, args []string) error {
	var at any
	d := json.NewDecoder(strings.NewReader(p.stdout))
	d.UseNumber()
	if err := d.Decode(&at); err != nil {
		return err
	}
	for _, step := range strings.Split(args[0], ".") {
		switch here := at.(type) {
		case map[string]any:
			at = here[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(here) {
				return fmt.Errorf("no element %s", step)
			}
			at = here[i]
		default:
			return fmt.Errorf("nothing at %s", step)
		}
	}
	if got := fmt.Sprint(at); got != strings.Join(args[1:], " ") {
		return fmt.Errorf("it is %s", cmp.Or(got, "empty"))
	}
	return nil
}
