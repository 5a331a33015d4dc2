package rotation

import (
	"context"
	"fmt"

	"github.com/keyferry/keyferry/secret"
)

// strategy is how a kind of target comes by a new credential. The steps around it are the same for all.
type strategy interface {
	// prepare fills in f what is needed to go on after a crash, and makes the candidate durable where there is one.
	// It changes nothing at the target.
	prepare(ctx context.Context, r *run, f *flight) error
	// apply makes the target accept a new credential and leaves it in r.next, proven. Unless r.fresh it asks before
	// it repeats anything.
	apply(ctx context.Context, r *run, f *flight) error
	// recall leaves in r.next the credential that was applied.
	recall(ctx context.Context, r *run, f *flight) error
}

// tidier is a strategy that has to look at the target once more after the publish. again: what is published is not what
// the target holds, and r.next is.
type tidier interface {
	tidy(ctx context.Context, r *run, f *flight) (again bool, err error)
}

// reverser is a strategy that can take back what was done at the target before the publish. force: to give the old
// credential back; else only what was added is taken away.
type reverser interface {
	reverse(ctx context.Context, r *run, f *flight, force bool) error
}

// strategyOf is nil for a rotator that can change nothing.
func strategyOf(rotator Rotator) strategy {
	switch rotator := rotator.(type) {
	case Minter:
		return minting{rotator}
	case Slotter:
		return slotting{rotator}
	case Setter:
		return setting{rotator}
	case Chooser:
		return local{rotator}
	}
	return nil
}

// stages reports whether the strategy keeps something in the staging secret.
func stages(s strategy) bool {
	switch s.(type) {
	case minting, setting:
		return true
	}
	return false
}

// overlaps reports whether the old credential works on beside the new one. Slots always do.
func (r *run) overlaps() bool {
	_, slots := r.strategy.(slotting)
	_, retires := r.rotator.(Retirer)
	return slots || retires
}

// local is for values that live in Key Vault only: the publish makes the change, so nothing must be kept before.
type local struct{ chooser Chooser }

func (local) prepare(context.Context, *run, *flight) error { return nil }

func (l local) apply(_ context.Context, r *run, _ *flight) error {
	next, err := l.chooser.Choose(r.current, r.Random)
	if err != nil {
		return fmt.Errorf("choose a value: %w", scrub(err, r.known...))
	}
	r.next = next
	r.knows(next)
	return nil
}

// recall chooses anew: whatever was chosen before is known to nobody.
func (l local) recall(ctx context.Context, r *run, f *flight) error { return l.apply(ctx, r, f) }

// candidate asks the rotator for the credential that is to come, or follows the default policy.
func (r *run) candidate() (Credential, error) {
	if c, ok := r.rotator.(Chooser); ok {
		next, err := c.Choose(r.current, r.Random)
		if err != nil {
			return Credential{}, fmt.Errorf("choose a value: %w", scrub(err, r.known...))
		}
		if next.Secret.Len() == 0 {
			return Credential{}, fmt.Errorf("choose a value: %w: the rotator chose none", secret.ErrPermanent)
		}
		return next, nil
	}
	value, err := Policy{}.Choose(r.Random)
	return Credential{User: r.current.User, ID: r.current.ID, Secret: value}, err
}
