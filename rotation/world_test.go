package rotation_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// world is what lies outside of Key Vault: a target of one of the strategies, as a rotator sees it through a process.
type world interface {
	// rotator reaches the world through p.
	rotator(p *process) rotation.Rotator
	// accepts reports whether the value authenticates.
	accepts(value string) bool
	// live lists the values that authenticate.
	live() []string
}

// shared is what all worlds have: values that are accepted, by their place.
type shared struct {
	mu     sync.Mutex
	values map[string]string
	serial int
	onSet  func(value string) // before the world takes a value that we chose
}

func (s *shared) accepts(value string) bool { return slices.Contains(s.live(), value) }

func (s *shared) live() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Values(s.values))
}

// fresh makes a value that cannot be foreseen and needs no secrecy.
func (s *shared) fresh() string {
	s.serial++
	return fmt.Sprintf("made-by-the-target-%d", s.serial)
}

// verifierOf asks through the process whether a credential is accepted.
type verifierOf struct {
	p     *process
	world world
}

func (v verifierOf) Verify(ctx context.Context, c rotation.Credential) error {
	ok := false
	if err := v.p.call("verify", func() { ok = v.world.accepts(c.Secret.Reveal()) }); err != nil {
		return err
	}
	if !ok {
		return rotation.ErrDenied
	}
	return ctx.Err()
}

// onePassword is a target with a single password that a user changes itself.
type onePassword struct{ shared }

func newOnePassword() *onePassword {
	return &onePassword{shared{values: map[string]string{"password": oldValue}}}
}

func (w *onePassword) rotator(p *process) rotation.Rotator {
	return onePasswordRotator{verifierOf{p, w}, w}
}

type onePasswordRotator struct {
	verifierOf
	w *onePassword
}

func (r onePasswordRotator) Set(_ context.Context, now, next rotation.Credential) error {
	var err error
	dead := r.p.call("set at target", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		if r.w.values["password"] != now.Secret.Reveal() {
			err = rotation.ErrDenied
			return
		}
		r.w.onSet(next.Secret.Reveal())
		r.w.values["password"] = next.Secret.Reveal()
	})
	if dead != nil {
		return dead
	}
	return err
}

// manyPasswords is a target where a user has several passwords until the old one is taken away, and that forgets what
// was not saved.
type manyPasswords struct {
	shared
	saved map[string]string
}

func newManyPasswords() *manyPasswords {
	return &manyPasswords{shared: shared{values: map[string]string{oldValue: oldValue}}, saved: map[string]string{oldValue: oldValue}}
}

func (w *manyPasswords) rotator(p *process) rotation.Rotator {
	return manyPasswordsRotator{verifierOf{p, w}, w}
}

type manyPasswordsRotator struct {
	verifierOf
	w *manyPasswords
}

func (r manyPasswordsRotator) Set(_ context.Context, _, next rotation.Credential) error {
	return r.p.call("set at target", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		r.w.onSet(next.Secret.Reveal())
		r.w.values[next.Secret.Reveal()] = next.Secret.Reveal()
	})
}

func (r manyPasswordsRotator) Retire(_ context.Context, old, _ rotation.Credential) error {
	return r.p.call("retire", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		delete(r.w.values, old.Secret.Reveal())
	})
}

func (r manyPasswordsRotator) Settle(context.Context, rotation.Credential) error {
	return r.p.call("settle", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		r.w.saved = maps.Clone(r.w.values)
	})
}

// twoSlots is a target with two keys that it makes itself.
type twoSlots struct{ shared }

func newTwoSlots() *twoSlots {
	return &twoSlots{shared{values: map[string]string{"key1": oldValue, "key2": "spare-key-0x2b"}}}
}

func (w *twoSlots) rotator(p *process) rotation.Rotator { return twoSlotsRotator{verifierOf{p, w}, w} }

type twoSlotsRotator struct {
	verifierOf
	w *twoSlots
}

func (r twoSlotsRotator) Slots(context.Context) (slots [2]rotation.Credential, err error) {
	dead := r.p.call("slots", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		for i, id := range []string{"key1", "key2"} {
			slots[i] = rotation.Credential{ID: id, Secret: secret.New(r.w.values[id])}
		}
	})
	return slots, dead
}

func (r twoSlotsRotator) Regenerate(_ context.Context, slot string) error {
	return r.p.call("regenerate", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		r.w.values[slot] = r.w.fresh()
	})
}

// mint is a target that makes credentials and shows them once. Its first credential was made by hand.
type mint struct {
	shared
	labels map[string]string
	made   int
}

func newMint() *mint {
	return &mint{shared: shared{values: map[string]string{"id-0": oldValue}}, labels: map[string]string{}}
}

func (w *mint) rotator(p *process) rotation.Rotator { return mintRotator{verifierOf{p, w}, w} }

type mintRotator struct {
	verifierOf
	w *mint
}

func (r mintRotator) Mint(_ context.Context, label string) (c rotation.Credential, err error) {
	dead := r.p.call("mint", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		r.w.made++
		c = rotation.Credential{ID: fmt.Sprintf("id-%d", r.w.made), Secret: secret.New(r.w.fresh())}
		r.w.values[c.ID], r.w.labels[c.ID] = c.Secret.Reveal(), label
	})
	if dead != nil {
		return rotation.Credential{}, dead
	}
	return c, nil
}

func (r mintRotator) Minted(_ context.Context, label string) (ids []string, err error) {
	dead := r.p.call("minted", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		for id := range r.w.values {
			if r.w.labels[id] == label {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
	})
	return ids, dead
}

func (r mintRotator) Retire(_ context.Context, old, _ rotation.Credential) error {
	return r.p.call("retire", func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		delete(r.w.values, old.ID)
	})
}

// keyVaultOnly is no target at all: every value that Key Vault has is good.
type keyVaultOnly struct{ shared }

func (*keyVaultOnly) accepts(string) bool { return true }

func (*keyVaultOnly) rotator(*process) rotation.Rotator { return anyValue{} }

// inVault is a HashiCorp Vault that the secret was copied from, with the sync in front of it.
type inVault struct {
	mu    sync.Mutex
	value string
	keys  *keyvault.Client
}

func (v *inVault) PreflightWriteBack(context.Context, string) error { return nil }

func (v *inVault) WriteBack(ctx context.Context, name string) error {
	value, meta, err := v.keys.Get(ctx, name)
	if err != nil {
		return err
	}
	if meta.Tags[secret.TagVaultPath] == "" {
		return fmt.Errorf("write back: %w: it is no copy any more", secret.ErrConflict)
	}
	v.mu.Lock()
	v.value = value.Reveal()
	v.mu.Unlock()
	tags := maps.Clone(meta.Tags)
	tags[secret.TagAuthority] = secret.AuthorityVault
	_, err = v.keys.UpdateVersion(ctx, name, meta.Version, secret.Patch{Tags: tags})
	return err
}

func (v *inVault) holds() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.value
}

const grace = time.Hour
