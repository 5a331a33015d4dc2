package vault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/keyferry/keyferry/secret"
)

const (
	// youth is the age below which a token that met "permission denied" is believed: a new one would be denied too. It
	// keeps a walk through a forbidden folder from logging in again for each secret.
	youth = time.Minute
	// pause is how long a token past two thirds of its life is used on after an attempt to replace it failed.
	pause = 30 * time.Second
)

// grant is what a log-in gave.
type grant struct {
	token    secret.Value
	lifetime time.Duration // 0: without end
}

// ticket is a token in use. number tells one from the next.
type ticket struct {
	number int
	token  secret.Value
	issued time.Time
	renew  time.Time // zero: never
	ends   time.Time // zero: never
}

// session keeps the token of a Client: it logs in when first asked, again at two thirds of the token's lifetime, and
// when Vault refused the token. Whatever number of calls wants a new token, there is one log-in at a time.
type session struct {
	auth   Auth
	login  func(context.Context, Auth) (grant, error)
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	current ticket // number 0: none yet
}

func newSession(auth Auth, login func(context.Context, Auth) (grant, error), now func() time.Time) *session {
	return &session{auth: auth, login: login, now: now}
}

// ticket returns a token to call with.
func (s *session) ticket(ctx context.Context) (ticket, error) {
	now := s.now()
	s.mu.Lock()
	t := s.current
	s.mu.Unlock()
	if t.number > 0 && (t.renew.IsZero() || now.Before(t.renew)) {
		return t, nil
	}
	next, err := s.replace(ctx, t)
	if err != nil && t.number > 0 && now.Before(t.ends) && ctx.Err() == nil {
		s.mu.Lock()
		if s.current.number == t.number {
			s.current.renew = now.Add(pause)
		}
		s.mu.Unlock()
		return t, nil
	}
	return next, err
}

// second returns another token for a call that Vault refused with this one, or false when another would not help.
func (s *session) second(ctx context.Context, refused ticket, why tokenFault) (ticket, bool, error) {
	switch {
	case why == tokenFine, s.auth.proof == nil:
		return ticket{}, false, nil
	case why == tokenDoubted && s.now().Sub(refused.issued) < youth:
		return ticket{}, false, nil
	}
	t, err := s.replace(ctx, refused)
	return t, err == nil, err
}

// replace logs in unless another call has done so since old was handed out. Those who wait together share the
// outcome; a caller whose context ends leaves, and the log-in goes on for the others.
func (s *session) replace(ctx context.Context, old ticket) (ticket, error) {
	done := s.flight.DoChan("", func() (any, error) {
		s.mu.Lock()
		t := s.current
		s.mu.Unlock()
		if t.number > old.number {
			return t, nil
		}
		g, err := s.login(context.WithoutCancel(ctx), s.auth)
		if err != nil {
			return ticket{}, err
		}
		now := s.now()
		t = ticket{number: t.number + 1, token: g.token, issued: now}
		if g.lifetime > 0 {
			t.renew, t.ends = now.Add(g.lifetime*2/3), now.Add(g.lifetime)
		}
		s.mu.Lock()
		s.current = t
		s.mu.Unlock()
		return t, nil
	})
	select {
	case <-ctx.Done():
		return ticket{}, fmt.Errorf("log in by %s: %w", s.auth.name, context.Cause(ctx))
	case r := <-done:
		if r.Err != nil {
			return ticket{}, fmt.Errorf("log in by %s: %w", s.auth.name, r.Err)
		}
		return r.Val.(ticket), nil
	}
}
