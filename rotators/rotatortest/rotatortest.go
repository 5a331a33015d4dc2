// Package rotatortest is a kit to test a rotator with: what package rotation demands of it, and what happens when a
// rotation by it stops anywhere.
//
//	func TestMyRotator(t *testing.T) {
//		rotatortest.Run(t, func(t *testing.T) rotatortest.Subject {
//			target := startTarget(t)
//			return rotatortest.Subject{Kind: myKind(), Params: map[string]any{"host": target.Addr}, Current: target.Credential}
//		})
//	}
//
// The kit calls the rotator as the engine does and runs whole rotations by the real engine on an emulated Key Vault. It
// sees the target only through the rotator, and what goes to the target through the Deps it is given, so a real server
// and a fake will do. Time is the test's own: nothing waits for a back-off or a grace.
package rotatortest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/keyferry/keyferry/rotation"
)

// Subject is a rotator with a target of its own, on which nobody else works.
type Subject struct {
	Kind   rotation.Kind
	Params map[string]any
	// Deps is how the target is reached, with the administrator if there is one. Dial, HTTP and Now may be nil: those
	// of the net, and time.Now.
	Deps rotation.Deps
	// Current is accepted by the target. For slots its Secret is the value of one of them, for minted credentials its
	// ID is known to the target. For a rotator whose values live in Key Vault only it is any value.
	Current rotation.Credential
	// Format is where the password sits in the value of the secret, as package format writes it, and Value makes the
	// value for a credential. They are needed where Choose changes the user. Zero: the value is the password.
	Format string
	Value  func(rotation.Credential) string
	// WithUser makes an account of that name, of which there is none yet, with that password, and returns its
	// credential. Nil: accounts are not a matter of this rotator. An error means that the target knows no such name.
	WithUser func(t *testing.T, user, password string) (rotation.Credential, error)
	// Slow makes the kit stop rotations only where an answer is lost. For real servers, of which a new one for each
	// of several hundred cells costs too much.
	Slow bool
}

// Run tests the rotator. open prepares a fresh Subject each time.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			s := open(t)
			if !r.concerns(s) {
				t.Skip("not a matter of this rotator")
			}
			if err := r.check(t, s); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a rotation that stops anywhere is finished", func(t *testing.T) {
		cells, err := crashes(t, open)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%d cells", cells)
	})
}

// rule is one thing that is demanded of rotators.
type rule struct {
	name     string
	concerns func(Subject) bool
	check    func(*testing.T, Subject) error
}

var rules = []rule{
	{"parameters are strict and documented", always, strictParameters},
	{"opening makes no call", always, silentOpening},
	{"the current credential is proven and others are denied", verifies, provesAndDenies},
	{"what cannot be reached is not denied", verifies, unreachableIsNotDenied},
	{"an ended context stops every call", verifies, endedContext},
	{"a value is set", sets, setsValue},
	{"hostile passwords", sets, hostilePasswords},
	{"hostile users", hasUsers, hostileUsers},
	{"a candidate is chosen without a call", chooses, choosesQuietly},
	{"the old credential is retired, and again", retires, retiresTwice},
	{"saving twice does no harm", settles, settlesTwice},
	{"slots", slots, regeneratesSpare},
	{"minted credentials are found by their label", mints, mintsByLabel},
	{"copies of an event change the target once", always, duplicates},
}

func always(Subject) bool { return true }

// open makes the rotator with the Deps of the subject.
func (s Subject) open() (rotation.Rotator, error) { return s.openWith(s.deps()) }

func (s Subject) openWith(d rotation.Deps) (rotation.Rotator, error) {
	r, err := s.Kind.Open(d, s.Params)
	if err != nil {
		return nil, fmt.Errorf("Open: %w", err)
	}
	return r, nil
}

func (s Subject) deps() rotation.Deps {
	d := s.Deps
	if d.Dial == nil {
		d.Dial = (&net.Dialer{}).DialContext
	}
	if d.HTTP == nil {
		d.HTTP = &http.Client{}
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d
}

func is[T any](s Subject) bool {
	r, err := s.open()
	if err != nil {
		return true // the rule will say so
	}
	_, ok := r.(T)
	return ok
}

func sets(s Subject) bool    { return is[rotation.Setter](s) }
func slots(s Subject) bool   { return is[rotation.Slotter](s) }
func mints(s Subject) bool   { return is[rotation.Minter](s) }
func chooses(s Subject) bool { return is[rotation.Chooser](s) }
func settles(s Subject) bool { return is[rotation.Settler](s) }

// verifies leaves out rotators whose values live in Key Vault only: they have nobody to ask.
func verifies(s Subject) bool { return sets(s) || slots(s) || mints(s) }

// retires leaves out those that mint: theirs is part of another rule.
func retires(s Subject) bool { return is[rotation.Retirer](s) && sets(s) }

func hasUsers(s Subject) bool { return s.WithUser != nil && sets(s) }

// callTime is what a call of a rotator may take.
const callTime = 10 * time.Second

func within(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), callTime)
}
