package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A process is a started server with its own process group and log.
type process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when the process itself has ended
	bye    os.Signal     // what asks it to end; nil: it is killed
}

// launch starts cmd as a server with its output in .cache/logs/<name>.log.
func (m *machine) launch(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, log: m.logPath(name), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	ownGroup(cmd)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	m.running = append(m.running, p)
	go func() { _ = cmd.Wait(); close(p.exited) }()
	return p, nil
}

// stop ends the process groups launch started, the newest first, and waits
// until their leaders are gone. Then it removes the folders.
func (m *machine) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range slices.Backward(m.running) {
		if p.bye != nil {
			signalGroup(p.cmd, p.bye)
			select {
			case <-p.exited:
			case <-time.After(3 * time.Second):
			}
		}
		killGroup(p.cmd)
		<-p.exited
	}
	m.running = nil
	for _, dir := range m.folders {
		_ = os.RemoveAll(dir)
	}
	m.folders = nil
}

// await polls until probe succeeds. It gives up when the process has ended,
// after limit, or with ctx, and then shows the end of the log.
func (p *process) await(ctx context.Context, limit time.Duration, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.exited:
			return fmt.Errorf("%s, its log ends:\n%s", p.cmd.ProcessState, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v (%w), its log ends:\n%s", limit, err, tail(p.log))
		}
	}
}

// answers is a probe: the URL answers, with one of the statuses if any is given.
func answers(url string, statuses ...int) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if len(statuses) > 0 && !slices.Contains(statuses, resp.StatusCode) {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
}

// listens is a probe: something accepts connections at the address.
func listens(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// feed runs a program as quietly does, with a script on its standard input.
func (m *machine) feed(cmd *exec.Cmd, name, script string) error {
	cmd.Stdin = strings.NewReader(script)
	return m.quietly(cmd, name)
}

// firstLine is what a program says of its version.
func firstLine(output []byte) string {
	line, _, _ := strings.Cut(string(output), "\n")
	return strings.TrimSpace(line)
}

// quietly runs a build or an install with its output in a log; a failure shows
// the end of that.
func (m *machine) quietly(cmd *exec.Cmd, name string) error {
	log, err := os.Create(m.logPath(name))
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	ownGroup(cmd)
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w, its log ends:\n%s", name, err, tail(log.Name()))
	}
	return nil
}

func (m *machine) logPath(name string) string {
	return filepath.Join(m.cache, "logs", name+".log")
}

// tail returns the last 20 lines of a file.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return "\t" + string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n\t")))
}
