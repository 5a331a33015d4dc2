package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/state"
)

// order says which of two processes makes the next external call. Calls wait until it is their turn, and a turn ends
// when everybody waits again, so a run is a list of choices and nothing else. It works in a bubble only.
type order struct {
	choices  []int // what was chosen where there was a choice
	widths   []int // among how many
	switches int   // how often one process was interrupted for the other; those that wait by themselves do not count
	most     int   // switches there may be; negative: any number

	mu      sync.Mutex
	waiting []*turn
	trace   []string
}

// turn is a call that waits.
type turn struct {
	who  int
	what string
	come chan struct{}
}

// next makes the choices of the run after this one, and reports whether there is one.
func (o *order) next() ([]int, bool) {
	for i := len(o.choices) - 1; i >= 0; i-- {
		if o.choices[i]+1 < o.widths[i] {
			return append(slices.Clone(o.choices[:i]), o.choices[i]+1), true
		}
	}
	return nil, false
}

// call waits for the turn of a call.
func (o *order) call(who int, what string) {
	t := &turn{who, what, make(chan struct{})}
	o.mu.Lock()
	o.waiting = append(o.waiting, t)
	o.mu.Unlock()
	<-t.come
}

// run lets the processes make their calls, in the order that begins with these choices.
func (o *order) run(prefix []int, processes ...func()) {
	var left sync.WaitGroup
	over := make(chan struct{})
	for _, p := range processes {
		left.Go(p)
	}
	go func() { left.Wait(); close(over) }()
	last := -1
	for {
		synctest.Wait()
		select {
		case <-over:
			return
		default:
		}
		o.mu.Lock()
		t := o.choose(prefix, &last)
		o.mu.Unlock()
		if t == nil {
			time.Sleep(time.Second) // somebody waits for a while before asking again
			continue
		}
		close(t.come)
	}
}

// choose takes a call out of those that wait. Calls of one process at once come in the order of their names.
func (o *order) choose(prefix []int, last *int) *turn {
	if len(o.waiting) == 0 {
		return nil
	}
	slices.SortFunc(o.waiting, func(a, b *turn) int {
		return cmp.Or(cmp.Compare(min(1, max(a.who-*last, *last-a.who)), min(1, max(b.who-*last, *last-b.who))), cmp.Compare(a.who, b.who), cmp.Compare(a.what, b.what))
	})
	var first []*turn // of each process, that of the last turn before all others
	for _, t := range o.waiting {
		if len(first) == 0 || first[len(first)-1].who != t.who {
			first = append(first, t)
		}
	}
	at := slices.IndexFunc(first, func(t *turn) bool { return unseen(t.what) })
	if at < 0 {
		at = 0
		interrupts := len(first) > 1 && first[0].who == *last
		if len(first) > 1 && !(interrupts && o.switches == o.most) {
			if n := len(o.choices); n < len(prefix) {
				at = prefix[n]
			}
			o.choices, o.widths = append(o.choices, at), append(o.widths, len(first))
			if interrupts && at > 0 {
				o.switches++
			}
		}
		*last = first[at].who
	}
	t := first[at]
	o.waiting = slices.DeleteFunc(o.waiting, func(w *turn) bool { return w == t })
	o.trace = append(o.trace, fmt.Sprintf("%s: %s", []string{"rotation", "sync"}[t.who], t.what))
	return t
}

// unseen are calls whose order among those of the other process changes nothing, as the other neither reads nor writes
// what they touch: the target, the staging secret, which sync skips by its name, the key of the hash, which is there
// from the start, the alerts, the records and requests of sync's own, and who is logged in. They take no choice.
func unseen(what string) bool {
	for _, part := range []string{"target ", "keyferry--", topicHost, "/auth/", "/sys/", "sync/keyvault/"} {
		if strings.Contains(what, part) {
			return true
		}
	}
	return false
}

// turnstile carries requests when it is their turn.
type turnstile struct {
	order *order // nil: at once
	who   int
	to    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s turnstile) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.order != nil {
		s.order.call(s.who, req.Method+" "+req.URL.Host+req.URL.Path)
	}
	return s.to.RoundTrip(req)
}

// taking is a store whose calls wait for their turn, renewals excepted: time decides those.
type taking struct {
	store
	order *order
	who   int
}

func (s taking) Acquire(ctx context.Context, name, holder string) (state.Lease, error) {
	s.order.call(s.who, "acquire "+name)
	return s.store.Acquire(ctx, name, holder)
}

func (s taking) Release(ctx context.Context, l state.Lease) error {
	s.order.call(s.who, "release "+l.Name)
	return s.store.Release(ctx, l)
}

func (s taking) Get(ctx context.Context, key string) (state.Record, error) {
	s.order.call(s.who, "read "+key)
	return s.store.Get(ctx, key)
}

func (s taking) Put(ctx context.Context, key string, data []byte, etag string) (string, error) {
	s.order.call(s.who, "write "+key)
	return s.store.Put(ctx, key, data, etag)
}

func (s taking) Delete(ctx context.Context, key, etag string) error {
	s.order.call(s.who, "delete "+key)
	return s.store.Delete(ctx, key, etag)
}

func (s taking) List(ctx context.Context, prefix string) ([]string, error) {
	s.order.call(s.who, "list "+prefix)
	return s.store.List(ctx, prefix)
}

// account is a target with passwords, the newest of which always works.
type account struct {
	mu    sync.Mutex
	valid map[string]bool
	order *order
}

func (a *account) kind() rotation.Kind {
	return rotation.Define("account", "an account of tests", func(rotation.Deps, struct{}) (rotation.Rotator, error) { return a, nil })
}

func (a *account) call(what string) {
	if a.order != nil {
		a.order.call(0, "target "+what)
	}
}

func (a *account) accepts(password string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.valid[password]
}

func (a *account) Verify(_ context.Context, c rotation.Credential) error {
	a.call("verify")
	if !a.accepts(c.Secret.Reveal()) {
		return rotation.ErrDenied
	}
	return nil
}

func (a *account) Set(_ context.Context, now, next rotation.Credential) error {
	a.call("set")
	if !a.accepts(now.Secret.Reveal()) {
		return rotation.ErrDenied
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.valid = map[string]bool{next.Secret.Reveal(): true}
	return nil
}
