package rotatortest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// hostileValues are passwords and user names that break what is pasted together: SQL, shells, URLs, connection strings,
// formats.
var hostileValues = []string{
	`quote'quote''-0x2a`, `double"double""-0x2a`, "back`tick-0x2a", `back\slash\\n-0x2a`, `trail\`, `percent%s%d%00-0x2a`,
	`dollar$1$$x$$-0x2a`, `brace{0}{{}}}-0x2a`, ` blanks around `, `semi;colon;--comment/*x*/`, `ünïcode-Ω-語-🔑`, `a@b:c/d?e#f&g=h`,
	`[bracket]]x]-0x2a`, `'; DROP ROLE x; --`, `${jndi:x}$(id)-0x2a`, `tab	and~tilde^caret`,
}

func (w *witness) set(t *testing.T, now, next rotation.Credential) error {
	ctx, cancel := within(t)
	defer cancel()
	w.knows(next)
	return w.heard(w.r.(rotation.Setter).Set(ctx, now, next))
}

func setsValue(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w := watch(r, s)
	next, err := candidate(r, s.Current)
	if err != nil {
		return fmt.Errorf("Choose: %w", err)
	}
	if err := w.set(t, s.Current, next); err != nil {
		return fmt.Errorf("Set: %w", err)
	}
	faults := []error{w.accepts(t, next)}
	_, overlaps := r.(rotation.Retirer)
	if overlaps {
		faults = append(faults, w.accepts(t, s.Current))
	} else if next.User == s.Current.User {
		faults = append(faults, w.denies(t, s.Current))
	}
	// An executor that does not know of the first may come again: whatever it is told, the value stays.
	_ = w.set(t, s.Current, next)
	faults = append(faults, w.accepts(t, next))

	wrong := s.Current
	wrong.Secret = secret.New("wrong-password-0x2a")
	other, err := candidate(r, next)
	if err != nil {
		return fmt.Errorf("Choose: %w", err)
	}
	if s.Deps.Admin == nil && next.User == s.Current.User {
		if err := w.set(t, wrong, other); err == nil || errors.Is(err, rotation.ErrRefused) {
			faults = append(faults, fmt.Errorf("Set by a wrong password is %v", err))
		}
		faults = append(faults, w.accepts(t, next))
	}
	return errors.Join(append(faults, w.leaks())...)
}

// hostilePasswords are taken as they are, or refused with nothing changed.
func hostilePasswords(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w, now, refused := watch(r, s), s.Current, 0
	var faults []error
	for _, value := range hostileValues {
		next := rotation.Credential{User: s.Current.User, ID: s.Current.ID, Secret: secret.New(value)}
		switch err := w.set(t, now, next); {
		case err == nil:
			if err := w.accepts(t, next); err != nil {
				return errors.Join(append(faults, fmt.Errorf("password %q: %w", value, err))...)
			}
			now = next
		case errors.Is(err, rotation.ErrRefused):
			refused++
			if err := w.accepts(t, now); err != nil {
				return errors.Join(append(faults, fmt.Errorf("password %q was refused, and then: %w", value, err))...)
			}
		default:
			faults = append(faults, fmt.Errorf("Set of password %q: %w", value, err))
		}
	}
	t.Logf("%d of %d were refused", refused, len(hostileValues))
	return errors.Join(append(faults, w.leaks())...)
}

// hostileUsers change their own password and nobody else's.
func hostileUsers(t *testing.T, s Subject) error {
	var faults []error
	made := 0
	for _, user := range hostileValues {
		now, err := s.WithUser(t, user, "first-password-0x2a")
		if err != nil {
			t.Logf("no user %q: %v", user, err)
			continue
		}
		made++
		r, err := s.open()
		if err != nil {
			return err
		}
		w := watch(r, s)
		w.knows(now)
		next, err := candidate(r, now)
		if err != nil {
			return fmt.Errorf("Choose: %w", err)
		}
		next.User = now.User
		if err := w.set(t, now, next); err != nil {
			faults = append(faults, fmt.Errorf("Set for user %q: %w", user, err))
			continue
		}
		if err := errors.Join(w.accepts(t, next), w.accepts(t, s.Current), w.leaks()); err != nil {
			faults = append(faults, fmt.Errorf("user %q: %w", user, err))
		}
	}
	if made == 0 {
		faults = append(faults, errors.New("WithUser made no user"))
	}
	return errors.Join(faults...)
}

func retiresTwice(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w := watch(r, s)
	next, err := candidate(r, s.Current)
	if err != nil {
		return fmt.Errorf("Choose: %w", err)
	}
	if err := w.set(t, s.Current, next); err != nil {
		return fmt.Errorf("Set: %w", err)
	}
	var faults []error
	for _, time := range []string{"first", "second"} {
		if err := w.retire(t, s.Current, next); err != nil {
			faults = append(faults, fmt.Errorf("the %s Retire: %w", time, err))
		}
		faults = append(faults, w.denies(t, s.Current), w.accepts(t, next))
	}
	unknown := s.Current
	unknown.Secret = secret.Value{}
	_ = w.retire(t, unknown, next) // it may say that it cannot, and must not take the other
	return errors.Join(append(faults, w.accepts(t, next), w.leaks())...)
}

func (w *witness) retire(t *testing.T, old, now rotation.Credential) error {
	ctx, cancel := within(t)
	defer cancel()
	return w.heard(w.r.(rotation.Retirer).Retire(ctx, old, now))
}

func settlesTwice(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w := watch(r, s)
	for range 2 {
		ctx, cancel := within(t)
		err := w.heard(r.(rotation.Settler).Settle(ctx, s.Current))
		cancel()
		if err != nil {
			return fmt.Errorf("Settle: %w", err)
		}
	}
	return errors.Join(w.accepts(t, s.Current), w.leaks())
}
