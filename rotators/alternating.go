package rotators

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// alternating rotates between two accounts with the same rights: while readers move to one, the other works on. Both
// exist already, and an administrator sets their passwords.
type alternating struct {
	single
	users  [2]string
	random io.Reader
}

var (
	_ rotation.Setter  = alternating{}
	_ rotation.Chooser = alternating{}
	_ rotation.Retirer = alternating{}
)

// Choose draws a password for the other account.
func (a alternating) Choose(now rotation.Credential, random io.Reader) (rotation.Credential, error) {
	at := slices.Index(a.users[:], now.User)
	if at < 0 {
		return rotation.Credential{}, fmt.Errorf("%w: %q is none of the users %q", secret.ErrPermanent, now.User, a.users)
	}
	now.User = a.users[1-at]
	return a.single.Choose(now, random)
}

// Set gives one of the two accounts its password.
func (a alternating) Set(ctx context.Context, now, next rotation.Credential) error {
	if !slices.Contains(a.users[:], next.User) {
		return fmt.Errorf("set the password of %q: %w: it is none of the users %q", next.User, secret.ErrPermanent, a.users)
	}
	return a.single.Set(ctx, now, next)
}

// Retire gives the account of old a password that nobody knows. It leaves alone an account whose password is another
// one by now.
func (a alternating) Retire(ctx context.Context, old, now rotation.Credential) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if old.User == now.User {
		return nil // one account has one password, and that is now's
	}
	if !slices.Contains(a.users[:], old.User) {
		return fmt.Errorf("retire %q: %w: it is none of the users %q", old.User, secret.ErrPermanent, a.users)
	}
	if !old.Secret.IsZero() {
		switch err := a.Verify(ctx, old); {
		case errors.Is(err, rotation.ErrDenied):
			return nil
		case err != nil:
			return fmt.Errorf("retire %q: %w", old.User, err)
		}
	}
	value, err := a.policy.Choose(a.random)
	if err != nil {
		return fmt.Errorf("retire %q: %w", old.User, err)
	}
	return a.single.Set(ctx, now, rotation.Credential{User: old.User, Secret: value})
}

// alternatingBetween makes the rotator. A user cannot set the password of the other one, so it needs an administrator.
func alternatingBetween(one single, users []string, random io.Reader) (rotation.Rotator, error) {
	if one.admin == nil {
		return nil, errors.New("parameter users: to alternate takes an admin secret")
	}
	return alternating{one, [2]string(users), random}, nil
}
