package rotators

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// callTime bounds every call of a rotator, as its contract says.
const callTime = 10 * time.Second

// verifier is a server that knows accounts by a name and a password. Its errors, and those of what else it can do, are
// those of rotation.Rotator and rotation.Setter. They hold codes and names but no text of the server's, which may repeat
// what was sent.
type verifier interface {
	// verify logs in over a new connection.
	verify(ctx context.Context, c rotation.Credential) error
}

// accounts is a server whose accounts have one password each.
type accounts interface {
	verifier
	// set logs in by login and gives the account next.User the password of next, in place of every other.
	set(ctx context.Context, login, next rotation.Credential) error
}

// pairs is a server whose accounts may have a second password.
type pairs interface {
	verifier
	// add logs in by login and gives the account a password beside that of now.
	add(ctx context.Context, login, now, next rotation.Credential) error
	// drop logs in by login and takes the password of old away. It is idempotent and never takes that of now.
	drop(ctx context.Context, login, old, now rotation.Credential) error
}

// account is what the rotators of passwords have in common.
type account struct {
	server verifier
	admin  *rotation.Credential
	policy rotation.Policy
}

// single rotates the one password of an account, which readers lose until they read the new one.
type single struct {
	account
	accounts accounts
}

// paired rotates a password of an account that has two meanwhile.
type paired struct {
	account
	pairs pairs
}

var (
	_ rotation.Setter  = single{}
	_ rotation.Chooser = single{}
	_ rotation.Setter  = paired{}
	_ rotation.Chooser = paired{}
	_ rotation.Retirer = paired{}
)

// Choose draws a password by the policy, for the same account.
func (a account) Choose(now rotation.Credential, random io.Reader) (rotation.Credential, error) {
	value, err := a.policy.Choose(random)
	now.Secret = value
	return now, err
}

// Verify logs in over a new connection.
func (a account) Verify(ctx context.Context, c rotation.Credential) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := loginFault(c); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	if err := a.server.verify(ctx, c); err != nil {
		return fmt.Errorf("log in as %q: %w", c.User, err)
	}
	return nil
}

// Set replaces the password.
func (s single) Set(ctx context.Context, now, next rotation.Credential) error {
	return s.change(ctx, now, next, func(ctx context.Context, login rotation.Credential) error {
		return s.accounts.set(ctx, login, next)
	})
}

// Set adds the password to the one of now.
func (p paired) Set(ctx context.Context, now, next rotation.Credential) error {
	return p.change(ctx, now, next, func(ctx context.Context, login rotation.Credential) error {
		return p.pairs.add(ctx, login, now, next)
	})
}

// Retire takes the password of old away from the account.
func (p paired) Retire(ctx context.Context, old, now rotation.Credential) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	login := p.login(now)
	if err := errors.Join(loginFault(login), loginFault(now)); err != nil {
		return fmt.Errorf("retire a password of %q: %w", now.User, err)
	}
	switch {
	case old.Secret.Equal(now.Secret):
		return fmt.Errorf("retire a password of %q: %w: it is the current one", now.User, secret.ErrPermanent)
	case old.User != now.User:
		return fmt.Errorf("retire a password of %q: %w: the current one is of %q", old.User, secret.ErrPermanent, now.User)
	}
	if err := p.pairs.drop(ctx, login, old, now); err != nil {
		return fmt.Errorf("retire a password of %q as %q: %w", now.User, login.User, err)
	}
	return nil
}

// login is who makes changes.
func (a account) login(now rotation.Credential) rotation.Credential {
	if a.admin != nil {
		return *a.admin
	}
	return now
}

// change is what every Set does around its call.
func (a account) change(ctx context.Context, now, next rotation.Credential, call func(context.Context, rotation.Credential) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	login := a.login(now)
	if err := errors.Join(loginFault(login), candidateFault(next)); err != nil {
		return fmt.Errorf("set the password of %q: %w", next.User, err)
	}
	if err := call(ctx, login); err != nil {
		return fmt.Errorf("set the password of %q as %q: %w", next.User, login.User, err)
	}
	return nil
}

// loginFault is why nobody should try to log in with c. An empty password is one: some servers take it for none.
func loginFault(c rotation.Credential) error {
	switch {
	case c.User == "":
		return fmt.Errorf("%w: no user is named, by the target or by the value", secret.ErrPermanent)
	case !plain(c.User):
		return fmt.Errorf("%w: the user name %q holds control characters", secret.ErrPermanent, c.User)
	case c.Secret.Len() == 0:
		return fmt.Errorf("%w: the password of %q is empty", rotation.ErrDenied, c.User)
	case strings.ContainsRune(c.Secret.Reveal(), 0):
		return fmt.Errorf("%w: the password of %q holds a NUL", rotation.ErrDenied, c.User)
	}
	return nil
}

// candidateFault is why c must not be set anywhere.
func candidateFault(c rotation.Credential) error {
	if c.Secret.Len() == 0 || !plain(c.Secret.Reveal()) {
		return fmt.Errorf("%w: a password is neither empty nor holds control characters", rotation.ErrRefused)
	}
	return loginFault(c)
}

// plain reports whether a text is UTF-8 without control characters.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
