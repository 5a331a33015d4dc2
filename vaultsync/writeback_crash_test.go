package vaultsync_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
)

// TestWriteBackCutOff: the write-back is stopped before, during and after each of its external calls, by a process that
// ends there, and repeated. The end is always the same: one new version in Vault, one set of tags, nothing for sync.
func TestWriteBackCutOff(t *testing.T) {
	stops := map[string]faults.Fault{"before": faults.ResetBefore(), "answer_lost": faults.ResetAfter(), "after": nil}
	shapes := map[string]struct{ data, value, then string }{
		"field":  {`{"password":"one"}`, "two", `{"password":"two"}`},
		"object": {`{"a":"1","b":2}`, `{"a":"two","b":3}`, `{"a":"two","b":3}`},
	}
	cells := 0
	for shape, c := range shapes {
		for how, stop := range stops {
			for at := 1; ; at++ {
				reached := false
				t.Run(fmt.Sprintf("%s/%s/%d", shape, how, at), func(t *testing.T) {
					onEmulator(t, func(t *testing.T, r *rig) {
						m := r.mount(2, writeBack)
						m.put("app/db", c.data)
						r.sync(nil)
						r.pass(time.Hour)
						r.rotate("app-db", c.value)
						began := r.copied("app-db")

						calls := 0
						meet := func(call string, _ *http.Request) faults.Fault {
							if call == "challenge" {
								return nil
							}
							switch calls++; {
							case calls == at && stop != nil:
								reached = true
								return stop
							case calls > at:
								reached = true
								return faults.ResetBefore()
							}
							return nil
						}
						r.toVault.meet(meet)
						r.toKeyVault.meet(meet)
						err := r.engine().WriteBack(t.Context(), "app-db")
						r.toVault.meet(nil)
						r.toKeyVault.meet(nil)
						if (err != nil) != reached {
							t.Fatalf("cut off: %v, ended with %v", reached, err)
						}
						if err != nil && !secret.IsTransient(err) {
							t.Errorf("%v is not for another attempt", err)
						}
						if _, version := m.inVault("app/db"); version > 2 {
							t.Errorf("vault has version %d", version)
						}
						r.holds("app-db", c.value, 2)

						r.pass(10 * time.Minute)
						r.must(r.engine().WriteBack(t.Context(), "app-db"))
						m.keeps("app/db", c.then, 2)
						r.holds("app-db", c.value, 2)
						r.sameButTags(began, "app-db")
						r.tagged("app-db", map[string]string{secret.TagAuthority: secret.AuthorityVault, secret.TagVaultVersion: "2"})
						r.wants(r.sync(nil), "unchanged 1")
						r.settled()
						r.holds("app-db", c.value, 2)
					})
				})
				cells++
				if !reached {
					break
				}
				if at > 50 {
					t.Fatal("no end of calls")
				}
			}
		}
	}
	t.Logf("%d cells", cells)
}

// TestWriteBackInTrouble: one call of a write-back is lost, or its answer is, and nothing else: it ends as if nothing
// had been.
func TestWriteBackInTrouble(t *testing.T) {
	for what, fault := range map[string]faults.Fault{"lost": faults.ResetBefore(), "answer_lost": faults.ResetAfter(), "500": answer(500, `{"errors":["internal error"]}`)} {
		for at := 1; at <= 6; at++ {
			t.Run(fmt.Sprintf("%s/%d", what, at), func(t *testing.T) {
				onEmulator(t, func(t *testing.T, r *rig) {
					m := r.mount(2, writeBack)
					m.put("app/db", `{"password":"one"}`)
					r.sync(nil)
					r.rotate("app-db", "two")
					calls := 0
					meet := func(call string, _ *http.Request) faults.Fault {
						if call != "challenge" {
							calls++
						}
						if calls == at && call != "challenge" {
							return fault
						}
						return nil
					}
					r.toVault.meet(meet)
					r.toKeyVault.meet(meet)
					r.must(r.engine().WriteBack(t.Context(), "app-db"))
					r.toVault.meet(nil)
					r.toKeyVault.meet(nil)
					m.keeps("app/db", `{"password":"two"}`, 2)
					r.wants(r.sync(nil), "unchanged 1")
					r.holds("app-db", "two", 2)
				})
			})
		}
	}
}

// sameButTags checks that the current version of a secret is the one it was.
func (r *rig) sameButTags(was kvemulator.Version, name string) {
	r.t.Helper()
	if now := r.copied(name); now.ID != was.ID || now.Value != was.Value {
		r.t.Errorf("%s has another version than before", name)
	}
}

// TestWriteBackLater: between the cut and the repetition Vault moves on. Then nobody's value is overwritten.
func TestWriteBackLater(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, writeBack)
		m.put("app/db", `{"password":"one"}`)
		r.sync(nil)
		r.rotate("app-db", "two")
		r.toKeyVault.meet(every("PATCH", faults.ResetBefore()))
		if err := r.engine().WriteBack(t.Context(), "app-db"); err == nil {
			t.Fatal("the tags could not be written, and nobody said so")
		}
		r.toKeyVault.meet(nil)
		m.put("app/db", `{"password":"by hand"}`)
		err := r.engine().WriteBack(t.Context(), "app-db")
		r.ended(err, secret.ErrConflict)
		for _, n := range []int{1, 3} {
			if !strings.Contains(err.Error(), "version "+strconv.Itoa(n)) {
				t.Errorf("%q does not name version %d", err, n)
			}
		}
		m.keeps("app/db", `{"password":"by hand"}`, 3)
		r.tagged("app-db", map[string]string{secret.TagAuthority: secret.AuthorityKeyVault, secret.TagVaultVersion: "1"})
		r.wants(r.sync(nil), "skip app-db late-write")
		r.holds("app-db", "two", 2)
	})
}
