package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// starts is how often the executable is started: an odd number has a median.
const starts = 21

// coldStart is the time from the start of keyferry serve to its first answer, on
// a machine where nothing else can be reached: every address of its configuration
// is a loopback port that nobody listens on. Until then the Functions host holds
// back the first event.
func coldStart() figure {
	return figure{
		name: "coldstart_ms", unit: "ms", aim: "< 50",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			dir, err := os.MkdirTemp("", "keyferry-bench-")
			if err != nil {
				return 0, "", err
			}
			defer os.RemoveAll(dir)
			config := filepath.Join(dir, "keyferry.yaml")
			if err := os.WriteFile(config, []byte(unreachable), 0o600); err != nil {
				return 0, "", err
			}
			var took []time.Duration
			for range starts {
				d, err := startOnce(ctx, l.binary, config)
				if err != nil {
					return 0, "", err
				}
				took = append(took, d)
			}
			slices.Sort(took)
			how := fmt.Sprintf("median of %d starts, %.1f to %.1f, no network", starts, ms(took[0]), ms(took[starts-1]))
			return ms(took[starts/2]), how, nil
		},
	}
}

// unreachable is a whole configuration; port 1 is closed everywhere.
const unreachable = `
vault: {address: "http://127.0.0.1:1", auth: {method: token}}
keyVault: {url: "https://127.0.0.1:1"}
state: {url: memory}
sync: {rules: [{name: all, mount: secret}]}
rotation: {targets: [{name: keys, type: generated, secrets: ["keys-*"]}]}
`

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// startOnce starts the executable, asks until it answers 200, and kills it.
func startOnce(ctx context.Context, binary, config string) (time.Duration, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = []string{
		"FUNCTIONS_CUSTOMHANDLER_PORT=" + port, "KEYFERRY_CONFIG=" + config, "VAULT_TOKEN=made-up",
		"IDENTITY_ENDPOINT=http://127.0.0.1:1/msi/token", "IDENTITY_HEADER=made-up",
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", binary, err)
	}
	err = answered(ctx, "http://127.0.0.1:"+port+"/")
	took := time.Since(begin)
	cancel()
	_ = cmd.Wait() // killed: never nil
	return took, err
}

// answered asks without a pause worth the name until the answer is 200.
func answered(ctx context.Context, url string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("no answer to GET /")
		case <-time.After(200 * time.Microsecond):
		}
	}
}

// freePort returns a loopback port that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
