package vaultsync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestSourceChanges: a copied secret changes in Vault; plan says what sync then does, and after it nothing is left.
// Each change stands for a row of facts/vault-sync.md A3 and A4.
func TestSourceChanges(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		what     string
		versions []int         // of KV
		seed     func(m mount) // beside "app/db"
		change   func(m mount) // after the first sync
		want     []string      // of the second
		value    string        // then in Key Vault
		made     int           // versions then in Key Vault
		then     func(m mount) // after the second sync
		wantThen []string      // of the third
		rule     func(*vaultsync.Rule)
	}{
		{
			what: "nothing", versions: []int{1, 2}, change: func(mount) {},
			want: []string{"unchanged 1"}, value: "one", made: 1,
		}, {
			what: "one of several secrets", versions: []int{1, 2},
			seed:   func(m mount) { m.put("app/cache", `{"password":"c"}`); m.put("other", `{"a":"1","b":2}`) },
			change: func(m mount) { m.put("app/db", `{"password":"two"}`) },
			want:   []string{"update app-db source-changed", "unchanged 2"}, value: "two", made: 2,
		}, {
			what: "written again with the same value", versions: []int{2},
			change: func(m mount) { m.put("app/db", `{"password":"one"}`) },
			want:   []string{"retag app-db equal-value"}, value: "one", made: 1,
		}, {
			what: "written again with the same value on version 1", versions: []int{1},
			change: func(m mount) { m.put("app/db", `{"password":"one"}`) },
			want:   []string{"unchanged 1"}, value: "one", made: 1,
		}, {
			what: "written there and back", versions: []int{2},
			change: func(m mount) { m.put("app/db", `{"password":"two"}`); m.put("app/db", `{"password":"one"}`) },
			want:   []string{"retag app-db equal-value"}, value: "one", made: 1,
		}, {
			what: "another field name for the same value", versions: []int{1},
			change: func(m mount) { m.put("app/db", `{"secret":"one"}`) },
			want:   []string{"retag app-db tags"}, value: "one", made: 1,
		}, {
			what: "deleted softly, then undeleted", versions: []int{2},
			change: func(m mount) { m.remove("app/db") },
			want:   []string{"skip app-db source-deleted"}, value: "one", made: 1,
			then: func(m mount) { m.undelete("app/db", 1) }, wantThen: []string{"unchanged 1"},
		}, {
			what: "deleted softly, then written anew", versions: []int{2},
			change: func(m mount) { m.remove("app/db") },
			want:   []string{"skip app-db source-deleted"}, value: "one", made: 1,
			then: func(m mount) { m.put("app/db", `{"password":"two"}`) }, wantThen: []string{"update app-db source-changed"},
		}, {
			what: "changed, and the change deleted", versions: []int{2},
			change: func(m mount) { m.put("app/db", `{"password":"two"}`); m.remove("app/db") },
			want:   []string{"skip app-db source-deleted"}, value: "one", made: 1,
		}, {
			what: "destroyed", versions: []int{2},
			change: func(m mount) { m.destroy("app/db", 1) },
			want:   []string{"skip app-db source-destroyed"}, value: "one", made: 1,
		}, {
			what: "wiped", versions: []int{2},
			change: func(m mount) { m.wipe("app/db") },
			want:   []string{"skip app-db source-deleted"}, value: "one", made: 1,
		}, {
			what: "removed on version 1", versions: []int{1},
			change: func(m mount) { m.remove("app/db") },
			want:   []string{"skip app-db source-deleted"}, value: "one", made: 1,
		}, {
			what: "wiped and made anew, at the same version", versions: []int{2},
			change: func(m mount) { m.wipe("app/db"); m.put("app/db", `{"password":"two"}`) },
			want:   []string{"update app-db source-changed"}, value: "two", made: 2,
		}, {
			what: "wiped and made anew with the same value", versions: []int{2},
			change: func(m mount) { m.wipe("app/db"); m.put("app/db", `{"password":"one"}`) },
			want:   []string{"retag app-db equal-value"}, value: "one", made: 1,
		}, {
			what: "wiped and made anew, at a lower version", versions: []int{2},
			seed:   func(m mount) { m.put("app/db", `{"password":"one"}`) },
			change: func(m mount) { m.wipe("app/db"); m.put("app/db", `{"password":"two"}`) },
			want:   []string{"update app-db source-changed"}, value: "two", made: 2,
		}, {
			what: "wiped to metadata only", versions: []int{2},
			change: func(m mount) { m.wipe("app/db"); m.describe("app/db", `{"custom_metadata":{"owner":"b"}}`) },
			want:   []string{"skip app-db never-written"}, value: "one", made: 1,
		}, {
			what: "emptied", versions: []int{1, 2},
			change: func(m mount) { m.put("app/db", `{"password":""}`) },
			want:   []string{"skip app-db empty"}, value: "one", made: 1,
		}, {
			what: "written as null", versions: []int{2},
			change: func(m mount) { m.put("app/db", `null`) },
			want:   []string{"skip app-db empty"}, value: "one", made: 1,
		}, {
			what: "custom metadata only", versions: []int{2},
			rule:   func(r *vaultsync.Rule) { r.Metadata = []string{"owner"} },
			change: func(m mount) { m.describe("app/db", `{"custom_metadata":{"owner":"team-a","cost":"1"}}`) },
			want:   []string{"retag app-db tags"}, value: "one", made: 1,
			then: func(m mount) { m.describe("app/db", `{"custom_metadata":{"owner":"team-b"}}`) }, wantThen: []string{"retag app-db tags"},
		}, {
			what: "a deletion is set for the future, and comes", versions: []int{2},
			seed: func(m mount) {
				m.describe("app/db", `{"delete_version_after":"48h"}`)
				m.put("app/db", `{"password":"one"}`)
			},
			change: func(m mount) { m.r.pass(day) },
			want:   []string{"unchanged 1"}, value: "one", made: 1,
			then: func(m mount) { m.r.pass(2 * day) }, wantThen: []string{"skip app-db source-deleted"},
		}, {
			what: "a year passes", versions: []int{1, 2},
			change: func(m mount) { m.r.pass(325 * day) },
			want:   []string{"retag app-db expiry"}, value: "one", made: 1,
		}, {
			what: "a second field appears", versions: []int{1, 2},
			change: func(m mount) { m.put("app/db", `{"password":"two","user":"u"}`) },
			want:   []string{"conflict app-db shape-changed"}, value: "one", made: 1,
			then: func(m mount) { m.r.rules[0].As = vaultsync.ShapeJSON }, wantThen: []string{"update app-db source-changed"},
		}, {
			what: "a second field appears where the rule says json", versions: []int{1, 2},
			rule:   func(r *vaultsync.Rule) { r.As = vaultsync.ShapeJSON },
			change: func(m mount) { m.put("app/db", `{"password":"two","user":"u"}`) },
			want:   []string{"update app-db source-changed"}, value: `{"password":"two","user":"u"}`, made: 2,
		}, {
			what: "a second field appears where the rule says value", versions: []int{1, 2},
			rule:   func(r *vaultsync.Rule) { r.As = vaultsync.ShapeValue },
			change: func(m mount) { m.put("app/db", `{"password":"two","user":"u"}`) },
			want:   []string{"skip app-db several-fields"}, value: "one", made: 1,
		}, {
			what: "it grows too large", versions: []int{1, 2},
			change: func(m mount) { m.put("app/db", `{"password":"`+strings.Repeat("x", secret.MaxValue+1)+`"}`) },
			want:   []string{"conflict app-db too-large"}, value: "one", made: 1,
			then: func(m mount) { m.put("app/db", `{"password":"`+strings.Repeat("x", secret.MaxValue)+`"}`) }, wantThen: []string{"update app-db source-changed"},
		}, {
			what: "it becomes a certificate", versions: []int{1, 2},
			change: func(m mount) { m.put("app/db", `{"password":"-----BEGIN CERTIFICATE-----\nMIIB"}`) },
			want:   []string{"skip app-db belongs-in-certificates"}, value: "one", made: 1,
		}, {
			what: "the mount is made anew with the same secret", versions: []int{1, 2},
			change: func(m mount) { m.disable(); m.enable(); m.put("app/db", `{"password":"one"}`) },
			want:   []string{"retag app-db equal-value"}, value: "one", made: 1,
		}, {
			what: "the mount is made anew with another secret", versions: []int{1, 2},
			change: func(m mount) { m.disable(); m.enable(); m.put("app/db", `{"password":"two"}`) },
			want:   []string{"update app-db source-changed"}, value: "two", made: 2,
		},
	} {
		for _, version := range c.versions {
			t.Run(strings.ReplaceAll(c.what, " ", "_")+map[int]string{1: "/v1", 2: "/v2"}[version], func(t *testing.T) {
				scenario(t, func(t *testing.T, r *rig) {
					m := r.mount(version, func(rule *vaultsync.Rule) {
						if c.rule != nil {
							c.rule(rule)
						}
					})
					m.put("app/db", `{"password":"one"}`)
					if c.seed != nil {
						c.seed(m)
					}
					r.sync(nil)
					r.pass(time.Minute)
					c.change(m)
					r.wants(r.plan(nil), c.want...)
					r.wants(r.sync(nil), c.want...)
					r.holds("app-db", c.value, c.made)
					r.settled()
					if c.then != nil {
						c.then(m)
						r.wants(r.plan(nil), c.wantThen...)
						r.wants(r.sync(nil), c.wantThen...)
						r.settled()
					}
				})
			})
		}
	}
}
