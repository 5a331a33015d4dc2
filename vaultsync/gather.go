package vaultsync

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/keyferry/keyferry/secret"
)

// gathered is what both sides hold, before anything is decided.
type gathered struct {
	rows    map[string]*row // destination, by folded name; Keyferry's own left out
	entries []Entry         // source, what the rules select; not yet named
	proof   *proof          // what of the source was seen
	states  map[ident]State
	fields  map[ident]Fields // of secrets whose data had to be read to know their keys
}

// gather lists the destination and walks the source at the same time, because the one is bound by pages that follow
// one another and the other by calls at once. As soon as both sides have shown a secret its metadata is read: it is
// sure to be needed, and by the time the last page is there most of it is known.
func (e *Engine) gather(ctx context.Context, s Scope, report *Report) (*gathered, error) {
	g := &gathered{rows: map[string]*row{}, states: map[ident]State{}, fields: map[ident]Fields{}}
	ahead := &lookahead{engine: e, scope: s, states: g.states, seen: map[ident]bool{}, places: map[ident]Entry{}}
	ahead.group.SetLimit(e.Workers)
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
			g.rows[secret.FoldName(m.Name)] = r
			ahead.row(ctx, r)
		}
		return nil
	})
	both.Go(func() error {
		var err error
		g.entries, g.proof, err = e.walk(listing, report, func(entry Entry, s *State) { ahead.entry(ctx, entry, s) })
		if err != nil {
			return fmt.Errorf("walk the source: %w", err)
		}
		return nil
	})
	err := both.Wait()
	_ = ahead.group.Wait()
	return g, err
}

// lookahead reads the metadata of secrets that both sides hold while they are still being listed. What it cannot read
// is read again when it is needed, and reported then.
type lookahead struct {
	engine *Engine
	scope  Scope
	group  errgroup.Group

	mu     sync.Mutex
	seen   map[ident]bool  // secrets the destination has shown, not yet met
	places map[ident]Entry // secrets the source has shown, not yet met
	states map[ident]State
}

// row is told of each secret the destination lists.
func (l *lookahead) row(ctx context.Context, r *row) {
	if r.path == "" {
		return
	}
	path, _, _ := strings.Cut(r.path, "#") // a '#' of the path itself is escaped
	id := ident{r.source, path}
	l.mu.Lock()
	place, met := l.places[id]
	if met {
		delete(l.places, id)
	} else {
		l.seen[id] = true
	}
	l.mu.Unlock()
	if met {
		l.read(ctx, place)
	}
}

// entry is told of each secret the source lists, with its state where the listing had it.
func (l *lookahead) entry(ctx context.Context, e Entry, s *State) {
	if e.Mount.Version != 2 || l.scope.Full || !l.scope.holds(e) {
		return
	}
	id := e.id()
	l.mu.Lock()
	if s != nil {
		l.states[id] = e.keep(*s)
		l.mu.Unlock()
		return
	}
	met := l.seen[id]
	if met {
		delete(l.seen, id)
	} else {
		l.places[id] = e
	}
	l.mu.Unlock()
	if met {
		l.read(ctx, e)
	}
}

func (l *lookahead) read(ctx context.Context, e Entry) {
	id := e.id()
	l.mu.Lock()
	_, known := l.states[id]
	if !known {
		l.states[id] = State{} // taken; as:key has several rows for one path
	}
	l.mu.Unlock()
	if known {
		return
	}
	l.group.Go(func() error {
		s, err := l.engine.Sources[e.Rule.source()].Metadata(ctx, e.Mount, e.Path)
		s = e.keep(s)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			delete(l.states, id)
		} else {
			l.states[id] = s
		}
		return nil
	})
}

// keep is the state without what the entry's rule does not ask for.
func (e Entry) keep(s State) State {
	if len(e.Rule.Metadata) == 0 {
		s.Custom = nil
	}
	return s
}
