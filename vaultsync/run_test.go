package vaultsync_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestCalls: what a run asks of both sides. A first sync reads each value once; one without changes reads no value of
// KV version 2 and writes nothing; one changed secret costs one read of its value and one write.
func TestCalls(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one, two := r.mount(1), r.mount(2)
		two.estate(60)
		for i := range 5 {
			one.put(fmt.Sprintf("plain/s%d", i), `{"password":"one"}`)
		}
		counted := func(what string, vault, keyVault map[string]int) {
			t.Helper()
			if diff := cmp.Diff(vault, r.toVault.counted()); diff != "" {
				t.Errorf("%s: calls to Vault (-want +got)\n%s", what, diff)
			}
			got := r.toKeyVault.counted()
			delete(got, "challenge")
			if diff := cmp.Diff(keyVault, got); diff != "" {
				t.Errorf("%s: calls to Key Vault (-want +got)\n%s", what, diff)
			}
		}
		const lists = 2 + 1 + 6 // the roots, plain/, and team0/ to team5/
		// Something new is looked for among the deleted secrets, once a run.
		r.plan(nil)
		counted("first plan", map[string]int{"mounts": 1, "LIST": lists, "data": 60, "kv1": 5}, map[string]int{"list": 1, "GET": 1, "deleted": 1})
		r.sync(nil)
		counted("first sync", map[string]int{"mounts": 1, "LIST": lists, "data": 60, "kv1": 5}, map[string]int{"list": 1, "GET": 1, "deleted": 1, "PUT": 1 + 65})
		r.settled()
		counted("second sync", map[string]int{"mounts": 1, "LIST": lists, "metadata": 60, "kv1": 5}, map[string]int{"list": 3, "GET": 1})
		two.put("team0/s1", `{"password":"changed"}`)
		r.wants(r.sync(nil), "update team0-s1 source-changed", "unchanged 64")
		counted("one change", map[string]int{"mounts": 1, "LIST": lists, "metadata": 60, "data": 1, "kv1": 5}, map[string]int{"list": 3, "GET": 2, "PUT": 1})
		report, err := r.engine().Sync(t.Context(), vaultsync.Scope{Full: true})
		r.ended(err, nil)
		r.wants(report, "unchanged 65")
		counted("full", map[string]int{"mounts": 1, "LIST": lists, "data": 60, "kv1": 5}, map[string]int{"list": 3, "GET": 1 + 65})
	})
}

// TestScopes: a run is narrowed to a rule or a prefix, and leaves everything else as it is.
func TestScopes(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one := r.mount(1, func(rule *vaultsync.Rule) { rule.Include = []string{"app/**"} })
		two := r.mount(2, func(rule *vaultsync.Rule) { rule.Exclude = []string{"**/tmp", "private/**"} })
		for _, path := range []string{"app/a", "app/deep/b", "other/c"} {
			one.put(path, `{"password":"one"}`)
		}
		for _, path := range []string{"team/d", "team2/e", "team/tmp", "tmp", "private/f"} {
			two.put(path, `{"password":"one"}`)
		}
		for _, c := range []struct {
			scope vaultsync.Scope
			want  []string
		}{
			{vaultsync.Scope{Rule: "rule-1", Prefix: two.path}, nil},
			{vaultsync.Scope{Prefix: two.path + "/team/"}, []string{"create team-d new"}},
			{vaultsync.Scope{Prefix: two.path + "/team"}, []string{"create team2-e new", "unchanged 1"}},
			{vaultsync.Scope{Rule: "rule-1", Prefix: one.path + "/app/deep"}, []string{"create app-deep-b new"}},
			{vaultsync.Scope{Rule: "rule-1"}, []string{"create app-a new", "unchanged 1"}},
			{vaultsync.Scope{Prefix: "no such place"}, nil},
			{vaultsync.Scope{}, []string{"unchanged 4"}},
		} {
			report, err := r.engine().Sync(t.Context(), c.scope)
			r.ended(err, nil)
			r.wants(report, c.want...)
		}
	})
}

// TestRefusedRuns: a rule nobody has, and a pause. Neither touches anything; a plan is not paused.
func TestRefusedRuns(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		_, err := r.engine().Sync(t.Context(), vaultsync.Scope{Rule: "nobody's"})
		r.ended(err, secret.ErrNotFound)
		_, _, err = r.engine().Plan(t.Context(), vaultsync.Scope{Rule: "nobody's"})
		r.ended(err, secret.ErrNotFound)
		paused := r.engine(func(o *vaultsync.Options) { o.Settings.Paused = true })
		_, err = paused.Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, secret.ErrPaused)
		if n := len(r.toVault.counted()) + len(r.toKeyVault.counted()); n != 0 {
			t.Errorf("%d kinds of calls were made", n)
		}
		report, _, err := paused.Plan(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wants(report, "create a new")
		if len(r.store.Secrets()) != 0 {
			t.Error("a plan wrote something")
		}
	})
}

// TestSettingsAreChecked: an engine of bad settings, or of a source nobody configured, is not made.
func TestSettingsAreChecked(t *testing.T) {
	for _, rule := range []vaultsync.Rule{{}, {Name: "r", Mount: "m", Source: "other"}, {Name: "r", Mount: "m", As: "xml"}} {
		_, err := vaultsync.New(vaultsync.Options{Settings: vaultsync.Settings{Rules: []vaultsync.Rule{rule}}})
		if secret.Code(err) != "usage" {
			t.Errorf("%+v: got %v, want a usage error", rule, err)
		}
	}
}

// TestHashKeyLost: without the key the hashes say nothing. Values are compared instead, equal ones are tagged anew
// and make no version, and a person's edit is still found.
func TestHashKeyLost(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one, two := r.mount(1), r.mount(2)
		one.put("a", `{"password":"one"}`)
		two.put("b", `{"password":"one"}`)
		two.put("c", `{"password":"one"}`)
		two.put("d", `{"password":"one"}`)
		r.sync(nil)
		r.pass(time.Hour)
		_, err := r.sdk.DeleteSecret(t.Context(), secret.HashKeyName, nil)
		r.must(err)
		_, err = r.sdk.PurgeDeletedSecret(t.Context(), secret.HashKeyName, nil)
		r.must(err)
		two.put("c", `{"password":"two"}`)
		r.set("d", "by hand", r.copied("d").Tags)
		before := r.copied("b").Tags[secret.TagVaultHash]

		want := []string{"conflict d both-changed", "retag a tags", "retag b tags", "update c source-changed"}
		r.wants(r.plan(nil), want...)
		r.wants(r.sync(nil), want...)
		r.holds("a", "one", 1)
		r.holds("b", "one", 1)
		r.holds("c", "two", 2)
		r.holds("d", "by hand", 2)
		if r.copied("b").Tags[secret.TagVaultHash] == before {
			t.Error("the hash was not made anew")
		}
		r.wants(r.sync(nil), "conflict d both-changed", "unchanged 3")
	})
}

// TestHashKeyDeleted: as long as the deleted key can be recovered nobody makes another.
func TestHashKeyDeleted(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("a", `{"password":"one"}`)
		r.sync(nil)
		_, err := r.sdk.DeleteSecret(t.Context(), secret.HashKeyName, nil)
		r.must(err)
		r.sync(secret.ErrDeleted)
		_, err = r.sdk.RecoverDeletedSecret(t.Context(), secret.HashKeyName, nil)
		r.must(err)
		r.settled()
		r.holds("a", "one", 1)
	})
}

// TestNoWriteWithoutTime: no write starts that the deadline may not outlast.
func TestNoWriteWithoutTime(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(5)
		r.sync(nil)
		m.put("new", `{"password":"new"}`)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		r.toKeyVault.counted()
		report, err := r.engine().Sync(ctx, vaultsync.Scope{})
		r.ended(err, context.DeadlineExceeded)
		if n := r.toKeyVault.counted()["PUT"]; n != 0 || report.Complete {
			t.Errorf("%d writes, complete %v", n, report.Complete)
		}
		r.wants(r.sync(nil), "create new new", "unchanged 5")
	})
}

// TestTwoEngines: of two runs at once one works and the other is told who does; at the end everything is there once.
func TestTwoEngines(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		names := m.estate(100)
		other := r.openKeyVault()
		var errs [2]error
		var both sync.WaitGroup
		for i := range errs {
			e := r.engine(func(o *vaultsync.Options) {
				if i == 1 {
					o.Destination = other
				}
			})
			both.Go(func() { _, errs[i] = e.Sync(t.Context(), vaultsync.Scope{}) })
		}
		both.Wait()
		if codes := secret.Code(errs[0]) + secret.Code(errs[1]); codes != "lease-held" {
			t.Errorf("ended with %v and %v", errs[0], errs[1])
		}
		r.settled()
		for _, name := range names {
			if n := r.versions(name); n != 1 {
				t.Errorf("%s has %d versions", name, n)
			}
		}
	})
}

// TestRunCutOff: a run that ends anywhere, by its context, by its lease or because the process dies, leaves nothing
// half-written, and the next ends where a run that was never cut off ends.
func TestRunCutOff(t *testing.T) {
	seed := func(r *rig) []string {
		m := r.mount(2)
		names := m.estate(20)
		r.sync(nil)
		m.put("team0/s1", `{"password":"changed"}`)
		m.put("team0/s2", `{"password":"value of 2"}`)
		for i := range 10 {
			m.put(fmt.Sprintf("new/s%d", i), `{"password":"new"}`)
			names = append(names, fmt.Sprintf("new-s%d", i))
		}
		return names
	}
	var clean map[string]string
	onEmulator(t, func(t *testing.T, r *rig) {
		seed(r)
		r.sync(nil)
		clean = r.snapshot()
	})
	type cut struct {
		kind string
		at   int
	}
	var cuts []cut
	for kind, last := range map[string]int{"LIST": 4, "metadata": 20, "data": 12, "list": 1, "PUT": 11, "PATCH": 1} {
		for at := 1; at <= last; at += 1 + last/3 {
			cuts = append(cuts, cut{kind, at})
		}
	}
	for _, c := range cuts {
		for how, end := range map[string]func(r *rig, cancel context.CancelFunc) trouble{
			"context": func(_ *rig, cancel context.CancelFunc) trouble { return once(c.kind, c.at, after(cancel)) },
			// The network goes, and with it the lease.
			"lease": func(r *rig, _ context.CancelFunc) trouble {
				return from(c.kind, c.at, func(w http.ResponseWriter, req *http.Request, next http.Handler) {
					r.lost.Store(true)
					faults.HangAfter()(w, req, next)
				})
			},
		} {
			t.Run(fmt.Sprintf("%s_at_%s_%d", how, c.kind, c.at), func(t *testing.T) {
				t.Parallel()
				onEmulator(t, func(t *testing.T, r *rig) {
					names := seed(r)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					stop := end(r, cancel)
					r.toVault.meet(stop)
					r.toKeyVault.meet(stop)
					_, err := r.engine(func(o *vaultsync.Options) { o.Workers = 1 }).Sync(ctx, vaultsync.Scope{})
					if code := secret.Code(err); code != map[string]string{"context": "cancelled", "lease": "lease-lost"}[how] {
						t.Errorf("the run ended with %v", err)
					}
					r.whole(names)
					r.toVault.meet(nil)
					r.toKeyVault.meet(nil)
					r.lost.Store(false)
					r.sync(nil)
					r.same("after the next run", clean, r.snapshot())
					r.settled()
				})
			})
		}
	}
}
