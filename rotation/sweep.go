package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// Swept is what a sweep did.
type Swept struct {
	Outcomes []Outcome // of the secrets that were worked on, by name
	Scanned  bool      // all secrets were looked through for what is due
	Alerts   int       // messages that were taken
}

// sweepers is how many secrets a sweep works on at once.
const sweepers = 4

// Sweep does what nobody asks for: it goes on with open rotations, ends graces, finds once in an hour what is due though
// its event never came, candidates of which no record tells and secrets that lost their rotation-type, and sends the
// alerts that were not delivered, many of a type as one digest.
//
// It does as much as it can; the error joins what failed. Secrets that another run works on are left to it.
func (e *Engine) Sweep(ctx context.Context) (Swept, error) {
	if e.Settings.Paused {
		return Swept{}, nil
	}
	open, err := e.entries(ctx)
	if err != nil && open == nil {
		return Swept{}, err
	}
	faults := []error{err}
	asks := map[string]ask{}
	for name, n := range open {
		if n.calls(e.Now()) {
			asks[name] = ask{Request: Request{Name: n.Secret, Cause: CauseSweep}, quiet: true}
		}
	}
	scanned, err := e.scan(ctx, open, asks)
	faults = append(faults, err)
	done, err := e.attendAll(ctx, asks)
	faults = append(faults, err)

	owing, err := e.entries(ctx)
	faults = append(faults, err)
	sent, err := e.deliverAll(ctx, owing.sorted())
	faults = append(faults, err)
	return Swept{Outcomes: done, Scanned: scanned, Alerts: sent}, errors.Join(faults...)
}

func (e *Engine) attendAll(ctx context.Context, asks map[string]ask) ([]Outcome, error) {
	var work errgroup.Group
	work.SetLimit(sweepers)
	var mu sync.Mutex
	var all []Outcome
	var faults []error
	for _, a := range asks {
		work.Go(func() error {
			if ctx.Err() != nil {
				return nil // the joined error of one of them says so
			}
			done, err := e.attend(ctx, a)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				all = append(all, done)
			case !errors.Is(err, secret.ErrLeaseHeld):
				faults = append(faults, err)
			}
			return nil
		})
	}
	_ = work.Wait() // its errors are in faults
	if ctx.Err() != nil {
		faults = append(faults, context.Cause(ctx))
	}
	slices.SortFunc(all, func(a, b Outcome) int { return strings.Compare(a.Name, b.Name) })
	return all, errors.Join(faults...)
}

// book is the open records by the folded name of their secrets.
type book map[string]*entry

func (b book) sorted() []*entry {
	all := make([]*entry, 0, len(b))
	for _, n := range b {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.key, b.key) })
	return all
}

// entries reads all records. One that cannot be read is in the error and, unless it is gone, in the book as a frozen one.
func (e *Engine) entries(ctx context.Context) (book, error) {
	prefix := recordPrefix(e.Scope)
	keys, err := e.Records.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list rotations: %w", err)
	}
	all := make(book, len(keys))
	var faults []error
	for _, key := range keys {
		name := strings.TrimPrefix(key, prefix)
		if !secret.ValidName(name) {
			continue
		}
		n, err := e.load(ctx, name)
		switch {
		case errors.Is(err, secret.ErrInvalid):
			n.frozen = true
			faults = append(faults, err)
		case err != nil:
			faults = append(faults, err)
			continue
		case n.etag == "":
			continue // removed since it was listed
		}
		all[name] = n
	}
	return all, errors.Join(faults...)
}
