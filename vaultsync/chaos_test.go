package vaultsync_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestChaos: one call of ten fails, in every way a call can fail, and the process is killed at 50 moments, while both
// sides are edited between the runs. It comes to the destination of a life without trouble; no value is there in more
// versions than answers to its writes were lost; and nothing is ever taken away that lives in Vault.
func TestChaos(t *testing.T) {
	const seed = 1
	var clean map[string]outcome
	calls := make([]int, len(story))
	onEmulator(t, func(_ *testing.T, r *rig) {
		h := newHistory(r, seed)
		for i, happens := range story {
			h.edit(happens)
			r.toVault.counted()
			r.toKeyVault.counted()
			r.syncWith(h.options)
			calls[i] = total(r.toVault.counted()) + total(r.toKeyVault.counted())
		}
		clean = r.outcomes()
	})
	onEmulator(t, func(t *testing.T, r *rig) {
		h := newHistory(r, seed)
		chaos := &chaos{rig: r, history: h, random: rand.New(rand.NewPCG(seed, 99)), lost: map[string]int{}}
		for i, happens := range story {
			h.edit(happens)
			chaos.phase(10, calls[i])
		}
		chaos.compare(clean, r.outcomes())
		t.Logf("%d lives, %d kills, %d calls failed, %d answers to writes lost", chaos.lives, chaos.kills, chaos.failed, total(chaos.lost))
		if chaos.kills < 10*len(story) {
			t.Errorf("killed %d times only", chaos.kills)
		}
	})
}

func total(m map[string]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}

// outcome is what chaos must not change about a secret in Key Vault.
type outcome struct {
	state    string
	versions int
}

func (r *rig) outcomes() map[string]outcome {
	all := map[string]outcome{}
	for _, s := range r.store.Secrets() {
		if secret.Own(s.Name) {
			continue
		}
		v := s.CurrentVersion()
		all[s.Name] = outcome{
			state: fmt.Sprint(s.State, v.Value, v.ContentType, v.Disabled, v.Tags[secret.TagVaultField], v.Tags[secret.TagVaultVersion],
				v.Tags[secret.TagAuthority], v.Tags[secret.TagRemoved] != "", v.Tags["owner"], len(v.Tags)),
			versions: len(s.Versions),
		}
	}
	return all
}

// chaos lives a history in many short lives.
type chaos struct {
	rig     *rig
	history *history
	random  *rand.Rand
	mu      sync.Mutex
	lives   int
	kills   int
	failed  int
	lost    map[string]int // answers to writes, by name
}

// phase lives until it was killed so often, and then until a run covers everything.
func (c *chaos) phase(kills, calls int) {
	for n := 0; n < kills; {
		if killed, _ := c.life(1 + c.draw(calls)); killed {
			n++
		} else {
			calls = 60 // nothing is left to do: it must be killed early
		}
	}
	for range 100 {
		if _, err := c.life(0); err == nil {
			return
		}
	}
	c.rig.t.Fatal("it does not come to an end")
}

func (c *chaos) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

// life is one process: it runs a sync, and is killed at its n-th call; 0 for never.
func (c *chaos) life(n int) (killed bool, err error) {
	r := c.rig
	c.lives++
	ctx, cancel := context.WithTimeout(r.t.Context(), 9*time.Minute)
	defer cancel()
	l := &life{chaos: c, left: n, cancel: cancel}
	r.toVault.meet(l.meets)
	r.toKeyVault.meet(l.meets)
	r.source, r.destination = r.open(vault.Token(secret.New(r.server.root))), r.openKeyVault()
	store := mortal{r.leases, l}
	e := r.engine(c.history.options, func(o *vaultsync.Options) {
		o.Records, o.Alerts = store, &desk{}
		o.Lock = func(ctx context.Context, name string, fn func(context.Context) error) error {
			return state.Hold(ctx, store, name, fmt.Sprintf("life %d", c.lives), fn)
		}
	})
	_, err = e.Sync(ctx, vaultsync.Scope{})
	if l.dead {
		c.kills++
	}
	r.pass(2 * time.Minute) // its lease runs out
	c.nothingLost()
	return l.dead, err
}

// nothingLost checks that what has always been in Vault, and nobody touched in Key Vault, is there and on.
func (c *chaos) nothingLost() {
	c.rig.t.Helper()
	h := c.history
	for place, fields := range h.fields {
		if fields == "" || h.touched[place] {
			continue
		}
		name := vaultsync.ComputeName(place[2:])
		if place[0] == '2' {
			name += "-user"
		}
		if s, there := c.rig.store.Secret(name); there && (s.State != "active" || s.CurrentVersion().Disabled) {
			c.rig.t.Fatalf("%s lives in Vault and is %s", name, s.State)
		}
	}
}

// compare compares a life with trouble with one without.
func (c *chaos) compare(clean, wild map[string]outcome) {
	t := c.rig.t
	t.Helper()
	for name := range clean {
		if _, there := wild[name]; !there {
			t.Errorf("%s is missing", name)
		}
	}
	for name, got := range wild {
		want, known := clean[name]
		switch {
		case !known:
			t.Errorf("%s is there and should not be", name)
		case got.state != want.state:
			t.Errorf("%s\ngot  %s\nwant %s", name, got.state, want.state)
		case got.versions > want.versions+c.lost[name]:
			t.Errorf("%s has %d versions, %d without trouble, and %d answers were lost", name, got.versions, want.versions, c.lost[name])
		}
	}
}

// life is what a process meets. Once it is dead no call of it gets anywhere.
type life struct {
	chaos  *chaos
	cancel context.CancelFunc
	left   int // calls until the end
	dead   bool
}

// meets draws what happens to a call.
func (l *life) meets(call string, _ *http.Request) faults.Fault {
	c := l.chaos
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.dead {
		return faults.ResetBefore()
	}
	if l.left--; l.left == 0 {
		l.dead = true
		defer l.cancel()
		if c.random.IntN(2) == 0 {
			return faults.ResetBefore()
		}
		return c.unheard(call, faults.ResetAfter())
	}
	if c.random.IntN(10) != 0 {
		return c.unheard(call, l.arrives)
	}
	c.failed++
	switch c.random.IntN(8) {
	case 0, 1:
		return answer(http.StatusTooManyRequests, `{"errors":["too many"],"error":{"code":"Throttled","message":"m"}}`)
	case 2:
		return answer(http.StatusInternalServerError, `{"errors":["internal error"],"error":{"code":"InternalServerError","message":"m"}}`)
	case 3:
		return c.unheard(call, failedAfter)
	case 4:
		return faults.ResetBefore()
	case 5:
		return c.unheard(call, faults.ResetAfter())
	case 6:
		return faults.Hang()
	}
	return c.unheard(call, faults.HangAfter())
}

// failedAfter does what was asked and says that it failed.
func failedAfter(w http.ResponseWriter, r *http.Request, next http.Handler) {
	func() {
		defer func() { _ = recover() }()
		faults.ResetAfter()(w, r, next)
	}()
	w.WriteHeader(http.StatusInternalServerError)
}

// arrives lets a call through. One whose process died meanwhile still does its work.
func (l *life) arrives(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(w, r)
	if r.Context().Err() == nil {
		w.Header().Set(heard, "yes")
	}
}

// heard is set on an answer that somebody waits for.
const heard = "X-Heard"

// unheard counts the writes whose answer is lost.
func (c *chaos) unheard(call string, f faults.Fault) faults.Fault {
	if call != http.MethodPut {
		return f
	}
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		defer func() {
			if w.Header().Get(heard) == "" {
				c.mu.Lock()
				c.lost[path.Base(r.URL.Path)]++
				c.mu.Unlock()
			}
		}()
		f(w, r, next)
	}
}
