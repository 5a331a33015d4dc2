package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// slotting is for targets with two slots. The one that readers do not use is made anew. As both can be read at any
// time, nothing needs to be kept but which slot it is and a print of what it held.
type slotting struct{ slotter Slotter }

func (s slotting) prepare(ctx context.Context, r *run, f *flight) error {
	slots, err := s.read(ctx, r)
	if err != nil {
		if final(err) {
			return stop(Failed, ReasonTargetFailed, "the keys of target %s cannot be read: %v", r.target.Name, err)
		}
		return err
	}
	first, second := slots[0].Secret.Equal(r.current.Secret), slots[1].Secret.Equal(r.current.Secret)
	if first == second {
		return stop(Failed, ReasonDrift, "its value is not one of the two keys of target %s", r.target.Name)
	}
	used, spare := slots[0], slots[1]
	if second {
		used, spare = spare, used
	}
	f.OldID, f.Credential, f.Print = used.ID, spare.ID, printOf(f.ID, spare)
	return nil
}

func (s slotting) read(ctx context.Context, r *run) (slots [2]Credential, err error) {
	err = r.touch(ctx, "read the slots of target "+quoted(r.target.Name), func(ctx context.Context) (err error) {
		slots, err = s.slotter.Slots(ctx)
		return err
	})
	r.knows(slots[:]...)
	return slots, err
}

// apply regenerates unless the slot shows that this was done.
func (s slotting) apply(ctx context.Context, r *run, f *flight) error {
	if !r.fresh {
		if err := s.recall(ctx, r, f); err != nil {
			return err
		}
		switch {
		case printOf(f.ID, r.next) != f.Print:
			return s.proven(ctx, r)
		case !r.atSource(f):
			return stop(Nothing, ReasonSuperseded, "it was changed before the target was")
		case r.next.Secret.Equal(r.current.Secret):
			return stop(Failed, ReasonDrift, "its value is the key of slot %s, which was to be made anew", quoted(f.Credential))
		}
	}
	made := r.touch(ctx, "regenerate a key of target "+quoted(r.target.Name), func(ctx context.Context) error {
		return s.slotter.Regenerate(ctx, f.Credential)
	})
	if errors.Is(made, errLater) {
		return made
	}
	if err := s.recall(ctx, r, f); err != nil {
		return errors.Join(made, err)
	}
	switch {
	case printOf(f.ID, r.next) != f.Print:
		return s.proven(ctx, r)
	case final(made):
		return stop(Failed, ReasonTargetFailed, "the target %s did not make a new key: %v", r.target.Name, made)
	case made != nil:
		return made
	}
	return fmt.Errorf("the target %s does not show its new key yet", quoted(r.target.Name))
}

// proven is nil when the target accepts the key that its slot shows.
func (slotting) proven(ctx context.Context, r *run) error {
	switch p, err := r.prove(ctx, r.next); p {
	case proven:
		return nil
	case denied:
		return fmt.Errorf("%w: the target %s shows a new key and denies it", errNotVerified, quoted(r.target.Name))
	default:
		return err
	}
}

// recall reads the slot.
func (s slotting) recall(ctx context.Context, r *run, f *flight) error {
	slots, err := s.read(ctx, r)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(slots[:], func(c Credential) bool { return c.ID == f.Credential })
	if at < 0 {
		return park(Failed, ReasonTargetFailed, "the target %s has no slot %s any more", r.target.Name, quoted(f.Credential))
	}
	r.next = slots[at]
	r.next.User = r.current.User
	return nil
}

// tidy finds the one race that slots cannot exclude: another executor regenerated after we had read.
func (s slotting) tidy(ctx context.Context, r *run, f *flight) (again bool, err error) {
	shown := r.next.Secret
	if err := s.recall(ctx, r, f); err != nil {
		return false, err
	}
	return !r.next.Secret.Equal(shown), nil
}

// printOf tells keys apart without telling them. They are long and random, so a plain hash gives nothing away.
func printOf(id string, c Credential) string {
	sum := sha256.Sum256([]byte(id + "\x00" + c.Secret.Reveal()))
	return hex.EncodeToString(sum[:12])
}
