package vaultsync_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

func byKey(r *vaultsync.Rule) { r.As = vaultsync.ShapeKey }

// TestFieldsByThemselves: with as: key each field is a secret of its own, with its own text, and follows it.
func TestFieldsByThemselves(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			scenario(t, func(t *testing.T, r *rig) {
				m := r.mount(version, byKey, onDelete(vaultsync.DeleteDisable))
				m.put("app/db", `{"user":"u","password":"one","port":5432,"tls":{"ca":"x"},"empty":""}`)
				m.put("single", `{"value":"v"}`)
				want := []string{
					"create app-db-password new", "create app-db-port new", "create app-db-tls new", "create app-db-user new",
					"create single-value new", "skip app-db-empty empty",
				}
				r.wants(r.plan(nil), want...)
				r.wants(r.sync(nil), want...)
				for name, value := range map[string]string{
					"app-db-user": "u", "app-db-password": "one", "app-db-port": "5432", "app-db-tls": `{"ca":"x"}`, "single-value": "v",
				} {
					r.holds(name, value, 1)
				}
				if tags := r.copied("app-db-user").Tags; tags[secret.TagVaultPath] != m.path+"/app/db#user" || tags[secret.TagVaultField] != "user" {
					t.Errorf("tags %v", tags)
				}
				r.wants(r.sync(nil), "skip app-db-empty empty", "unchanged 5")

				// one changes, one comes, one goes, one is renamed
				m.put("app/db", `{"user":"u","password":"two","host":"h","tls-config":{"ca":"x"}}`)
				same := map[int]string{1: "unchanged 2", 2: "unchanged 1"}[version]
				want = []string{
					"create app-db-host new", "create app-db-tls-config new", "disable app-db-port source-deleted",
					"disable app-db-tls source-deleted", "retag app-db-user equal-value", "update app-db-password source-changed", same,
				}
				if version == 1 { // without metadata nothing says that the secret was written again
					want = append(want[:4:4], want[5:]...)
				}
				r.wants(r.plan(nil), want...)
				r.wants(r.sync(nil), want...)
				r.holds("app-db-user", "u", 1)
				r.holds("app-db-password", "two", 2)
				r.stands("app-db-port", "disabled", true)

				// and comes back
				m.put("app/db", `{"user":"u","password":"two","host":"h","port":5432}`)
				r.sync(nil)
				r.stands("app-db-port", "active", false)
				r.holds("app-db-port", "5432", 1)
				r.stands("app-db-tls-config", "disabled", true)
				r.settled()
			})
		})
	}
}

// TestFieldsCostNoRead: of a secret that did not move no value is read, whatever became of its fields before.
func TestFieldsCostNoRead(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey)
		for i := range 20 {
			m.put(fmt.Sprintf("s%d", i), `{"a":"1","b":"2","c":"3"}`)
		}
		r.sync(nil)
		r.toVault.counted()
		r.wants(r.sync(nil), "unchanged 60")
		if got := r.toVault.counted(); got["data"] != 0 || got["metadata"] != 20 {
			t.Errorf("an unmoved run made the calls %v", got)
		}
		m.put("s1", `{"a":"1","c":"3"}`)
		m.put("s2", `{"a":"1","b":"2","c":"3","d":"4"}`)
		m.remove("s3")
		r.sync(nil)
		if got := r.toVault.counted(); got["data"] != 2 || got["metadata"] != 20 {
			t.Errorf("a run with two changes made the calls %v", got)
		}
		report := r.sync(nil)
		r.wants(report, "skip s1-b source-deleted", "skip s3-a source-deleted", "skip s3-b source-deleted", "skip s3-c source-deleted", "unchanged 57")
		if got := r.toVault.counted(); got["data"] != 0 || got["metadata"] != 20 {
			t.Errorf("an unmoved run made the calls %v", got)
		}
	})
}

// TestFieldLeftBehind: a field that could not be copied in one run is copied in the next, though its secret did not
// move; one that somebody else wrote over is still told.
func TestFieldLeftBehind(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey)
		m.put("a", `{"one":"1","two":"2","three":"3","four":"4"}`)
		r.set("a-four", "theirs", nil)
		r.toKeyVault.meet(func(call string, req *http.Request) faults.Fault {
			if call == "PUT" && strings.HasSuffix(req.URL.Path, "/a-two") {
				return instead(kvemulator.ForbiddenByRBAC("setSecret"))
			}
			return nil
		})
		r.wants(r.sync(secret.ErrPartial), "conflict a-four foreign", "create a-one new", "create a-three new", "failed a-two forbidden")
		r.toKeyVault.meet(nil)
		r.wants(r.sync(nil), "conflict a-four foreign", "create a-two new", "unchanged 2")
		r.drops("a-four")
		_, err := r.sdk.PurgeDeletedSecret(t.Context(), "a-four", nil)
		r.must(err)
		r.wants(r.sync(nil), "create a-four new", "unchanged 3")
		r.pass(time.Hour)
		r.set("a-one", "by hand", nil)
		r.wants(r.sync(nil), "conflict a-one destination-changed", "unchanged 3")
		r.settled()
	})
}

// TestManyFields: 200 fields of one secret cost one read of it.
func TestManyFields(t *testing.T) {
	onEmulator(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey, onDelete(vaultsync.DeleteDelete))
		var all []string
		for i := range 200 {
			all = append(all, fmt.Sprintf(`"k%d":"v%d"`, i, i))
		}
		m.put("big", "{"+strings.Join(all, ",")+"}")
		r.toVault.counted()
		if n := r.sync(nil).Counts[vaultsync.Create]; n != 200 {
			t.Errorf("%d were made", n)
		}
		if diff := cmp.Diff(map[string]int{"mounts": 1, "LIST": 1, "data": 1}, r.toVault.counted()); diff != "" {
			t.Errorf("calls (-want +got)\n%s", diff)
		}
		report, err := r.engine().Sync(t.Context(), vaultsync.Scope{Full: true})
		r.ended(err, nil)
		r.wants(report, "unchanged 200")
		if n := r.toVault.counted()["data"]; n != 1 {
			t.Errorf("a full run read the secret %d times", n)
		}
	})
}

// TestOddFields: names of fields that look like something else.
func TestOddFields(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey)
		m.put("a#b", `{"c":"1"}`)
		m.put("a", `{"b#c":"2","":"3","%":"4","B":"5"}`)
		r.wantsUnordered(r.sync(nil), []string{
			"conflict " + m.path + "/a name-empty", "conflict a-b-c name-collision", "conflict a-b-c name-collision",
			"create a new", "create a-B new",
		})
		// "%" has no letter: it wants the name of the secret itself
		r.holds("a", "4", 1)
		r.rules[0].Map = map[string]string{"a#%": "percent"}
		r.sync(nil)
		r.holds("percent", "4", 1)
	})
}

// TestFieldsOfNothing: a secret without fields is said once, and wants no name.
func TestFieldsOfNothing(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey)
		m.call(http.MethodPost, m.path+"/data/empty", `{"data":{}}`)
		m.put("null", `null`)
		m.put("deleted", `{"a":"1"}`)
		m.remove("deleted")
		m.describe("metadata", `{"custom_metadata":{"owner":"a"}}`)
		other := r.mount(2)
		other.put("empty", `{"a":"1"}`)
		want := []string{
			"create empty new", "skip " + m.path + "/deleted source-deleted", "skip " + m.path + "/empty empty",
			"skip " + m.path + "/metadata never-written", "skip " + m.path + "/null empty",
		}
		r.wants(r.plan(nil), want...)
		r.wants(r.sync(nil), want...)
		r.settled()
	})
}

// TestFieldsVanish: a secret that is listed and gone when it is read is no failure, and its copies stay in that run.
func TestFieldsVanish(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2, byKey, onDelete(vaultsync.DeleteDelete)).stays()
		m.put("a", `{"one":"1","two":"2"}`)
		r.sync(nil)
		m.put("a", `{"one":"1","two":"3"}`)
		r.toVault.meet(once("LIST", 1, after(func() { m.wipe("a") })))
		r.wants(r.sync(nil), "skip a-one vanished", "skip a-two vanished", "unchanged 1")
		r.stands("a-one", "active", false)
		r.toVault.meet(nil)
		r.wants(r.sync(nil), "delete a-one source-deleted", "delete a-two source-deleted", "unchanged 1")
	})
}
