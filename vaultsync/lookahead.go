package vaultsync

import (
	"context"
	"sync"
)

// lookahead reads the metadata of secrets that both sides hold while they are still being listed, and never holds up
// the listing. What it cannot read is read again when it is needed, and reported then.
type lookahead struct {
	engine *Engine
	scope  Scope
	census *census

	group sync.WaitGroup
	mu    sync.Mutex
	queue []int32
	busy  int // workers
}

// read queues a secret, by its number, unless its metadata is not needed.
func (l *lookahead) read(ctx context.Context, n int32) {
	e := l.census.at(n)
	if e.Mount.Version != 2 || l.scope.Full || !l.scope.holds(e) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, n)
	if l.busy < l.engine.Workers {
		l.busy++
		l.group.Go(func() { l.work(ctx) })
	}
}

// work reads until the queue is empty or the context ends.
func (l *lookahead) work(ctx context.Context) {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || ctx.Err() != nil {
			l.busy--
			l.mu.Unlock()
			return
		}
		n := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()
		e := l.census.at(n)
		s, err := l.engine.Sources[e.Rule.source()].Metadata(ctx, e.Mount, e.Path)
		if err != nil {
			continue
		}
		l.census.learn(e.id(), e.keep(s))
	}
}

// wait returns when the queue is empty and everything is read.
func (l *lookahead) wait() { l.group.Wait() }

// keep is the state without what the entry's rule does not ask for.
func (e Entry) keep(s State) State {
	if len(e.Rule.Metadata) == 0 {
		s.Custom = nil
	}
	return s
}
