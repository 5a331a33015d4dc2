package vaultsync_test

import (
	"context"
	"testing"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestApart: a secret that may be rotated is written while no rotation works on it, and only if none came between the
// look and the write. Others are written without asking.
func TestApart(t *testing.T) {
	type apart = func(context.Context, string, func(context.Context) error) error
	alone := func(ctx context.Context, _ string, fn func(context.Context) error) error { return fn(ctx) }
	moves := func(_ *rig, m mount) { m.put("app/db", `{"password":"two"}`) }
	held := func(context.Context, string, func(context.Context) error) error { return secret.ErrLeaseHeld }
	for _, c := range []struct {
		what  string
		rule  func(*vaultsync.Rule)
		then  func(*rig, mount) // after the first copy
		apart func(*rig) apart
		want  string
		value string
	}{
		{"nobody else", rotated, moves, func(*rig) apart { return alone }, "update app-db source-changed", "two"},
		{"under way", rotated, moves, func(*rig) apart { return held }, "skip app-db rotating", "one"},
		{"came and went", rotated, moves, func(r *rig) apart {
			return func(ctx context.Context, name string, fn func(context.Context) error) error {
				r.rotate(name, "published")
				return fn(ctx)
			}
		}, "skip app-db rotating", "published"},
		{"chosen by a tag alone", func(*vaultsync.Rule) {}, func(r *rig, m mount) { r.tag("app-db", secret.TagProviderAddress, "/subscriptions/s"); moves(r, m) },
			func(*rig) apart { return held }, "skip app-db rotating", "one"},
		{"not rotated", func(*vaultsync.Rule) {}, moves, func(*rig) apart { return held }, "update app-db source-changed", "two"},
		{"removed, under way", func(r *vaultsync.Rule) { rotated(r); r.OnDelete = vaultsync.DeleteDisable }, func(_ *rig, m mount) { m.remove("app/db") }, func(*rig) apart { return held }, "skip app-db rotating", "one"},
	} {
		t.Run(c.what, func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2, c.rule)
				m.put("app/db", `{"password":"one"}`)
				r.sync(nil)
				c.then(r, m)
				e := r.engine(func(o *vaultsync.Options) { o.Apart = c.apart(r) })
				report, err := e.Sync(t.Context(), vaultsync.Scope{})
				r.ended(err, nil)
				r.wants(report, c.want)
				if got, _ := r.value("app-db"); got != c.value {
					t.Errorf("Key Vault has %q, not %q", got, c.value)
				}
			})
		})
	}
}

func rotated(r *vaultsync.Rule) { r.Rotation.Type = "generated" }
