package vaultsync

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// gathered is what both sides hold, before anything is decided.
type gathered struct {
	rows    shelf            // destination; Keyferry's own left out
	entries []Entry          // source, what the rules select; not yet named
	source  census           // what is known of them
	proof   *proof           // what of the source was seen
	fields  map[ident]Fields // of secrets whose data had to be read to know their keys
}

// gather lists the destination and walks the source at the same time, because the one is bound by pages that follow
// one another and the other by calls at once. As soon as both sides have shown a secret its metadata is read: it is
// sure to be needed, and by the time the last page is there most of it is known.
func (e *Engine) gather(ctx context.Context, s Scope, report *Report) (*gathered, error) {
	g := &gathered{fields: map[ident]Fields{}}
	ahead := &lookahead{engine: e, scope: s, census: &g.source}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	both, listing := errgroup.WithContext(ctx) // ends with the listings, and the reads go on
	both.Go(func() error {
		for m, err := range e.Destination.List(listing) {
			if err != nil {
				return fmt.Errorf("list the destination: %w", err)
			}
			if secret.Own(m.Name) {
				continue
			}
			r := newRow(m)
			if r.path == "" {
				g.rows.put(r, "")
				continue
			}
			path, _, _ := strings.Cut(r.path, "#") // a '#' of the path itself is escaped
			n, ref, met := g.source.copied(ident{r.source, path})
			g.rows.put(r, ref)
			if met {
				ahead.read(reading, n)
			}
		}
		return nil
	})
	both.Go(func() error {
		var err error
		g.proof, err = e.walk(listing, report, func(entry Entry, told *State) {
			if told != nil {
				kept := entry.keep(*told)
				told = &kept
			}
			if s.Full {
				told = nil // trust no fingerprint
			}
			if n, met := g.source.found(entry, told); met {
				ahead.read(reading, n)
			}
		})
		if err != nil {
			return fmt.Errorf("walk the source: %w", err)
		}
		return nil
	})
	err := both.Wait()
	if err != nil {
		stop()
	}
	ahead.wait()
	g.entries = g.source.take()
	return g, err
}
