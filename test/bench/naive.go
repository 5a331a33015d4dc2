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
// metadata and sets. It does the same work each time it is run. It goes through
// one folder, into a vault of its own, and returns secrets per second.
func naiveLoop(ctx context.Context, e *estate) (float64, error) {
	to, err := newDestination(ctx)
	if err != nil {
		return 0, err
	}
	folder, _, _ := strings.Cut(path(0), "/")
	begin := time.Now()
	names, err := e.source.List(ctx, e.mount, folder+"/")
	if err != nil {
		return 0, fmt.Errorf("naive loop: %w", err)
	}
	for _, name := range names {
		_, fields, err := e.source.Read(ctx, e.mount, folder+"/"+name)
		if err != nil {
			return 0, fmt.Errorf("naive loop: %w", err)
		}
		if _, err := e.source.Metadata(ctx, e.mount, folder+"/"+name); err != nil {
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
	return folderSize / took.Seconds(), nil
}
