package dev

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// screen is where the story is told: one line a step.
type screen struct {
	w      io.Writer
	colour bool
}

func (s screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s screen) step(n int, title string, seen saw, err error) {
	mark, text := s.paint("32", "ok"), seen.text
	if err != nil {
		mark, text = s.paint("31", "FAILED"), err.Error()
	}
	fmt.Fprintf(s.w, "%d. %-36s %s  %s\n", n, title, mark, text)
	for _, item := range seen.items {
		if err == nil {
			item = cut(item)
		}
		s.detail(item)
	}
}

// cut shortens a line to what a screen has beside the margin.
func cut(line string) string {
	const width = 104
	if len(line) <= width {
		return line
	}
	return strings.ToValidUTF8(line[:width-3], "") + "..."
}

func (s screen) detail(line string) { fmt.Fprintln(s.w, s.paint("2", "   "+line)) }

func (s screen) end(took time.Duration) {
	fmt.Fprintf(s.w, "\nAll of it in %.1f s, through the Functions host's own contract.\n", took.Seconds())
}

// happened shows an invocation while the stage is up.
func (s screen) happened(function string, lines []string, err error) {
	if err != nil {
		lines = []string{"failed: " + err.Error()}
	}
	for _, line := range lines {
		fmt.Fprintf(s.w, "%s  %-17s %s\n", time.Now().Format(time.TimeOnly), function, line)
	}
}

func (s *stage) welcome(out screen) {
	kind, promise := "emulated", "Nothing here is real or kept."
	if s.vault == nil {
		kind, promise = "real, read only", "Only Vault is real, and nothing is written to it."
	}
	fmt.Fprintf(out.w, `Keyferry, the whole system on this machine. %s

   %-24s %s
   %-24s %s
   %-24s %s   running keyferry serve

`, promise, "Vault ("+kind+")", s.vaultURL, "Key Vault (emulated)", s.keyVaultURL, "Functions host", s.hostURL)
}

func (s *stage) invite(out screen) {
	fmt.Fprintf(out.w, `
It stays up: the sync runs every %.0f s, the sweep every %.0f s, events come as secrets near their expiry. Ctrl-C ends it.
`, syncEvery.Seconds(), sweepEvery.Seconds())
	if s.vault != nil {
		fmt.Fprintf(out.w, `
   # change a secret in Vault, then sync at once
   curl -H 'X-Vault-Token: %s' -d '{"data":{"password":"mine"}}' \
     %s/v1/secret/data/webapp/prod/db-password`, s.vaultToken, s.vaultURL)
	}
	fmt.Fprintf(out.w, `
   curl -H 'x-functions-key: %s' -H 'Content-Type: application/json' -d '{"prefix":""}' \
     %s/api/ForceSync

   # rotate a secret that is not due
   curl -H 'x-functions-key: %s' -H 'Content-Type: application/json' -d '{"force":true}' \
     %s/api/rotate/%s
`, s.functionKey, s.hostURL, s.functionKey, s.hostURL, rotated)
}
