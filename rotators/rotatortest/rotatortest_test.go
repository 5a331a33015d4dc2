package rotatortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators"
	"github.com/keyferry/keyferry/secret"
)

const first = "first-value-0x2a"

// place is a target with accounts, each with its passwords.
type place struct {
	mu    sync.Mutex
	users map[string][]string
}

func newPlace(users ...string) *place {
	p := &place{users: map[string][]string{}}
	for _, u := range users {
		p.users[u] = []string{first}
	}
	return p
}

func (p *place) Verify(ctx context.Context, c rotation.Credential) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !slices.Contains(p.users[c.User], c.Secret.Reveal()) {
		return rotation.ErrDenied
	}
	return nil
}

func (p *place) change(ctx context.Context, by rotation.Credential, do func()) error {
	if err := p.Verify(ctx, by); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	return nil
}

// one replaces the password, by itself.
type one struct{ *place }

func (o one) Set(ctx context.Context, now, next rotation.Credential) error {
	return o.change(ctx, now, func() { o.users[now.User] = []string{next.Secret.Reveal()} })
}

// many keeps the old password until it is retired.
type many struct{ *place }

func (m many) Set(ctx context.Context, now, next rotation.Credential) error {
	return m.change(ctx, now, func() { m.users[now.User] = append(m.users[now.User], next.Secret.Reveal()) })
}

func (m many) Retire(ctx context.Context, old, now rotation.Credential) error {
	return m.change(ctx, now, func() {
		m.users[now.User] = slices.DeleteFunc(m.users[now.User], func(s string) bool { return s == old.Secret.Reveal() })
	})
}

func (many) Settle(ctx context.Context, _ rotation.Credential) error { return ctx.Err() }

// turns alternates between two users; the admin changes them.
type turns struct {
	*place
	admin rotation.Credential
}

func (w turns) Choose(now rotation.Credential, random io.Reader) (rotation.Credential, error) {
	value, err := rotation.Policy{}.Choose(random)
	return rotation.Credential{User: map[string]string{"a": "b", "b": "a"}[now.User], Secret: value}, err
}

func (w turns) Set(ctx context.Context, _, next rotation.Credential) error {
	return w.change(ctx, w.admin, func() { w.users[next.User] = []string{next.Secret.Reveal()} })
}

func (w turns) Retire(ctx context.Context, old, now rotation.Credential) error {
	return w.change(ctx, w.admin, func() {
		if old.User != now.User {
			delete(w.users, old.User)
		}
	})
}

// pair has two slots.
type pair struct {
	mu     sync.Mutex
	keys   [2]string
	serial int
}

func (p *pair) Verify(ctx context.Context, c rotation.Credential) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !slices.Contains(p.keys[:], c.Secret.Reveal()) {
		return rotation.ErrDenied
	}
	return nil
}

func (p *pair) Slots(ctx context.Context) (slots [2]rotation.Credential, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, key := range p.keys {
		slots[i] = rotation.Credential{ID: fmt.Sprint("key", i+1), Secret: secret.New(key)}
	}
	return slots, ctx.Err()
}

func (p *pair) Regenerate(ctx context.Context, slot string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := map[string]int{"key1": 1, "key2": 2}[slot] - 1
	if i < 0 || ctx.Err() != nil {
		return errors.Join(ctx.Err(), errors.New("no such slot"))
	}
	p.serial++
	p.keys[i] = fmt.Sprintf("regenerated-%d-0x2a", p.serial)
	return nil
}

// maker makes credentials.
type maker struct {
	mu     sync.Mutex
	values map[string]string
	labels map[string]string
	serial int
}

func (m *maker) Verify(ctx context.Context, c rotation.Credential) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !slices.Contains(slices.Collect(maps.Values(m.values)), c.Secret.Reveal()) {
		return rotation.ErrDenied
	}
	return nil
}

func (m *maker) Mint(ctx context.Context, label string) (rotation.Credential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return rotation.Credential{}, ctx.Err()
	}
	m.serial++
	id := fmt.Sprint("id-", m.serial)
	m.values[id], m.labels[id] = fmt.Sprintf("minted-%d-0x2a", m.serial), label
	return rotation.Credential{ID: id, Secret: secret.New(m.values[id])}, nil
}

func (m *maker) Minted(ctx context.Context, label string) (ids []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.values {
		if m.labels[id] == label {
			ids = append(ids, id)
		}
	}
	return ids, ctx.Err()
}

func (m *maker) Retire(ctx context.Context, old, _ rotation.Credential) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() == nil {
		delete(m.values, old.ID)
	}
	return ctx.Err()
}

func subject(r func() rotation.Rotator, change ...func(*Subject)) func(*testing.T) Subject {
	return func(*testing.T) Subject {
		made := r()
		s := Subject{
			Kind:    rotation.Define("fake", "a target of tests", func(rotation.Deps, struct{}) (rotation.Rotator, error) { return made, nil }),
			Current: rotation.Credential{User: "app", Secret: secret.New(first)},
		}
		for _, c := range change {
			c(&s)
		}
		return s
	}
}

func accounts(p *place) func(s *Subject) {
	return func(s *Subject) {
		s.WithUser = func(_ *testing.T, user, password string) (rotation.Credential, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.users[user] = []string{password}
			return rotation.Credential{User: user, Secret: secret.New(password)}, nil
		}
	}
}

func TestSoundRotatorsPass(t *testing.T) {
	t.Run("one password", func(t *testing.T) {
		Run(t, func(t *testing.T) Subject {
			p := newPlace("app")
			return subject(func() rotation.Rotator { return one{p} }, accounts(p))(t)
		})
	})
	t.Run("overlap", func(t *testing.T) { Run(t, subject(func() rotation.Rotator { return many{newPlace("app")} })) })
	t.Run("two users", func(t *testing.T) {
		admin := rotation.Credential{User: "root", Secret: secret.New(first)}
		Run(t, subject(func() rotation.Rotator { return turns{newPlace("a", "root"), admin} }, func(s *Subject) {
			s.Current.User, s.Deps.Admin, s.Format = "a", &admin, "url"
			s.Value = func(c rotation.Credential) string {
				return (&url.URL{Scheme: "db", Host: "host", User: url.UserPassword(c.User, c.Secret.Reveal())}).String()
			}
		}))
	})
	t.Run("slots", func(t *testing.T) {
		Run(t, subject(func() rotation.Rotator { return &pair{keys: [2]string{"other-0x2a", first}} }))
	})
	t.Run("mint", func(t *testing.T) { Run(t, subject(newMaker, id("id-0"))) })
	t.Run("generated", func(t *testing.T) {
		Run(t, func(*testing.T) Subject {
			return Subject{Kind: rotators.All()[0], Params: map[string]any{"length": 40}, Current: rotation.Credential{Secret: secret.New(first)}}
		})
	})
}

func newMaker() rotation.Rotator {
	return &maker{values: map[string]string{"id-0": first}, labels: map[string]string{}}
}

func id(id string) func(*Subject) { return func(s *Subject) { s.Current.ID = id } }

// Rotators with a flaw each.
type (
	talker    struct{ one }
	careless  struct{ one } // denies what it cannot tell
	deaf      struct{ one } // takes no notice of its context
	trimming  struct{ one }
	killer    struct{ many } // retires more than it should
	forgetful struct{ many } // cannot retire twice
	both      struct{ *pair }
	blind     struct{ *maker }
)

func (f talker) Set(ctx context.Context, now, next rotation.Credential) error {
	if err := f.one.Set(ctx, now, next); err != nil {
		return fmt.Errorf("ALTER USER PASSWORD %q: %w", next.Secret.Reveal(), err)
	}
	return nil
}

func (f careless) Verify(ctx context.Context, c rotation.Credential) error {
	if f.one.Verify(ctx, c) != nil {
		return rotation.ErrDenied
	}
	return nil
}

func (f deaf) Set(ctx context.Context, now, next rotation.Credential) error {
	return f.one.Set(context.WithoutCancel(ctx), now, next)
}

func (f trimming) Set(ctx context.Context, now, next rotation.Credential) error {
	text := next.Secret.Reveal()
	if text[len(text)-1] == ' ' {
		text = text[:len(text)-1]
	}
	return f.one.Set(ctx, now, rotation.Credential{User: next.User, Secret: secret.New(text)})
}

func (f killer) Retire(ctx context.Context, old, now rotation.Credential) error {
	if old.Secret.IsZero() {
		return f.change(ctx, now, func() { f.users[now.User] = nil })
	}
	return f.many.Retire(ctx, old, now)
}

func (f forgetful) Retire(ctx context.Context, old, now rotation.Credential) error {
	if err := f.Verify(ctx, rotation.Credential{User: now.User, Secret: old.Secret}); err != nil {
		return errors.New("no such password")
	}
	return f.many.Retire(ctx, old, now)
}

func (f both) Regenerate(ctx context.Context, slot string) error {
	_ = f.pair.Regenerate(ctx, "key1")
	_ = f.pair.Regenerate(ctx, "key2")
	return f.pair.Regenerate(ctx, slot)
}

func (f blind) Minted(ctx context.Context, _ string) ([]string, error) { return nil, ctx.Err() }

func TestFlawsAreFound(t *testing.T) {
	account := func() *place { return newPlace("app") }
	for _, c := range []struct {
		flaw string
		open func(*testing.T) Subject
		rule string
	}{
		{"tells the password", subject(func() rotation.Rotator { return talker{one{account()}} }), "a value is set"},
		{"denies when it cannot tell", subject(func() rotation.Rotator { return careless{one{account()}} }), "an ended context stops every call"},
		{"ignores its context", subject(func() rotation.Rotator { return deaf{one{account()}} }), "an ended context stops every call"},
		{"trims blanks", subject(func() rotation.Rotator { return trimming{one{account()}} }), "hostile passwords"},
		{"retires all", subject(func() rotation.Rotator { return killer{many{account()}} }), "the old credential is retired, and again"},
		{"cannot retire twice", subject(func() rotation.Rotator { return forgetful{many{account()}} }), "the old credential is retired, and again"},
		{"regenerates both", subject(func() rotation.Rotator { return both{&pair{keys: [2]string{"other-0x2a", first}}} }), "slots"},
		{"does not find what it minted", subject(func() rotation.Rotator { return blind{newMaker().(*maker)} }, id("id-0")), "minted credentials are found by their label"},
	} {
		t.Run(c.flaw, func(t *testing.T) {
			at := slices.IndexFunc(rules, func(r rule) bool { return r.name == c.rule })
			if err := rules[at].check(t, c.open(t)); err == nil {
				t.Error("it passes")
			} else {
				t.Log(err)
			}
		})
	}
	t.Run("a crash loses what is minted", func(t *testing.T) {
		if _, err := crashes(t, subject(func() rotation.Rotator { return loser{newMaker().(*maker)} }, id("id-0"))); err == nil {
			t.Error("it passes")
		}
	})
}

// loser takes away every credential when it is asked to take one.
type loser struct{ *maker }

func (l loser) Retire(ctx context.Context, old, now rotation.Credential) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.values)
	return nil
}
