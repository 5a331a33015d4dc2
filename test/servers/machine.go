package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// A machine is where the servers run: the repository, its cache folder, and the
// processes started so far. Its methods are safe for concurrent use.
type machine struct {
	root  string // of the repository
	cache string // <root>/.cache: binaries, installs and logs; git ignores it

	install sync.Mutex // apt-get suffers one caller at a time
	mu      sync.Mutex
	running []*process
	folders []string // that go with the run
}

// newMachine finds the repository above the working directory.
func newMachine() (*machine, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "test", "vault", "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return nil, errors.New("find the repository: no test/vault/go.mod above the working directory")
		}
		root = filepath.Dir(root)
	}
	m := &machine{root: root, cache: filepath.Join(root, ".cache")}
	if err := os.MkdirAll(filepath.Join(m.cache, "logs"), 0o755); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	return m, nil
}

// say tells the person waiting that a step takes long.
func (m *machine) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "servers: "+format+"\n", args...)
}

// freePort returns a loopback port that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// randomSecret returns a password or token for one run.
func randomSecret() string { return rand.Text() }

// make runs build with an empty folder beside dir and renames that to dir when
// build succeeds, so that an interrupted build never looks finished. It does
// nothing when dir exists.
func (m *machine) make(dir string, build func(tmp string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(m.cache, filepath.Base(dir)+".tmp")
	if err != nil {
		return fmt.Errorf("make %q: %w", filepath.Base(dir), err)
	}
	defer os.RemoveAll(tmp)
	if err := build(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, there := os.Stat(dir); there == nil {
			return nil // another run was faster
		}
		return fmt.Errorf("make %q: %w", filepath.Base(dir), err)
	}
	return nil
}

// program returns the path of an executable. When it is absent and this is
// Debian with root's rights, the packages are installed first.
func (m *machine) program(ctx context.Context, name string, packages ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if _, err := os.Stat("/etc/debian_version"); err != nil || os.Geteuid() != 0 || len(packages) == 0 {
		return "", fmt.Errorf("%s is not on the PATH and cannot be installed here", name)
	}
	m.install.Lock()
	defer m.install.Unlock()
	m.say("installing %v", packages)
	steps := [][]string{{"update", "-q"}, append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)}
	for _, args := range steps {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := m.quietly(cmd, "apt-get"); err != nil {
			return "", err
		}
	}
	return exec.LookPath(name)
}
