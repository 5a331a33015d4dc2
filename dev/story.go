package dev

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/secret"
)

// spelling is how the story's events are written: as Key Vault does.
var spelling = keyvault.Spelling{}

// functionOf is the function that an event is subscribed to, "" for none.
func functionOf(e keyvault.Event) string {
	switch e.Type {
	case keyvault.SecretNearExpiry:
		return "SecretNearExpiry"
	case keyvault.SecretExpired:
		return "SecretExpired"
	}
	return ""
}

// report is what of a sync's report the story shows, or why there is none.
type report struct {
	Counts  map[string]int
	Missing []string
	Items   []struct{ Verb, Name, Source, Reason, Text string }
	Error   struct{ Message, Hint string }
}

func (r report) changes() int { return r.Counts["create"] + r.Counts["update"] + r.Counts["retag"] }

// saw is what a step has to show: a line, and further ones where there is something to say.
type saw struct {
	text  string
	items []string
}

// refused are the lines of what was not copied: the first few, for all of it shall fit on one screen.
func (r report) refused() []string {
	const most = 6
	sigils := map[string]string{"conflict": "!", "skip": "o", "failed": "x"}
	var lines []string
	for _, i := range r.Items {
		if sigil := sigils[i.Verb]; sigil != "" {
			lines = append(lines, fmt.Sprintf("%s %-29s %s: %s", sigil, i.Source, i.Reason, i.Text))
		}
	}
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more; keyferry plan shows each", more))
	}
	return lines
}

// tell plays the story. Each step goes through the Functions host, and says what it saw, not what it hoped for.
func (s *stage) tell(ctx context.Context, out screen) error {
	began := time.Now()
	steps := []struct {
		title string
		play  func(context.Context) (saw, error)
	}{
		{"first sync", s.firstSync},
		{"second sync, nothing moved", s.secondSync},
		{"one secret changes in Vault", s.oneChange},
		{"near expiry, event delivered twice", s.nearExpiry},
		{"forced resync of everything", s.forcedResync},
	}
	if s.vault == nil {
		steps = append(steps[:2:2], steps[3:]...) // a real Vault is not written to
	}
	for i, step := range steps {
		saw, err := step.play(ctx)
		if err != nil {
			out.step(i+1, step.title, saw, err)
			if len(saw.items) == 0 {
				for _, line := range s.lastLog() {
					out.detail(line)
				}
			}
			return fmt.Errorf("step %d, %s: %w: %w", i+1, step.title, secret.ErrPermanent, err)
		}
		out.step(i+1, step.title, saw, nil)
	}
	out.end(time.Since(began))
	return nil
}

// sync runs a forced sync and returns its report.
func (s *stage) sync(ctx context.Context, scope string) (report, error) {
	status, answer, err := s.forceSync(ctx, scope)
	if err != nil {
		return report{}, err
	}
	var r report
	if err := json.Unmarshal(answer, &r); err != nil {
		return report{}, fmt.Errorf("ForceSync answered %d and no JSON", status)
	}
	switch {
	case r.Error.Message != "":
		return r, fmt.Errorf("ForceSync answered %d: %s (%s)", status, r.Error.Message, r.Error.Hint)
	case status != http.StatusOK || r.Counts == nil:
		return r, fmt.Errorf("ForceSync answered %d", status)
	case r.Counts["failed"] > 0:
		return r, fmt.Errorf("%d could not be read or written", r.Counts["failed"])
	case len(r.Missing) > 0:
		return r, fmt.Errorf("it did not cover %s", strings.Join(r.Missing, ", "))
	}
	return r, nil
}

func (s *stage) firstSync(ctx context.Context) (saw, error) {
	r, err := s.sync(ctx, `{}`)
	if err != nil {
		return saw{items: r.refused()}, err
	}
	if s.vault != nil && r.Counts["create"] != 9 {
		return saw{}, fmt.Errorf("%d created, not 9", r.Counts["create"])
	}
	text := fmt.Sprintf("%d created, %d refused", r.Counts["create"], r.Counts["skip"]+r.Counts["conflict"])
	return saw{text, r.refused()}, nil
}

func (s *stage) secondSync(ctx context.Context) (saw, error) {
	if s.vault == nil {
		r, err := s.sync(ctx, `{}`)
		if err == nil && r.changes() != 0 {
			err = fmt.Errorf("%d changes", r.changes())
		}
		return saw{text: fmt.Sprintf("%d changes", r.changes())}, err
	}
	s.vault.ResetCalls()
	r, err := s.sync(ctx, `{}`)
	if err != nil {
		return saw{}, err
	}
	calls := s.vault.Calls()
	reads, v1 := calls["GET data"], calls["GET kv"]
	if r.changes() != 0 || reads != 0 {
		return saw{}, fmt.Errorf("%d changes and %d value reads, not 0 and 0", r.changes(), reads)
	}
	return saw{text: fmt.Sprintf("%d changes, %d value reads (and %d on KV v1, which has no metadata)", r.changes(), reads, v1)}, nil
}

func (s *stage) oneChange(ctx context.Context) (saw, error) {
	if err := s.writeVault(ctx, "POST", changed, map[string]any{"data": data{"password": rand.Text()}}); err != nil {
		return saw{}, err
	}
	tick := s.host.Tick(ctx, "SyncFromVault")
	if tick.Err != nil {
		return saw{}, tick.Err
	}
	kv, _ := s.keyVault.Secret("webapp-prod-db-password")
	if n := len(kv.Versions); n != 2 {
		return saw{}, fmt.Errorf("webapp-prod-db-password has %d versions, not 2", n)
	}
	return saw{text: "1 update of webapp-prod-db-password, by the timer"}, nil
}

func (s *stage) nearExpiry(ctx context.Context) (saw, error) {
	s.takeEvents()
	s.keyVault.Tick()
	before, _ := s.keyVault.Secret(rotated)
	delivered := 0
	for _, e := range s.takeEvents() {
		if e.Name != rotated || functionOf(e) == "" {
			continue
		}
		for range 2 {
			if done := s.host.Deliver(ctx, functionOf(e), e.EventGrid(spelling)); done.Err != nil {
				return saw{}, done.Err
			}
			delivered++
		}
	}
	after, _ := s.keyVault.Secret(rotated)
	if n := len(after.Versions) - len(before.Versions); delivered != 2 || n != 1 {
		return saw{}, fmt.Errorf("%d deliveries made %d new versions, not 2 and 1", delivered, n)
	}
	days := time.Until(after.CurrentVersion().Expires).Hours() / 24
	return saw{text: fmt.Sprintf("exactly 1 new version of %s, good for %.0f days", rotated, days)}, nil
}

func (s *stage) forcedResync(ctx context.Context) (saw, error) {
	r, err := s.sync(ctx, `{"full":true}`)
	if err != nil {
		return saw{}, err
	}
	if r.changes() != 0 {
		return saw{}, fmt.Errorf("%d changes, not 0", r.changes())
	}
	return saw{text: fmt.Sprintf("every value compared on both sides, %d equal", r.Counts["unchanged"])}, nil
}
