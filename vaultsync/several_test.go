package vaultsync_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/keyferry/keyferry/internal/contract"
	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	vaultemulator "github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// toward sends a rule's secrets to another Key Vault.
func toward(destination string) func(*vaultsync.Rule) {
	return func(r *vaultsync.Rule) { r.Destination = destination }
}

// beside is a second Key Vault of the same rig: how to make an engine of it, and its store.
func (r *rig) beside(name string) (func(...func(*vaultsync.Options)) *vaultsync.Engine, *kvemulator.Vault) {
	r.t.Helper()
	store := kvemulator.New(kvemulator.Options{Name: name, Now: r.now, CreateLimit: 300, TransactionLimit: 4000})
	client, err := keyvault.New(keyvault.Options{URL: "https://" + name + ".vault.azure.net", Credential: bearer("keyferry"), Transport: faults.Transport(store)})
	r.must(err)
	return func(edits ...func(*vaultsync.Options)) *vaultsync.Engine {
		return r.engine(append([]func(*vaultsync.Options){func(o *vaultsync.Options) {
			o.Name, o.Destination, o.Lock = name, client, r.lock(name+"/")
		}}, edits...)...)
	}, store
}

func names(store *kvemulator.Vault) []string {
	out := []string{}
	for _, s := range store.Secrets() {
		if !secret.Own(s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// TestTwoKeyVaults: rules lead to different Key Vaults. Each run writes its own only, with a hash key of its own, both
// can run at once, and a secret belongs to the first rule that selects it wherever that leads.
func TestTwoKeyVaults(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, toward("kv2"), func(rule *vaultsync.Rule) { rule.Include = []string{"shared/**"} })
		r.rules = append(r.rules, vaultsync.Rule{Name: "rest", Mount: m.path, OnDelete: vaultsync.DeleteDelete})
		m.put("shared/a", `{"password":"one"}`)
		m.put("own/b", `{"password":"one"}`)
		other, store := r.beside("kv2")
		var both sync.WaitGroup
		for want, e := range map[string]*vaultsync.Engine{"create own-b new": r.engine(), "create shared-a new": other()} {
			both.Go(func() {
				if !e.Writes() {
					t.Error("an engine says it has no rules")
				}
				report, err := e.Sync(t.Context(), vaultsync.Scope{})
				r.ended(err, nil)
				r.wants(report, want)
			})
		}
		both.Wait()
		if got := names(store); len(got) != 1 || got[0] != "shared-a" {
			t.Errorf("kv2 holds %q", got)
		}
		one, _ := r.store.Secret(secret.HashKeyName)
		two, _ := store.Secret(secret.HashKeyName)
		if one.CurrentVersion().Value == two.CurrentVersion().Value {
			t.Error("both Key Vaults have one hash key")
		}
		r.settled()

		// The rule that leads elsewhere is gone: the secret comes here, and its copy there is left.
		r.rules = r.rules[1:]
		r.wants(r.sync(nil), "create shared-a new", "unchanged 1")
		if e := other(); e.Writes() {
			t.Error("an engine without rules says that it writes")
		}
		report, err := other().Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wants(report, "skip shared-a unselected")
	})
}

// TestOneKeyVaultDown: what one Key Vault refuses does not touch the other.
func TestOneKeyVaultDown(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		one, two := r.mount(2), r.mount(2, toward("kv2"))
		one.put("a", `{"password":"one"}`)
		two.put("b", `{"password":"one"}`)
		other, store := r.beside("kv2")
		r.toKeyVault.meet(every("list", answer(503, internalError)))
		r.sync(secret.ErrUnavailable)
		report, err := other().Sync(t.Context(), vaultsync.Scope{})
		r.ended(err, nil)
		r.wants(report, "create b new")
		if len(names(store)) != 1 {
			t.Errorf("kv2 holds %q", names(store))
		}
	})
}

// neighbour is a second source of the rig, a Vault or a namespace, with a mount of the same path.
type neighbour struct {
	name   string
	mount  mount
	source vaultsync.Source
	road   *road
}

func (n neighbour) joins(o *vaultsync.Options) { o.Sources[n.name] = n.source }

// anotherVault is a Vault that shares nothing with the first but the path of the mount.
func (r *rig) anotherVault(m mount) neighbour {
	r.t.Helper()
	server := vaultemulator.New(vaultemulator.Options{Now: r.now})
	road := &road{next: server, kind: r.toVault.kind, calls: map[string]int{}}
	source, err := vault.New(vault.Options{Address: r.server.address, Auth: vault.Token(secret.New("root")), Transport: faults.Transport(road), Now: r.now})
	r.must(err)
	hand := &rig{t: r.t, v1: r.v1, Vault: contract.VaultOverHTTP(r.server.address, "root", faults.Transport(server))}
	n := neighbour{name: "other", mount: mount{r: hand, path: m.path, version: m.version}, source: source, road: road}
	n.mount.enable()
	return n
}

// anotherNamespace is a namespace of one Vault, beside the one the rig works in.
func (r *rig) anotherNamespace(m mount) neighbour {
	r.t.Helper()
	source, err := vault.New(vault.Options{
		Address: r.server.address, Namespace: "team", Auth: vault.Token(secret.New("root")), Transport: faults.Transport(r.toVault), Now: r.now,
	})
	r.must(err)
	in := contract.VaultOverHTTP(r.server.address, "root", namespaced{faults.Transport(r.toVault.next)})
	hand := &rig{t: r.t, v1: r.v1, Vault: in}
	n := neighbour{name: "other", mount: mount{r: hand, path: m.path, version: m.version}, source: source, road: r.toVault}
	n.mount.enable()
	return n
}

// namespaced asks in the namespace "team".
type namespaced struct{ next http.RoundTripper }

func (n namespaced) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("X-Vault-Namespace", "team")
	return n.next.RoundTrip(req)
}

// TestTwoSources: two Vaults, or two namespaces of one, hold the same path. What is known of one is never taken for the
// other's: each has its own copy, its own state, its own fields and its own end.
func TestTwoSources(t *testing.T) {
	for what, make := range map[string]func(r *rig, m mount) neighbour{
		"two Vaults":     (*rig).anotherVault,
		"two namespaces": (*rig).anotherNamespace,
	} {
		for shape, edit := range map[string]func(*vaultsync.Rule){"whole": func(*vaultsync.Rule) {}, "by_field": byKey} {
			t.Run(what+"/"+shape, func(t *testing.T) {
				s := emulated()
				s.reach = func(now func() time.Time) http.Handler {
					return vaultemulator.New(vaultemulator.Options{Now: now, Namespaces: true})
				}
				inBubble(t, s, func(t *testing.T, r *rig) {
					m := r.mount(2, edit, onDelete(vaultsync.DeleteDisable)).stays()
					n := make(r, m)
					n.mount.stays()
					rule := r.rules[0]
					rule.Name, rule.Source, rule.NameAs = "rule-2", "other", "other-{{.Path}}{{if .Key}}-{{.Key}}{{end}}"
					r.rules = append(r.rules, rule)
					field := ""
					if shape == "by_field" {
						field = "-password"
					}
					run := func(want ...string) {
						t.Helper()
						r.pass(time.Minute)
						e := r.engine(n.joins)
						planned, plan, err := e.Plan(t.Context(), vaultsync.Scope{})
						r.ended(err, nil)
						r.wants(planned, want...)
						report, err := e.Apply(t.Context(), plan)
						r.ended(err, nil)
						r.wants(report, want...)
						report, err = e.Sync(t.Context(), vaultsync.Scope{})
						r.ended(err, nil)
						if report.Changes() != 0 {
							t.Errorf("the next sync: %q", lines(report))
						}
					}
					m.put("a", `{"password":"one"}`)
					n.mount.put("a", `{"password":"other one"}`)
					n.mount.put("a", `{"password":"other two"}`)
					run("create a"+field+" new", "create other-a"+field+" new", "create other-stays"+field+" new", "create stays"+field+" new")
					r.holds("a"+field, "one", 1)
					r.holds("other-a"+field, "other two", 1)
					n.mount.put("a", `{"password":"other three"}`)
					run("update other-a"+field+" source-changed", "unchanged 3")
					m.put("a", `{"password":"two"}`)
					run("update a"+field+" source-changed", "unchanged 3")
					n.mount.wipe("a")
					run("disable other-a"+field+" source-deleted", "unchanged 3")
					m.wipe("a")
					n.mount.put("a", `{"password":"other four"}`)
					run("disable a"+field+" source-deleted", "update other-a"+field+" source-back", "unchanged 2")
					r.holds("other-a"+field, "other four", 3)
				})
			})
		}
	}
}

// TestTwoSourcesWantOneName: the same path of two sources is one name: it is refused, or the suffixes tell them apart.
func TestTwoSourcesWantOneName(t *testing.T) {
	for _, c := range []vaultsync.Collision{vaultsync.CollisionRefuse, vaultsync.CollisionSuffix} {
		t.Run("on_collision_"+string(c), func(t *testing.T) {
			onEmulator(t, func(t *testing.T, r *rig) {
				m := r.mount(2, func(rule *vaultsync.Rule) { rule.OnCollision = c })
				n := r.anotherVault(m)
				rule := r.rules[0]
				rule.Name, rule.Source = "rule-2", "other"
				r.rules = append(r.rules, rule)
				m.put("a", `{"password":"one"}`)
				r.wants(r.syncWith(n.joins), "create a new")
				n.mount.put("a", `{"password":"other"}`)
				report := r.syncWith(n.joins)
				if c == vaultsync.CollisionRefuse {
					r.wants(report, "conflict a name-collision", "unchanged 1")
				} else if report.Counts[vaultsync.Create] != 1 {
					t.Errorf("got %q", lines(report))
				}
				r.holds("a", "one", 1)
				if again := r.syncWith(n.joins); again.Changes() != 0 {
					t.Errorf("the next sync: %q", lines(again))
				}
			})
		})
	}
}

// syncWith runs a whole sync that must end well, with the options bent.
func (r *rig) syncWith(edits ...func(*vaultsync.Options)) *vaultsync.Report {
	r.t.Helper()
	report, err := r.engine(edits...).Sync(r.t.Context(), vaultsync.Scope{})
	r.ended(err, nil)
	return report
}
