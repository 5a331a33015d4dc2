package rotation_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// TestALostLeaseEndsTheRotation refuses to renew the lease while the target is slow: nothing is published.
func TestALostLeaseEndsTheRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		version := r.seed(withTag(secret.TagRotationType, "fake"))
		slow := newTarget()
		slow.set = func(ctx context.Context, _, _ rotation.Credential) error {
			time.Sleep(30 * time.Second) // does not look at its context
			return nil
		}
		e := r.engine(slow.options, func(o *rotation.Options) {
			o.Lock = func(ctx context.Context, lease string, fn func(context.Context) error) error {
				return state.Hold(ctx, stingy{r.leases}, lease, "test", fn)
			}
		})
		_, err := e.Rotate(t.Context(), rotation.Request{Name: name, Version: version})
		if !errors.Is(err, secret.ErrLeaseLost) || !secret.IsTransient(err) || len(r.versions(name)) != 1 {
			t.Errorf("%v; %d versions", err, len(r.versions(name)))
		}
	})
}

// stingy gives a lease but never renews it.
type stingy struct{ state.Leaser }

func (stingy) Renew(context.Context, state.Lease) error { return secret.ErrLeaseLost }
