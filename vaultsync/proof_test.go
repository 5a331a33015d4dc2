package vaultsync_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/internal/contract"
	vaultemulator "github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestNothingRemovedWithoutProof: whatever keeps Vault from showing a secret, its copy stays, where the rule says
// delete, and the report has a word for it.
func TestNothingRemovedWithoutProof(t *testing.T) {
	narrowed := func(r *rig, m mount, g contract.Grants) {
		r.source = r.open(vault.Token(secret.New(r.Token(r.t, g))))
	}
	for _, c := range []struct {
		what     string
		versions []int
		goes     func(r *rig, m mount)
		end      error
		want     func(m mount) []string
	}{
		{
			what: "the policy no longer lists the folder", versions: []int{1, 2},
			goes: func(r *rig, m mount) {
				data := map[int]string{1: "/", 2: "/metadata/"}[m.version]
				narrowed(r, m, contract.Grants{m.path + data: {"list"}, m.path + data + "stays": {"read"}, m.path + "/data/stays": {"read"}})
			},
			end:  secret.ErrPartial,
			want: func(m mount) []string { return []string{"failed " + m.path + "/app/ forbidden", "unchanged 1"} },
		}, {
			what: "the policy no longer reads the secrets", versions: []int{1, 2},
			goes: func(r *rig, m mount) {
				data := map[int]string{1: "/", 2: "/metadata/"}[m.version]
				narrowed(r, m, contract.Grants{
					m.path + data: {"list"}, m.path + data + "app/": {"list"}, m.path + data + "stays": {"read"}, m.path + "/data/stays": {"read"},
				})
			},
			end: secret.ErrPartial,
			want: func(mount) []string {
				return []string{"failed app-a forbidden", "failed app-b forbidden", "unchanged 1"}
			},
		}, {
			what: "the policy reads nothing any more", versions: []int{1, 2},
			goes: func(r *rig, m mount) { narrowed(r, m, contract.Grants{"elsewhere/*": {"read"}}) },
			end:  secret.ErrPartial,
			want: func(m mount) []string { return []string{"failed " + m.path + " not-found"} },
		}, {
			what: "the folder cannot be listed", versions: []int{1, 2},
			goes: func(r *rig, _ mount) { r.toVault.meet(sickFolder("/app")) },
			end:  secret.ErrPartial,
			want: func(m mount) []string { return []string{"failed " + m.path + "/app/ unavailable", "unchanged 1"} },
		}, {
			what: "the mount is gone", versions: []int{1, 2},
			goes: func(_ *rig, m mount) { m.disable() },
			end:  secret.ErrPartial,
			want: func(m mount) []string { return []string{"failed " + m.path + " not-found"} },
		}, {
			what: "the mount was made anew", versions: []int{1, 2},
			goes: func(_ *rig, m mount) { m.disable(); m.enable(); m.stays() },
			want: func(mount) []string {
				return []string{"retag stays equal-value", "skip app-a mount-remade", "skip app-b mount-remade"}
			},
		}, {
			what: "the mount was made anew with another version", versions: []int{1},
			goes: func(_ *rig, m mount) { m.disable(); m.version = 2; m.enable(); m.stays() },
			want: func(mount) []string {
				return []string{"retag stays equal-value", "skip app-a mount-remade", "skip app-b mount-remade"}
			},
		}, {
			what: "the mount was made anew, and the secrets in it deleted", versions: []int{2},
			goes: func(_ *rig, m mount) {
				m.disable()
				m.enable()
				m.stays()
				m.put("app/a", `{"password":"one"}`)
				m.remove("app/a")
			},
			want: func(mount) []string {
				return []string{"retag stays equal-value", "skip app-a mount-remade", "skip app-b mount-remade"}
			},
		}, {
			what: "the mount is empty", versions: []int{1, 2},
			goes: func(_ *rig, m mount) {
				for _, path := range []string{"app/a", "app/b", "stays"} {
					if m.version == 2 {
						m.wipe(path)
					} else {
						m.remove(path)
					}
				}
			},
			want: func(mount) []string {
				return []string{"conflict app-a mount-emptied", "conflict app-b mount-emptied", "conflict stays mount-emptied"}
			},
		}, {
			what: "the rule is gone", versions: []int{1, 2},
			goes: func(r *rig, m mount) {
				other := r.mount(2, onDelete(vaultsync.DeleteDelete))
				other.put("other", `{"password":"one"}`)
				r.rules = r.rules[1:]
			},
			want: func(mount) []string {
				return []string{"create other new", "skip app-a unselected", "skip app-b unselected", "skip stays unselected"}
			},
		}, {
			what: "the rule selects less", versions: []int{1, 2},
			goes: func(r *rig, _ mount) { r.rules[0].Exclude = []string{"app/**"} },
			want: func(mount) []string { return []string{"skip app-a unselected", "skip app-b unselected", "unchanged 1"} },
		}, {
			what: "the rule selects another folder", versions: []int{1, 2},
			goes: func(r *rig, m mount) { r.rules[0].Include = []string{"stay*"} },
			want: func(mount) []string { return []string{"skip app-a unselected", "skip app-b unselected", "unchanged 1"} },
		}, {
			what: "the rule copies each field", versions: []int{2},
			goes: func(r *rig, _ mount) { r.rules[0].As = vaultsync.ShapeKey },
			want: func(mount) []string {
				return []string{
					"create app-a-password new", "create app-b-password new", "create stays-password new",
					"skip app-a unselected", "skip app-b unselected", "skip stays unselected",
				}
			},
		}, {
			what: "the rule leads to another Key Vault", versions: []int{2},
			goes: func(r *rig, _ mount) {
				first := r.rules[0]
				first.Name, first.Include, first.Destination = "first", []string{"app/**"}, "another"
				r.rules = append([]vaultsync.Rule{first}, r.rules...)
			},
			want: func(mount) []string { return []string{"skip app-a unselected", "skip app-b unselected", "unchanged 1"} },
		}, {
			what: "the names changed", versions: []int{1, 2},
			goes: func(r *rig, _ mount) { r.rules[0].NameAs = "new-{{.Path}}" },
			want: func(mount) []string {
				return []string{
					"create new-app-a new", "create new-app-b new", "create new-stays new",
					"skip app-a renamed", "skip app-b renamed", "skip stays renamed",
				}
			},
		}, {
			what: "the source has another name in the configuration", versions: []int{2},
			goes: func(r *rig, _ mount) { r.rules[0].Source = "old" },
			want: func(mount) []string {
				return []string{"conflict app-a other-source", "conflict app-b other-source", "conflict stays other-source"}
			},
		}, {
			what: "the hash key is lost", versions: []int{2},
			goes: func(r *rig, m mount) {
				m.wipe("app/a")
				r.drops(secret.HashKeyName)
				_, err := r.sdk.PurgeDeletedSecret(r.t.Context(), secret.HashKeyName, nil)
				r.must(err)
			},
			want: func(mount) []string {
				return []string{"conflict app-a destination-unproven", "retag app-b tags", "retag stays tags"}
			},
		},
	} {
		for _, version := range c.versions {
			t.Run(fmt.Sprintf("%s/v%d", c.what, version), func(t *testing.T) {
				scenario(t, func(t *testing.T, r *rig) {
					m := r.mount(version, onDelete(vaultsync.DeleteDelete)).stays()
					m.put("app/a", `{"password":"one"}`)
					m.put("app/b", `{"password":"one"}`)
					r.sync(nil)
					r.pass(time.Hour)
					c.goes(r, m)
					sources := func(o *vaultsync.Options) { o.Sources["old"] = r.source }
					report, _, err := r.engine(sources).Plan(t.Context(), vaultsync.Scope{})
					r.ended(err, c.end)
					r.wants(report, c.want(m)...)
					report, err = r.engine(sources).Sync(t.Context(), vaultsync.Scope{})
					r.ended(err, c.end)
					r.wants(report, c.want(m)...)
					for _, name := range []string{"app-a", "app-b", "stays"} {
						r.stands(name, "active", false)
						r.holds(name, map[bool]string{true: "one", false: "stays"}[name != "stays"], 1)
					}
				})
			})
		}
	}
}

// sickFolder is a folder that cannot be listed.
func sickFolder(name string) trouble {
	return func(call string, req *http.Request) faults.Fault {
		if call == "LIST" && strings.HasSuffix(strings.TrimSuffix(req.URL.Path, "/"), name) {
			return answer(http.StatusInternalServerError, `{"errors":["internal error"]}`)
		}
		return nil
	}
}

// TestUnreadFieldsAreNotMissing: a secret of an as: key rule that is there and cannot be read has lost no field.
func TestUnreadFieldsAreNotMissing(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, onDelete(vaultsync.DeleteDelete), byKey).stays()
		m.put("a", `{"user":"u","password":"one"}`)
		r.sync(nil)
		m.put("a", `{"user":"u","password":"two"}`)
		r.toVault.meet(func(call string, req *http.Request) faults.Fault {
			if call == "data" && strings.HasSuffix(req.URL.Path, "/a") {
				return answer(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`)
			}
			return nil
		})
		report := r.sync(secret.ErrPartial)
		r.wants(report, "failed "+m.path+"/a forbidden", "unchanged 1")
		if report.Complete {
			t.Error("the report says it is complete")
		}
		r.stands("a-user", "active", false)
		r.stands("a-password", "active", false)
		r.toVault.meet(nil)
		r.wants(r.sync(nil), "retag a-user equal-value", "update a-password source-changed", "unchanged 1")
	})
}

// dice gives two emulators the same random bytes.
type dice struct{ n byte }

func (d *dice) Read(b []byte) (int, error) {
	for i := range b {
		d.n++
		b[i] = d.n
	}
	return len(b), nil
}

// TestSnapshotRestored: Vault goes back in time. What is older there than in Key Vault is not copied, what it has not
// any more is not removed, and the report says why; what people then write is copied again.
func TestSnapshotRestored(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		// Two Vaults that live the same life, until one of them stands still: that one is the snapshot.
		lives := vaultemulator.New(vaultemulator.Options{Now: r.now, Rand: &dice{}})
		snapshot := vaultemulator.New(vaultemulator.Options{Now: r.now, Rand: &dice{}})
		both := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			r.must(err)
			for next, heard := range map[http.Handler]http.ResponseWriter{snapshot: httptest.NewRecorder(), lives: w} {
				one := req.Clone(req.Context())
				one.Body = io.NopCloser(bytes.NewReader(body))
				next.ServeHTTP(heard, one)
			}
		})
		r.worksOn(both)
		m := r.mount(2, onDelete(vaultsync.DeleteDelete))
		m.put("old", `{"password":"one"}`)
		m.put("still", `{"password":"one"}`)
		m.put("back", `{"password":"one"}`)
		r.sync(nil)
		r.worksOn(lives)
		r.pass(time.Hour)
		m.put("old", `{"password":"two"}`)
		m.put("young", `{"password":"one"}`)
		m.wipe("back")
		r.wants(r.sync(nil), "create young new", "delete back source-deleted", "update old source-changed", "unchanged 1")

		r.worksOn(snapshot)
		want := []string{"conflict old regressed", "conflict young source-restored", "recover back source-back", "unchanged 1"}
		r.wants(r.plan(nil), want...)
		report := r.sync(nil)
		r.wants(report, want...)
		if report.Held != 1 {
			t.Errorf("%d removals are held, want 1", report.Held)
		}
		r.holds("old", "two", 2)
		r.stands("young", "active", false)
		r.pass(time.Hour)
		m.put("old", `{"password":"three"}`)
		r.wants(r.sync(nil), "delete young source-deleted", "update old source-changed", "unchanged 2")
	})
}
