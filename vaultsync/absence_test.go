package vaultsync_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/internal/contract"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// estate seeds n secrets in folders of ten and returns their names in Key Vault.
func (m mount) estate(n int) []string {
	m.r.t.Helper()
	var names []string
	for i := range n {
		path := fmt.Sprintf("team%d/s%d", i/10, i)
		m.put(path, fmt.Sprintf(`{"password":"value of %d"}`, i))
		names = append(names, vaultsync.ComputeName(path))
	}
	return names
}

// snapshot is every secret of Key Vault with value, tags and number of versions, without what differs from rig to rig.
func (r *rig) snapshot() map[string]string {
	all := map[string]string{}
	for _, s := range r.store.Secrets() {
		if secret.Own(s.Name) {
			continue
		}
		v := s.CurrentVersion()
		_, path, _ := strings.Cut(v.Tags[secret.TagVaultPath], "/")
		all[s.Name] = fmt.Sprint(s.State, len(s.Versions), v.Value, v.ContentType, v.Disabled, path,
			v.Tags[secret.TagVaultVersion], v.Tags[secret.TagAuthority], len(v.Tags))
	}
	return all
}

func (r *rig) same(what string, want, got map[string]string) {
	r.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

// few workers leave calls to be made when something happens in the middle of a run.
func few(o *vaultsync.Options) { o.Workers = 2 }

const sealed = `{"errors":["Vault is sealed"]}`

// TestVaultGone: when Vault answers nobody, the run ends with an error, what is in Key Vault stays as it is, and the
// next run does the rest.
func TestVaultGone(t *testing.T) {
	for what, c := range map[string]struct {
		kind string // of the call
		n    int    // which of them, and everything after it
		meet faults.Fault
		want error
	}{
		"sealed before":                 {"mounts", 1, answer(503, sealed), secret.ErrUnavailable},
		"sealed in the walk":            {"LIST", 2, answer(503, sealed), secret.ErrUnavailable},
		"sealed among the reads":        {"data", 10, answer(503, sealed), secret.ErrUnavailable},
		"sealed among the metadata":     {"metadata", 5, answer(503, sealed), secret.ErrUnavailable},
		"unreachable before":            {"mounts", 1, faults.ResetBefore(), secret.ErrUnavailable},
		"unreachable in the walk":       {"LIST", 2, faults.ResetBefore(), secret.ErrUnavailable},
		"unreachable among the reads":   {"data", 10, faults.ResetBefore(), secret.ErrUnavailable},
		"overloaded from the reads on":  {"data", 10, answer(502, "<html>"), secret.ErrUnavailable},
		"token revoked before":          {"mounts", 1, answer(403, `{"errors":["permission denied","invalid token"]}`), secret.ErrUnauthorized},
		"token revoked in the walk":     {"LIST", 2, answer(403, `{"errors":["permission denied","invalid token"]}`), secret.ErrUnauthorized},
		"token revoked among the reads": {"data", 10, answer(403, `{"errors":["permission denied","invalid token"]}`), secret.ErrUnauthorized},
		"a page that is not Vault's":    {"LIST", 2, answer(200, "<html>sign in</html>"), secret.ErrUnavailable},
		"not found, and not from Vault": {"LIST", 2, answer(404, "<html>"), secret.ErrUnavailable},
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				m.estate(20)
				r.sync(nil)
				m.put("team0/s1", `{"password":"changed"}`)
				for i := range 12 {
					m.put(fmt.Sprintf("new/s%d", i), `{"password":"new"}`)
				}
				before := r.snapshot()
				r.toVault.meet(from(c.kind, c.n, c.meet))
				report, _, err := r.engine().Plan(t.Context(), vaultsync.Scope{})
				r.ended(err, c.want)
				if report.Complete {
					t.Error("the plan says it is complete")
				}
				r.same("after the plan", before, r.snapshot())

				r.toVault.meet(from(c.kind, c.n, c.meet))
				report, err = r.engine().Sync(t.Context(), vaultsync.Scope{})
				r.ended(err, c.want)
				if report.Complete {
					t.Error("the report says it is complete")
				}
				for name, was := range before {
					if got := r.snapshot()[name]; got != was && name != "team0-s1" {
						t.Errorf("%s was %s and is %s", name, was, got)
					}
				}
				r.toVault.meet(nil)
				r.sync(nil)
				r.settled()
				r.holds("team0-s1", "changed", 2)
				r.holds("new-s11", "new", 1)
			})
		})
	}
}

// TestTokenEndsMidWalk: with a way to log in, a revoked token costs one log-in and nothing else.
func TestTokenEndsMidWalk(t *testing.T) {
	for _, at := range []string{"LIST", "data"} {
		t.Run(at, func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				names := m.estate(30)
				r.source = r.open(r.server.logIn(r, contract.Grants{m.path + "/*": {"read", "list"}}))
				n := 0
				var mu sync.Mutex
				r.toVault.meet(func(call string, req *http.Request) faults.Fault {
					mu.Lock()
					defer mu.Unlock()
					if call != at {
						return nil
					}
					if n++; n != 2 {
						return nil
					}
					return after(func() {
						m.call(http.MethodPost, "auth/token/revoke", `{"token":"`+req.Header.Get("X-Vault-Token")+`"}`)
					})
				})
				report, err := r.engine(few).Sync(t.Context(), vaultsync.Scope{})
				r.ended(err, nil)
				if report.Counts[vaultsync.Create] != len(names) {
					t.Errorf("got %q", lines(report))
				}
				if n := r.toVault.counted()["login"]; n != 2 {
					t.Errorf("logged in %d times, want 2", n)
				}
				r.toVault.meet(nil)
				r.settled()
			})
		})
	}
}

// TestMountMissing: a mount that is not there is told, and the others go on.
func TestMountMissing(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		missing, one := r.mount(2), r.mount(1)
		missing.put("gone", `{"password":"one"}`)
		one.put("a", `{"password":"one"}`)
		r.sync(nil)
		missing.disable()
		one.put("a", `{"password":"two"}`)
		want := []string{"failed " + missing.path + " not-found", "update a source-changed"}
		report := r.plan(secret.ErrPartial)
		r.wants(report, want...)
		report = r.sync(secret.ErrPartial)
		r.wants(report, want...)
		if report.Complete || len(report.Missing) != 1 || report.Missing[0] != missing.path {
			t.Errorf("complete %v, missing %q", report.Complete, report.Missing)
		}
		r.holds("gone", "one", 1)
		r.holds("a", "two", 2)
	})
}

// TestMountGoesMidWalk: unmounted after the mounts were proved, in the walk or in the reads. Its secrets are not taken
// for removed, and the other mount is copied.
func TestMountGoesMidWalk(t *testing.T) {
	for at, n := range map[string]int{"LIST": 1, "data": 3, "metadata": 3} {
		t.Run(at, func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				going, stays := r.mount(2), r.mount(1)
				going.estate(20)
				r.sync(nil)
				for i := range 20 {
					going.put(fmt.Sprintf("new/s%d", i), `{"password":"new"}`)
				}
				stays.put("a", `{"password":"one"}`)
				before := r.snapshot()
				goes := once(at, n, after(going.disable))
				r.toVault.meet(func(call string, req *http.Request) faults.Fault {
					if !strings.Contains(req.URL.Path, going.path) {
						return nil
					}
					return goes(call, req)
				})
				report, err := r.engine(few).Sync(t.Context(), vaultsync.Scope{})
				r.ended(err, secret.ErrPartial)
				if at == "LIST" && report.Complete {
					t.Error("the report says it is complete")
				}
				for name, was := range before {
					if got := r.snapshot()[name]; got != was {
						t.Errorf("%s was %s and is %s", name, was, got)
					}
				}
				r.toVault.meet(nil)
				r.wants(r.sync(secret.ErrPartial), "failed "+going.path+" not-found", "unchanged 1")
				r.holds("a", "one", 1)
			})
		})
	}
}

// TestPolicyNarrowed: a folder that is forbidden now is told, its copies stay, and the rest goes on.
func TestPolicyNarrowed(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("open/a", `{"password":"one"}`)
		m.put("closed/b", `{"password":"one"}`)
		m.put("names-only/c", `{"password":"one"}`)
		m.put("names-only/d", `{"password":"one"}`)
		r.sync(nil)
		before := r.snapshot()
		r.source = r.open(vault.Token(secret.New(r.Token(t, contract.Grants{
			m.path + "/metadata/":             {"list"},
			m.path + "/metadata/open/*":       {"read", "list"},
			m.path + "/data/open/*":           {"read"},
			m.path + "/metadata/names-only/":  {"list"},
			m.path + "/metadata/names-only/c": {"read"},
		}))))
		m.put("open/a", `{"password":"two"}`)
		m.put("names-only/c", `{"password":"two"}`)
		want := []string{
			"failed " + m.path + "/closed/ forbidden",
			"failed names-only-c forbidden", "failed names-only-d forbidden",
			"update open-a source-changed",
		}
		r.wantsUnordered(r.plan(secret.ErrPartial), want)
		report := r.sync(secret.ErrPartial)
		r.wantsUnordered(report, want)
		if diff := cmp.Diff([]string{m.path + "/closed/"}, report.Missing); diff != "" || report.Complete {
			t.Errorf("complete %v, missing (-want +got)\n%s", report.Complete, diff)
		}
		r.holds("open-a", "two", 2)
		for _, name := range []string{"closed-b", "names-only-c", "names-only-d"} {
			if got := r.snapshot()[name]; got != before[name] {
				t.Errorf("%s was %s and is %s", name, before[name], got)
			}
		}
	})
}

// TestListedAndGone: removed between the listing and the read. It is not an error, and the next run does not see it.
func TestListedAndGone(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(version)
				m.put("a", `{"password":"one"}`)
				m.put("b", `{"password":"one"}`)
				r.toVault.meet(once("LIST", 1, after(func() {
					if version == 2 {
						m.wipe("a")
					} else {
						m.remove("a")
					}
				})))
				r.wants(r.sync(nil), "create b new", "skip a vanished")
				r.toVault.meet(nil)
				r.wants(r.sync(nil), "unchanged 1")
			})
		})
	}
}

// TestOneSickSecret: a secret on which Vault or Key Vault always fails is told, and does not keep the others from being
// copied, today and every day.
func TestOneSickSecret(t *testing.T) {
	sick := func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/sick") || strings.HasSuffix(r.URL.Path, "/sick/")
	}
	failing := func(_ string, r *http.Request) faults.Fault {
		if sick(r) {
			return answer(http.StatusInternalServerError, `{"errors":["internal error"]}`)
		}
		return nil
	}
	for what, trouble := range map[string]func(r *rig){
		"in Vault":     func(r *rig) { r.toVault.meet(failing) },
		"in Key Vault": func(r *rig) { r.toKeyVault.meet(failing) },
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				m.put("sick", `{"password":"one"}`)
				names := m.estate(50)
				trouble(r)
				report := r.sync(secret.ErrPartial)
				if report.Counts[vaultsync.Create] != len(names) || report.Counts[vaultsync.Failed] != 1 {
					t.Errorf("got %q", lines(report))
				}
			})
		})
	}
}

// TestSickFolder: a folder that Vault cannot list is told, and the others go on.
func TestSickFolder(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.put("sick/a", `{"password":"one"}`)
		m.put("well/b", `{"password":"one"}`)
		r.toVault.meet(func(_ string, r *http.Request) faults.Fault {
			if strings.Contains(r.URL.Path, "/sick") {
				return answer(http.StatusInternalServerError, `{"errors":["internal error"]}`)
			}
			return nil
		})
		report := r.sync(secret.ErrPartial)
		r.wants(report, "create well-b new", "failed "+m.path+"/sick/ unavailable")
		if report.Complete {
			t.Error("the report says it is complete")
		}
	})
}

// TestSlowVault: a run whose time is over stops, whole in all it wrote.
func TestSlowVault(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.estate(30)
		r.toVault.meet(from("data", 10, faults.Hang()))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		report, err := r.engine().Sync(ctx, vaultsync.Scope{})
		r.ended(err, context.DeadlineExceeded)
		if report.Complete || len(report.Missing) == 0 {
			t.Errorf("complete %v, missing %q", report.Complete, report.Missing)
		}
		r.toVault.meet(nil)
		r.sync(nil)
		r.settled()
	})
}
