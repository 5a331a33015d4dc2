package dev

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
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

// report is what of a sync's report the story shows.
type report struct {
	Counts map[string]int
	Items  []struct{ Verb, Name, Source, Reason, Text string }
}

func (r report) changes() int { return r.Counts["create"] + r.Counts["update"] + r.Counts["retag"] }

// tell plays the story. Each step goes through the Functions host, and says what it saw, not what it hoped for.
func (s *stage) tell(ctx context.Context, out screen) error {
	began := time.Now()
	steps := []struct {
		title string
		play  func(context.Context, screen) (string, error)
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
		saw, err := step.play(ctx, out)
		if err != nil {
			out.step(i+1, step.title, "", err)
			for _, line := range s.lastLog() {
				out.detail(line)
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
	if err := json.Unmarshal(answer, &r); err != nil || status != http.StatusOK || r.Counts == nil {
		return report{}, fmt.Errorf("ForceSync answered %d", status)
	}
	if n := r.Counts["failed"]; n > 0 {
		return r, fmt.Errorf("%d secrets failed", n)
	}
	return r, nil
}

func (s *stage) firstSync(ctx context.Context, out screen) (string, error) {
	r, err := s.sync(ctx, `{}`)
	if err != nil {
		return "", err
	}
	for _, i := range r.Items {
		if i.Verb == "conflict" || i.Verb == "skip" {
			out.item(i.Verb, i.Source, i.Reason, i.Text)
		}
	}
	if s.vault != nil && r.Counts["create"] != 9 {
		return "", fmt.Errorf("%d created, not 9", r.Counts["create"])
	}
	return fmt.Sprintf("%d created, %d refused", r.Counts["create"], r.Counts["skip"]+r.Counts["conflict"]), nil
}

func (s *stage) secondSync(ctx context.Context, _ screen) (string, error) {
	if s.vault == nil {
		r, err := s.sync(ctx, `{}`)
		if err == nil && r.changes() != 0 {
			err = fmt.Errorf("%d changes", r.changes())
		}
		return fmt.Sprintf("%d changes", r.changes()), err
	}
	s.vault.ResetCalls()
	r, err := s.sync(ctx, `{}`)
	if err != nil {
		return "", err
	}
	calls := s.vault.Calls()
	reads, v1 := calls["GET data"], calls["GET kv"]
	if r.changes() != 0 || reads != 0 {
		return "", fmt.Errorf("%d changes and %d value reads, not 0 and 0", r.changes(), reads)
	}
	return fmt.Sprintf("%d changes, %d value reads (and %d on KV v1, which has no metadata)", r.changes(), reads, v1), nil
}

func (s *stage) oneChange(ctx context.Context, _ screen) (string, error) {
	if err := s.writeVault(ctx, "POST", changed, map[string]any{"data": data{"password": rand.Text()}}); err != nil {
		return "", err
	}
	tick := s.host.Tick(ctx, "SyncFromVault")
	if tick.Err != nil {
		return "", tick.Err
	}
	kv, _ := s.keyVault.Secret("webapp-prod-db-password")
	if n := len(kv.Versions); n != 2 {
		return "", fmt.Errorf("webapp-prod-db-password has %d versions, not 2", n)
	}
	return "1 update of webapp-prod-db-password, by the timer", nil
}

func (s *stage) nearExpiry(ctx context.Context, _ screen) (string, error) {
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
				return "", done.Err
			}
			delivered++
		}
	}
	after, _ := s.keyVault.Secret(rotated)
	if n := len(after.Versions) - len(before.Versions); delivered != 2 || n != 1 {
		return "", fmt.Errorf("%d deliveries made %d new versions, not 2 and 1", delivered, n)
	}
	days := time.Until(after.CurrentVersion().Expires).Hours() / 24
	return fmt.Sprintf("exactly 1 new version of %s, good for %.0f days", rotated, days), nil
}

func (s *stage) forcedResync(ctx context.Context, _ screen) (string, error) {
	r, err := s.sync(ctx, `{"full":true}`)
	if err != nil {
		return "", err
	}
	if r.changes() != 0 {
		return "", fmt.Errorf("%d changes, not 0", r.changes())
	}
	return fmt.Sprintf("every value compared on both sides, %d equal", r.Counts["unchanged"]), nil
}
