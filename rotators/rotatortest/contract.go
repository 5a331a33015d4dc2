package rotatortest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func strictParameters(_ *testing.T, s Subject) error {
	var faults []error
	if err := s.Kind.Check(s.Params); err != nil {
		faults = append(faults, fmt.Errorf("Check of its own parameters: %w", err))
	}
	params := map[string]any{}
	maps.Copy(params, s.Params)
	params["no-such-parameter"] = "x"
	if s.Kind.Check(params) == nil {
		faults = append(faults, errors.New("Check takes a parameter that there is not"))
	}
	if s.Kind.Type == "" || s.Kind.Doc == "" || !strings.Contains(s.Kind.Help(), s.Kind.Type) {
		faults = append(faults, errors.New("it has no name or no documentation"))
	}
	return errors.Join(faults...)
}

// counted are deps that count what goes out.
func (s Subject) counted(calls *atomic.Int64) rotation.Deps {
	d := s.deps()
	dial, client := d.Dial, *d.HTTP
	d.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		calls.Add(1)
		return dial(ctx, network, address)
	}
	transport := client.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	client.Transport = tripper(func(r *http.Request) (*http.Response, error) {
		calls.Add(1)
		return transport.RoundTrip(r)
	})
	d.HTTP = &client
	return d
}

type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func silentOpening(_ *testing.T, s Subject) error {
	var calls atomic.Int64
	if _, err := s.openWith(s.counted(&calls)); err != nil {
		return err
	}
	if n := calls.Load(); n > 0 {
		return fmt.Errorf("Open made %d calls", n)
	}
	return nil
}

func provesAndDenies(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w := watch(r, s)
	faults := []error{w.accepts(t, s.Current)}
	for _, wrong := range append([]string{"wrong-password-0x2a", s.Current.Secret.Reveal() + "x"}, hostileValues...) {
		c := s.Current
		c.Secret = secret.New(wrong)
		faults = append(faults, w.denies(t, c))
	}
	return errors.Join(append(faults, w.leaks())...)
}

// unreachableIsNotDenied takes the network away, if the rotator uses the one it is given.
func unreachableIsNotDenied(t *testing.T, s Subject) error {
	var calls atomic.Int64
	d := s.counted(&calls)
	broken := errors.New("connection refused")
	d.Dial = func(context.Context, string, string) (net.Conn, error) {
		calls.Add(1)
		return nil, broken
	}
	d.HTTP = &http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) {
		calls.Add(1)
		return nil, broken
	})}
	r, err := s.openWith(d)
	if err != nil {
		return err
	}
	w := watch(r, s)
	ctx, cancel := within(t)
	defer cancel()
	err = w.heard(r.Verify(ctx, s.Current))
	switch {
	case calls.Load() == 0:
		t.Log("the rotator reaches its target past Deps.Dial and Deps.HTTP, so nothing could be taken away")
		return nil
	case err == nil:
		return errors.New("Verify is nil for a target that cannot be reached")
	case errors.Is(err, rotation.ErrDenied), errors.Is(err, rotation.ErrRefused), errors.Is(err, secret.ErrPermanent):
		return fmt.Errorf("Verify of a target that cannot be reached: %w", err)
	}
	return w.leaks()
}

func endedContext(t *testing.T, s Subject) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	w := watch(r, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	next, err := candidate(r, s.Current)
	if err != nil {
		return err
	}
	w.knows(next)
	calls := map[string]error{"Verify": r.Verify(ctx, s.Current)}
	if x, ok := r.(rotation.Setter); ok {
		calls["Set"] = x.Set(ctx, s.Current, next)
	}
	if x, ok := r.(rotation.Slotter); ok {
		_, calls["Slots"] = x.Slots(ctx)
	}
	if x, ok := r.(rotation.Minter); ok {
		_, calls["Mint"] = x.Mint(ctx, label)
		_, calls["Minted"] = x.Minted(ctx, label)
	}
	if x, ok := r.(rotation.Settler); ok {
		calls["Settle"] = x.Settle(ctx, s.Current)
	}
	var faults []error
	for name, err := range calls {
		if w.heard(err) == nil || errors.Is(err, rotation.ErrDenied) || errors.Is(err, rotation.ErrRefused) {
			faults = append(faults, fmt.Errorf("%s with an ended context: %v", name, err))
		}
	}
	return errors.Join(append(faults, w.accepts(t, s.Current), w.leaks())...)
}

func choosesQuietly(_ *testing.T, s Subject) error {
	var calls atomic.Int64
	r, err := s.openWith(s.counted(&calls))
	if err != nil {
		return err
	}
	next, err := r.(rotation.Chooser).Choose(s.Current, rand.Reader)
	if err != nil {
		return fmt.Errorf("Choose: %w", err)
	}
	_, err = r.(rotation.Chooser).Choose(s.Current, strings.NewReader(""))
	again, _ := r.(rotation.Chooser).Choose(s.Current, rand.Reader)
	switch {
	case calls.Load() > 0:
		return errors.New("Choose made a call")
	case next.Secret.Len() == 0:
		return errors.New("Choose chose nothing")
	case err == nil && !again.Secret.Equal(next.Secret):
		return errors.New("Choose takes randomness from elsewhere than it is told")
	}
	return nil
}

// candidate is what the engine would come up with.
func candidate(r rotation.Rotator, now rotation.Credential) (rotation.Credential, error) {
	if c, ok := r.(rotation.Chooser); ok {
		return c.Choose(now, rand.Reader)
	}
	value, err := rotation.Policy{}.Choose(rand.Reader)
	return rotation.Credential{User: now.User, ID: now.ID, Secret: value}, err
}
