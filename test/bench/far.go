package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// distance is how far away a measurement's servers are, and what they enforce.
type distance struct {
	Vault    time.Duration // added round trip
	KeyVault time.Duration // added round trip
	Creates  int           // that the Key Vault takes in 10 s; 0: any number
}

// The distance of the issue: Vault in the same region, Key Vault as it answers.
var away = distance{Vault: 10 * time.Millisecond, KeyVault: 20 * time.Millisecond}

// far is the other side of a measurement: the road to a Vault, and an empty Key
// Vault with an endpoint that gives tokens for it. It is a process of its own,
// so that what it costs is not counted as ours.
type far struct {
	places
	dir     string // holds the roots
	process *exec.Cmd
	input   io.Closer // its end ends the process
}

// places is what the process says once it listens.
type places struct {
	Vault, KeyVault, Identity, Counts string // URLs
	Roots                             []byte // certificate of the Key Vault, PEM
}

// order is what the process is told.
type order struct {
	Distance distance
	Vault    string // address of the Vault behind the road
}

// newFar starts the process.
func newFar(ctx context.Context, d distance, vault string) (*far, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &far{process: exec.CommandContext(ctx, program, "-far")}
	f.process.Stderr = os.Stderr
	in, err := f.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := f.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.process.Start(); err != nil {
		return nil, fmt.Errorf("start the far side: %w", err)
	}
	f.input = in
	if err := f.meet(in, out, order{d, vault}); err != nil {
		f.close()
		return nil, fmt.Errorf("start the far side: %w", err)
	}
	return f, nil
}

// meet tells the process its order and hears where it listens.
func (f *far) meet(in io.Writer, out io.Reader, o order) error {
	if err := json.NewEncoder(in).Encode(o); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, &f.places); err != nil {
		return err
	}
	if f.dir, err = os.MkdirTemp("", "keyferry-bench-"); err != nil {
		return err
	}
	return os.WriteFile(f.roots(), f.Roots, 0o600)
}

func (f *far) roots() string { return filepath.Join(f.dir, "roots.pem") }

// close ends the process.
func (f *far) close() {
	_ = f.input.Close()
	_ = f.process.Wait()
	_ = os.RemoveAll(f.dir)
}

// counts is how many calls the far side has had since it was last asked.
type counts struct {
	Vault     int // calls to Vault
	KeyVault  int // calls to Key Vault, refused ones included
	Throttled int // of those, how many were answered 429
}

// counts asks for the calls and starts counting anew.
func (f *far) counts(ctx context.Context) (counts, error) {
	var c counts
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.Counts, nil)
	if err != nil {
		return c, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return c, fmt.Errorf("count the calls: %w", err)
	}
	defer resp.Body.Close()
	return c, json.NewDecoder(resp.Body).Decode(&c)
}
