package rotatortest

import (
	"context"
	"errors"
	"sync"

	"github.com/keyferry/keyferry/rotation"
)

var (
	errStopped = errors.New("the process was killed")
	errLost    = errors.New("the answer was lost")
)

// accident is what happens at one call of the rotator.
type accident string

const (
	before    accident = "killed before it is sent"
	unheard   accident = "killed after it was sent"
	answered  accident = "killed after it was answered"
	surviving accident = "its answer is lost and the process lives on"
)

// process has an accident at one call of its rotators. Once dead, every call fails.
type process struct {
	at       int // the call, from 0; -1: never
	accident accident

	mu    sync.Mutex
	calls []string
}

func (p *process) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at >= 0 && len(p.calls) > p.at && p.accident != surviving
}

// call makes a call unless the process is dead, and says whether its answer arrives.
func (p *process) call(name string, do func() error) error {
	p.mu.Lock()
	n := len(p.calls)
	p.calls = append(p.calls, name)
	p.mu.Unlock()
	switch {
	case p.at < 0 || n < p.at || n > p.at && p.accident == surviving:
		return do()
	case n > p.at || p.accident == before:
		return errStopped
	}
	err := do()
	switch p.accident {
	case answered:
		return err
	case surviving:
		return errLost
	}
	return errStopped
}

// through makes every call of a rotator one of the process. What the rotator can do stays the same.
func through(p *process, r rotation.Rotator) rotation.Rotator {
	v := verifying{p, r}
	chooser, _ := r.(rotation.Chooser)
	var retiring rotation.Retirer
	if x, ok := r.(rotation.Retirer); ok {
		retiring = retirer{p, x}
	}
	var settling rotation.Settler
	if x, ok := r.(rotation.Settler); ok {
		settling = settler{p, x}
	}
	switch x := r.(type) {
	case rotation.Minter:
		return withSettler(struct {
			verifying
			minter
		}{v, minter{p, x, retirer{p, x}}}, settling)
	case rotation.Slotter:
		return slotted(v, slotter{p, x}, retiring, settling)
	case rotation.Setter:
		return setting(v, setter{p, x}, chooser, retiring, settling)
	}
	return struct {
		verifying
		rotation.Chooser
	}{v, chooser}
}

func withSettler(m rotation.Minter, s rotation.Settler) rotation.Rotator {
	if s == nil {
		return m
	}
	return struct {
		rotation.Minter
		rotation.Settler
	}{m, s}
}

func slotted(v verifying, x slotter, r rotation.Retirer, s rotation.Settler) rotation.Rotator {
	type base struct {
		verifying
		slotter
	}
	b := base{v, x}
	switch {
	case r != nil && s != nil:
		return struct {
			base
			rotation.Retirer
			rotation.Settler
		}{b, r, s}
	case r != nil:
		return struct {
			base
			rotation.Retirer
		}{b, r}
	case s != nil:
		return struct {
			base
			rotation.Settler
		}{b, s}
	}
	return b
}

func setting(v verifying, x setter, c rotation.Chooser, r rotation.Retirer, s rotation.Settler) rotation.Rotator {
	type base struct {
		verifying
		setter
	}
	type choosing struct {
		base
		rotation.Chooser
	}
	b := base{v, x}
	switch {
	case c != nil && r != nil && s != nil:
		return struct {
			choosing
			rotation.Retirer
			rotation.Settler
		}{choosing{b, c}, r, s}
	case c != nil && r != nil:
		return struct {
			choosing
			rotation.Retirer
		}{choosing{b, c}, r}
	case c != nil && s != nil:
		return struct {
			choosing
			rotation.Settler
		}{choosing{b, c}, s}
	case c != nil:
		return choosing{b, c}
	case r != nil && s != nil:
		return struct {
			base
			rotation.Retirer
			rotation.Settler
		}{b, r, s}
	case r != nil:
		return struct {
			base
			rotation.Retirer
		}{b, r}
	case s != nil:
		return struct {
			base
			rotation.Settler
		}{b, s}
	}
	return b
}

type verifying struct {
	p *process
	r rotation.Rotator
}

func (v verifying) Verify(ctx context.Context, c rotation.Credential) error {
	return v.p.call("Verify", func() error { return v.r.Verify(ctx, c) })
}

type setter struct {
	p *process
	s rotation.Setter
}

func (s setter) Set(ctx context.Context, now, next rotation.Credential) error {
	return s.p.call("Set", func() error { return s.s.Set(ctx, now, next) })
}

type retirer struct {
	p *process
	r rotation.Retirer
}

func (r retirer) Retire(ctx context.Context, old, now rotation.Credential) error {
	return r.p.call("Retire", func() error { return r.r.Retire(ctx, old, now) })
}

type settler struct {
	p *process
	s rotation.Settler
}

func (s settler) Settle(ctx context.Context, now rotation.Credential) error {
	return s.p.call("Settle", func() error { return s.s.Settle(ctx, now) })
}

type slotter struct {
	p *process
	s rotation.Slotter
}

func (s slotter) Slots(ctx context.Context) (slots [2]rotation.Credential, err error) {
	err = s.p.call("Slots", func() (err error) {
		slots, err = s.s.Slots(ctx)
		return err
	})
	return slots, err
}

func (s slotter) Regenerate(ctx context.Context, slot string) error {
	return s.p.call("Regenerate", func() error { return s.s.Regenerate(ctx, slot) })
}

type minter struct {
	p *process
	m rotation.Minter
	retirer
}

func (m minter) Mint(ctx context.Context, label string) (c rotation.Credential, err error) {
	err = m.p.call("Mint", func() (err error) {
		c, err = m.m.Mint(ctx, label)
		return err
	})
	if err != nil {
		return rotation.Credential{}, err
	}
	return c, nil
}

func (m minter) Minted(ctx context.Context, label string) (ids []string, err error) {
	err = m.p.call("Minted", func() (err error) {
		ids, err = m.m.Minted(ctx, label)
		return err
	})
	return ids, err
}
