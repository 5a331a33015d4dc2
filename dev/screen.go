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

func (s screen) step(n int, title, saw string, err error) {
	mark, text := s.paint("32", "ok"), saw
	if err != nil {
		mark, text = s.paint("31", "FAILED"), err.Error()
	}
	fmt.Fprintf(s.w, "%d. %-36s %s  %s\n", n, title, mark, text)
}

func (s screen) item(verb, source, reason, text string) {
	sigil := "!"
	if verb == "skip" {
		sigil = "o"
	}
	const width = 76
	line := fmt.Sprintf("   %s %-26s %s: %s", sigil, source, reason, text)
	if len(line) > width {
		line = strings.ToValidUTF8(line[:width-3], "") + "..."
	}
	fmt.Fprintln(s.w, s.paint("2", line))
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
	kind := "emulated"
	if s.vault == nil {
		kind = "real, read only"
	}
	fmt.Fprintf(out.w, `Keyferry, the whole system on this machine. Nothing here is real or kept.

   Vault (%s)     %s
   Key Vault (emulated) %s
   Functions host       %s   running keyferry serve

`, kind, s.vaultURL, s.keyVaultURL, s.hostURL)
}

func (s *stage) invite(out screen) {
	fmt.Fprintf(out.w, `
It stays up: the sync runs every %.0f s, events come as secrets near their expiry. Ctrl-C ends it.
`, syncEvery.Seconds())
	if s.vault != nil {
		fmt.Fprintf(out.w, `
   # change a secret in Vault, then sync at once
   curl -H 'X-Vault-Token: %s' -d '{"data":{"password":"mine"}}' \
     %s/v1/secret/data/webapp/prod/db-password`, s.vaultToken, s.vaultURL)
	}
	fmt.Fprintf(out.w, `
   curl -H 'x-functions-key: %s' -H 'Content-Type: application/json' -d '{"prefix":""}' \
     %s/api/ForceSync
`, s.functionKey, s.hostURL)
}
