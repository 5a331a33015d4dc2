package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// scanEvery is how often all secrets are looked through.
const scanEvery = time.Hour

// census is what a scan remembers for the next one: which secrets had a rotation-type. A version that is written by hand
// carries no tags over, so that nobody would rotate it and nothing would say so.
type census struct {
	At    time.Time `json:"at"`
	Typed []string  `json:"typed"` // prints of folded names, sorted
}

// scan adds to asks what a look through all secrets shows, if the last one was long enough ago. It reads no value.
func (e *Engine) scan(ctx context.Context, open book, asks map[string]ask) (bool, error) {
	if e.List == nil {
		return false, nil
	}
	key := inScope(e.Scope, "rotation-census")
	before, etag, err := e.lastCensus(ctx, key)
	now := e.Now()
	if err != nil || now.Sub(before.At) < scanEvery {
		return false, err
	}
	after := census{At: now}
	seen := map[string]bool{}
	for meta, err := range e.List(ctx) {
		if err != nil {
			return false, fmt.Errorf("look for what is due: %w", err)
		}
		name := secret.FoldName(meta.Name)
		seen[name] = true
		if hasType(meta) {
			after.Typed = append(after.Typed, printOfName(name))
		}
		if secret.IsPending(name) {
			e.stray(meta, open, asks)
			continue
		}
		f := facts{request: Request{Name: meta.Name, Cause: CauseSweep}, meta: meta, now: now, vanished: before.had(name) && !hasType(meta)}
		if e.concerns(f, open[name]) {
			if _, asked := asks[name]; !asked {
				asks[name] = ask{Request: f.request, quiet: true, vanished: f.vanished}
			}
		}
	}
	if e.StagingList != nil {
		for meta, err := range e.StagingList(ctx) {
			if err != nil {
				return false, fmt.Errorf("look for candidates: %w", err)
			}
			e.stray(meta, open, asks)
		}
	}
	for name, n := range open {
		if _, asked := asks[name]; !asked && !seen[name] && n.Flight == nil {
			asks[name] = ask{Request: Request{Name: n.Secret, Cause: CauseSweep}, quiet: true} // it was deleted
		}
	}
	slices.Sort(after.Typed)
	data, err := json.Marshal(after)
	if err == nil {
		_, err = e.Records.Put(ctx, key, data, etag)
	}
	if errors.Is(err, secret.ErrConflict) {
		return true, nil // another sweep was there
	}
	return true, err
}

func (e *Engine) lastCensus(ctx context.Context, key string) (census, string, error) {
	var c census
	got, err := e.Records.Get(ctx, key)
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return c, "", nil
	case err != nil:
		return c, "", fmt.Errorf("read the last census: %w", err)
	}
	if json.Unmarshal(got.Data, &c) != nil {
		c = census{} // what cannot be read is as good as none
	}
	return c, got.ETag, nil
}

func (c census) had(name string) bool {
	_, found := slices.BinarySearch(c.Typed, printOfName(name))
	return found
}

func printOfName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:6])
}

// hasType reports whether tags say how the secret is rotated.
func hasType(meta secret.Meta) bool {
	return strings.TrimSpace(meta.Tags[secret.TagRotationType]) != "" || meta.Tags[secret.TagProviderAddress] != ""
}

// concerns reports whether a secret needs a look with its lease. n is its record, if it has one.
func (e *Engine) concerns(f facts, n *entry) bool {
	d := decide(f, e.Settings, e.kinds)
	switch {
	case n == nil:
		return d.verdict != Nothing
	case n.frozen:
		return true // told at most once in an hour
	case n.Flight != nil:
		return n.Flight.Parked && d.verdict != Nothing
	case d.verdict == Nothing:
		return ends(d.reason)
	case n.Attempts > 0 && f.now.Before(n.Next):
		return false
	case d.verdict == Rotated:
		return true
	}
	_, news := n.Ladder.climb(f.meta, d.reason, f.now)
	return news
}

// stray adds the secret whose staging secret holds a candidate of which no record tells.
func (e *Engine) stray(meta secret.Meta, open book, asks map[string]ask) {
	p, err := secret.ParsePending(meta.Tags)
	if !secret.IsPending(meta.Name) || !meta.Enabled || err != nil {
		return
	}
	name := secret.FoldName(p.For)
	if n := open[name]; n != nil && n.Flight != nil {
		return
	}
	asks[name] = ask{Request: Request{Name: p.For, Cause: CauseSweep}, quiet: true, stray: true}
}
