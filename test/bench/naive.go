package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// naiveLoop is the loop of the migration guides, the measure of our speed: one
// worker lists a folder and then, secret by secret, reads the value, reads the
// metadata and sets. It does the same work each time it is run, and the same for
// each secret, so one folder is enough to know its rate. Returned is the time
// per secret, at the distance of the figures, into a Key Vault of its own.
func (l *lab) naiveLoop(ctx context.Context) (time.Duration, error) {
	if l.naive > 0 {
		return l.naive, nil
	}
	c, err := l.copied(ctx, estateSize)
	if err != nil {
		return 0, err
	}
	f, err := l.far(ctx, away)
	if err != nil {
		return 0, err
	}
	source, err := c.source(f)
	if err != nil {
		return 0, err
	}
	to, err := newDestination(ctx, f)
	if err != nil {
		return 0, err
	}
	folder, _, _ := strings.Cut(path(0), "/")
	begin := time.Now()
	names, err := source.List(ctx, c.mount, folder+"/")
	if err != nil {
		return 0, fmt.Errorf("naive loop: %w", err)
	}
	for _, name := range names {
		_, fields, err := source.Read(ctx, c.mount, folder+"/"+name)
		if err != nil {
			return 0, fmt.Errorf("naive loop: %w", err)
		}
		if _, err := source.Metadata(ctx, c.mount, folder+"/"+name); err != nil {
			return 0, fmt.Errorf("naive loop: %w", err)
		}
		if _, err := to.Set(ctx, name, secret.Draft{Value: fields["password"]}); err != nil {
			return 0, fmt.Errorf("naive loop: %w", err)
		}
	}
	took := time.Since(begin)
	if len(names) != folderSize {
		return 0, fmt.Errorf("naive loop: %d secrets in a folder, want %d", len(names), folderSize)
	}
	l.naive = took / folderSize
	return l.naive, nil
}

// against tells how a ratio to the naive loop came about.
func (l *lab) against(what string, n int, took time.Duration) string {
	return fmt.Sprintf("%s of %d secrets of the %s %.0f/s in %.1f s; naive loop %.1f/s, measured on %d of them and scaled",
		what, n, l.server, rate(n, took), took.Seconds(), rate(1, l.naive), folderSize)
}
