package rotatortest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/rotation"
)

// regeneratesSpare makes the slot anew that holds not the current value, and nothing else.
func regeneratesSpare(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w, slotter := watch(r, s), r.(rotation.Slotter)
	ctx, cancel := within(t)
	defer cancel()
	before, err := slotter.Slots(ctx)
	if w.heard(err) != nil {
		return fmt.Errorf("Slots: %w", err)
	}
	w.knows(before[:]...)
	used := slices.IndexFunc(before[:], func(c rotation.Credential) bool { return c.Secret.Equal(s.Current.Secret) })
	if used < 0 || before[0].ID == before[1].ID || before[0].ID == "" || before[1].ID == "" {
		return fmt.Errorf("the slots %q and %q: the current value is at %d", before[0].ID, before[1].ID, used)
	}
	spare := 1 - used
	if err := w.heard(slotter.Regenerate(ctx, before[spare].ID)); err != nil {
		return fmt.Errorf("Regenerate: %w", err)
	}
	after, err := slotter.Slots(ctx)
	if w.heard(err) != nil {
		return fmt.Errorf("Slots: %w", err)
	}
	w.knows(after[:]...)
	var faults []error
	if after[0].ID != before[0].ID || after[1].ID != before[1].ID {
		faults = append(faults, errors.New("Slots changed their order"))
	}
	if after[spare].Secret.Equal(before[spare].Secret) || !after[used].Secret.Equal(before[used].Secret) {
		faults = append(faults, errors.New("Regenerate did not change its slot, or changed the other"))
	}
	if err := w.heard(slotter.Regenerate(ctx, "no-such-slot")); err == nil {
		faults = append(faults, errors.New("Regenerate of a slot that there is not is nil"))
	}
	return errors.Join(append(faults, w.accepts(t, after[spare]), w.accepts(t, s.Current), w.leaks())...)
}

const label = "keyferry-rotatortest-0123456789abcdef"

// mintsByLabel makes two credentials under two labels, finds them and takes one away twice.
func mintsByLabel(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w, minter := watch(r, s), r.(rotation.Minter)
	long := label + strings.Repeat("x", 64-len(label))
	made := map[string]rotation.Credential{}
	var faults []error
	for _, l := range []string{label, long} {
		ctx, cancel := within(t)
		c, err := minter.Mint(ctx, l)
		cancel()
		if w.heard(err) != nil {
			return fmt.Errorf("Mint: %w", err)
		}
		if c.ID == "" || c.Secret.Len() == 0 {
			return errors.New("Mint made a credential without id or value")
		}
		w.knows(c)
		made[l] = c
		faults = append(faults, w.accepts(t, c))
	}
	faults = append(faults, w.minted(t, label, made[label].ID), w.minted(t, long, made[long].ID), w.minted(t, label[:len(label)-1]))
	lost := rotation.Credential{ID: made[label].ID} // nobody knows its value
	for _, time := range []string{"first", "second"} {
		if err := w.retire(t, lost, s.Current); err != nil {
			faults = append(faults, fmt.Errorf("the %s Retire: %w", time, err))
		}
	}
	return errors.Join(append(faults, w.minted(t, label), w.denies(t, made[label]), w.minted(t, long, made[long].ID),
		w.accepts(t, made[long]), w.accepts(t, s.Current), w.leaks())...)
}

func (w *witness) minted(t *testing.T, label string, want ...string) error {
	ctx, cancel := within(t)
	defer cancel()
	got, err := w.r.(rotation.Minter).Minted(ctx, label)
	if w.heard(err) != nil || !slices.Equal(got, want) {
		return fmt.Errorf("Minted finds %q, %v; not %q", got, err, want)
	}
	return nil
}
