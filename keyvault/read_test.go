package keyvault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

func names(ctx context.Context, c *keyvault.Client) (all []string, err error) {
	for m, err := range c.List(ctx) {
		if err != nil {
			return all, err
		}
		all = append(all, m.Name)
	}
	return all, nil
}

func seed(t *testing.T, v *emulator.Vault, n int) {
	t.Helper()
	for i := range n {
		s := emulator.Secret{Name: fmt.Sprintf("s%04d", i), Versions: []emulator.Version{{Value: "v"}}}
		if err := v.Seed(s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestListSurvivesFaultsOnAnyPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, road := rig(t, emulator.Options{})
		seed(t, vault, 130) // six pages
		bad := []faults.Fault{status(500), status(503), faults.ResetBefore(), faults.ResetAfter(), answer(emulator.Throttled(0)), status(408)}
		n := 0
		road.meet(func(r *http.Request) faults.Fault {
			if n++; n%2 == 0 {
				return bad[n/2%len(bad)]
			}
			return nil
		})
		got, err := names(t.Context(), client)
		if err != nil || len(got) != 130 {
			t.Fatalf("%d secrets, %v; want 130", len(got), err)
		}
		for i, name := range got {
			if want := fmt.Sprintf("s%04d", i); name != want {
				t.Fatalf("%d: %s, want %s", i, name, want)
			}
		}
	})
}

func TestListThatCannotGoOnEndsInAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, road := rig(t, emulator.Options{})
		seed(t, vault, 60)
		calls := 0
		road.meet(func(r *http.Request) faults.Fault {
			if calls++; calls > 1 {
				return status(500)
			}
			return nil
		})
		got, err := names(t.Context(), client)
		if len(got) != 25 || !errors.Is(err, secret.ErrUnavailable) || calls != 1+5 {
			t.Errorf("%d secrets, %d calls, %v; want a page, then one call and four repeats", len(got), calls, err)
		}
	})
}

func TestListStopsWhenItsReaderDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, _ := rig(t, emulator.Options{})
		seed(t, vault, 60)
		for range client.List(t.Context()) {
			break
		}
		if n := vault.Calls()[emulator.OpList]; n != 1 {
			t.Errorf("%d pages read, want 1", n)
		}
	})
}

// How each kind of answer ends, how often the call is made and how long that takes.
func TestGetRepeatsWhatMayPass(t *testing.T) {
	for _, c := range []struct {
		what  string
		fault faults.Fault
		err   error
		calls int
		least time.Duration
		most  time.Duration
	}{
		{"500", status(500), secret.ErrUnavailable, 5, 6 * time.Second, 9 * time.Second},
		{"reset", faults.ResetBefore(), secret.ErrUnavailable, 5, 6 * time.Second, 9 * time.Second},
		{"429", answer(emulator.Throttled(0)), secret.ErrThrottled, 6, 31 * time.Second, 31 * time.Second},
		{"429 with Retry-After", answer(emulator.Throttled(3 * time.Second)), secret.ErrThrottled, 6, 15 * time.Second, 15 * time.Second},
		{"no role", answer(emulator.ForbiddenByRBAC("getSecret")), secret.ErrForbidden, 1, 0, 0},
		{"no policy", answer(emulator.AccessDenied("get")), secret.ErrForbidden, 1, 0, 0},
		{"firewall", answer(emulator.ForbiddenByFirewall()), secret.ErrForbidden, 1, 0, 0},
		{"private link", answer(emulator.ForbiddenByConnection()), secret.ErrForbidden, 1, 0, 0},
		{"a proxy's 404", status(404), secret.ErrUnavailable, 1, 0, 0},
		{"bad request", status(400), secret.ErrInvalid, 1, 0, 0},
		{"a redirect", status(307), secret.ErrUnavailable, 1, 0, 0},
		{"no token is good enough", answer(emulator.TokenExpired()), secret.ErrUnauthorized, 2, 0, 0},
		{"another audience", answer(emulator.InvalidAudience("x")), secret.ErrUnauthorized, 2, 0, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, vault, road := rig(t, emulator.Options{})
				seed(t, vault, 1)
				calls := 0
				road.meet(func(r *http.Request) faults.Fault { calls++; return c.fault })
				began := time.Now()
				_, _, err := client.Get(t.Context(), "s0000")
				took := time.Since(began)
				if !errors.Is(err, c.err) || calls != c.calls || took < c.least || took > c.most {
					t.Errorf("%d calls in %v: %v; want %d in %v to %v: %v", calls, took, err, c.calls, c.least, c.most, c.err)
				}
			})
		})
	}
}

func TestAHangingCallIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, road := rig(t, emulator.Options{})
		seed(t, vault, 1)
		hung := 0
		road.meet(func(r *http.Request) faults.Fault {
			if hung++; hung > 1 {
				return nil
			}
			return faults.Hang()
		})
		if _, _, err := client.Get(t.Context(), "s0000"); err != nil || hung != 2 {
			t.Errorf("after %d calls: %v, want success at the second", hung, err)
		}
	})
}

func TestUpdateIsRepeatedBecauseItIsAbsolute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, road := rig(t, emulator.Options{})
		seed(t, vault, 1)
		road.meet(queue(http.MethodPatch, status(500), faults.ResetAfter(), answer(emulator.Throttled(0))))
		m, err := client.Update(t.Context(), "s0000", secret.Patch{Tags: map[string]string{"a": "b"}})
		if err != nil || m.Tags["a"] != "b" || versions(vault, "s0000") != 1 {
			t.Errorf("%+v, %v; want one version with the tag", m, err)
		}
	})
}
