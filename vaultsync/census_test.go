package vaultsync

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
)

// TestStateSurvivesTheCensus: a State comes back as it was, its times in UTC.
func TestStateSurvivesTheCensus(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	rule := &Rule{}
	for name, s := range map[string]State{
		"zero":           {},
		"written":        {Version: 7, Created: at},
		"deleted, gone":  {Version: 1, Created: at, Deletion: at.Add(time.Second), Destroyed: true},
		"far times":      {Version: 1, Created: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), Deletion: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
		"many versions":  {Version: 1<<31 - 1, Created: at},
		"with a comment": {Version: 2, Created: at, Custom: map[string]string{"owner": "blue"}},
	} {
		var c census
		e := Entry{Rule: rule, Path: "a", Ref: "secret/a"}
		c.found(e, nil)
		if _, known := c.state(e.id()); known {
			t.Errorf("%s: known before it was learned", name)
		}
		c.learn(e.id(), s)
		got, known := c.state(e.id())
		if diff := cmp.Diff(s, got); diff != "" || !known {
			t.Errorf("%s: known %v (-want +got):\n%s", name, known, diff)
		}
	}
}

// TestBothSidesMeetOnce whichever shows the secret first, and however many copies there are.
func TestBothSidesMeetOnce(t *testing.T) {
	e := Entry{Rule: &Rule{}, Path: "a", Ref: "secret/a"}
	var c census
	if _, met := c.found(e, nil); met {
		t.Error("met before the destination showed it")
	}
	for i, want := range []bool{true, false} {
		if n, ref, met := c.copied(e.id()); n != 0 || ref != e.Ref || met != want {
			t.Errorf("copy %d: number %d, ref %q, met %v, want 0, %q, %v", i, n, ref, met, e.Ref, want)
		}
	}
	c = census{}
	for range 2 {
		if _, ref, met := c.copied(e.id()); ref != "" || met {
			t.Error("met before the source showed it")
		}
	}
	if _, known := c.state(e.id()); known {
		t.Error("a state of what the source has not shown")
	}
	if _, met := c.found(e, nil); !met {
		t.Error("not met although the destination showed it")
	}
	if _, _, met := c.copied(e.id()); met {
		t.Error("met twice")
	}
}

// slow is a Source whose metadata takes a second.
type slow struct {
	Source
	busy, most, reads atomic.Int32
}

func (s *slow) Metadata(ctx context.Context, _ Mount, path string) (State, error) {
	s.reads.Add(1)
	if n := s.busy.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.busy.Add(-1)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return State{}, ctx.Err()
	}
	if path == "sick" {
		return State{}, secret.ErrUnavailable
	}
	return State{Version: 1}, nil
}

// TestLookaheadHoldsNobodyUp: who asks it to read goes on at once, it reads as many at a time as there are workers, and
// what it could not read stays unknown.
func TestLookaheadHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, c := &slow{}, &census{}
		l := lookahead{engine: &Engine{Options{Sources: map[string]Source{DefaultSource: source}, Workers: 3}}, census: c}
		began := time.Now()
		for _, p := range []string{"a", "b", "c", "d", "sick", "old"} {
			e := Entry{Rule: &Rule{}, Mount: Mount{Path: "secret", Version: 2}, Path: p, Ref: "secret/" + p}
			if p == "old" {
				e.Mount.Version = 1
			}
			n, _ := c.found(e, nil)
			l.read(t.Context(), n)
		}
		if time.Since(began) > 0 {
			t.Error("asking took time")
		}
		l.wait()
		if took, reads := time.Since(began), source.reads.Load(); took != 2*time.Second || reads != 5 || source.most.Load() != 3 {
			t.Errorf("%d reads, %d at once, took %v; want 5, 3, 2s", reads, source.most.Load(), took)
		}
		for p, want := range map[string]bool{"a": true, "d": true, "sick": false, "old": false} {
			if _, known := c.state(ident{DefaultSource, "secret/" + p}); known != want {
				t.Errorf("%s known: %v", p, known)
			}
		}
	})
}

// TestLookaheadEndsWithItsContext: what is queued then is not read.
func TestLookaheadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, c := &slow{}, &census{}
		l := lookahead{engine: &Engine{Options{Sources: map[string]Source{DefaultSource: source}, Workers: 1}}, census: c}
		ctx, stop := context.WithCancel(t.Context())
		for _, p := range []string{"a", "b", "c"} {
			n, _ := c.found(Entry{Rule: &Rule{}, Mount: Mount{Path: "secret", Version: 2}, Path: p, Ref: "secret/" + p}, nil)
			l.read(ctx, n)
		}
		synctest.Wait()
		stop()
		l.wait()
		if n := source.reads.Load(); n != 1 {
			t.Errorf("%d reads, want the one that was under way", n)
		}
	})
}
