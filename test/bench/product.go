package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/keyferry/keyferry/vaultsync"
)

// outcome is one run of the product as a process.
type outcome struct {
	took time.Duration // by its own report
	cpu  time.Duration // of the whole process, its start included
	rss  int           // peak, bytes
}

// runProduct runs keyferry sync, as it is installed, from the estate to the Key
// Vault of the far side. It must look at every secret, make so many changes and
// fail with none.
func (l *lab) runProduct(ctx context.Context, e *estate, f *far, changes int) (outcome, error) {
	file := filepath.Join(f.dir, "keyferry.yaml")
	config := fmt.Sprintf(productConfig, f.Vault, f.KeyVault, f.roots(), e.mount.Path)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return outcome{}, err
	}
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, l.binary, "sync", "--config", file, "--output", "json")
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.Env = []string{"VAULT_TOKEN=" + e.token, "IDENTITY_ENDPOINT=" + f.Identity + "/msi/token", "IDENTITY_HEADER=made-up"}
	if err := cmd.Start(); err != nil {
		return outcome{}, fmt.Errorf("start %s: %w", l.binary, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	peak, err := watchPeak(cmd.Process.Pid, exited)
	if err != nil {
		return outcome{}, fmt.Errorf("run keyferry sync: %w: %s", err, complaint.String())
	}
	report := &vaultsync.Report{}
	if err := json.Unmarshal(out.Bytes(), report); err != nil {
		return outcome{}, fmt.Errorf("read the report of keyferry sync: %w", err)
	}
	if err := e.check(report, changes); err != nil {
		return outcome{}, err
	}
	took, err := time.ParseDuration(report.Took)
	return outcome{took: took, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss: peak}, err
}

const productConfig = `
vault: {address: %q, auth: {method: token}}
keyVault: {url: %q, caCert: %q}
state: {url: memory}
sync: {rules: [{name: all, mount: %q}]}
`

// watchPeak waits until a process has ended and returns its peak RSS. That is
// read while it runs: what wait4 tells of a child counts its parent's as well.
// It is 0 where there is no /proc.
func watchPeak(pid int, exited <-chan error) (int, error) {
	peak := 0
	for {
		select {
		case err := <-exited:
			return peak, err
		case <-time.After(10 * time.Millisecond):
			peak = max(peak, highWater(pid))
		}
	}
}

// highWater reads VmHWM (proc(5)).
func highWater(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if field := bytes.Fields(line); len(field) == 3 && string(field[0]) == "VmHWM:" {
			n, _ := strconv.Atoi(string(field[1]))
			return n << 10
		}
	}
	return 0
}
