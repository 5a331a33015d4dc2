package vaultsync_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/internal/contract"
	vaultemulator "github.com/keyferry/keyferry/internal/emulator/vault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
	"github.com/keyferry/keyferry/vaultsync"
)

// onOpenBao runs a test on an emulated OpenBao.
func onOpenBao(t *testing.T, run func(t *testing.T, r *rig)) {
	t.Helper()
	s := emulated()
	s.reach = func(now func() time.Time) http.Handler {
		return vaultemulator.New(vaultemulator.Options{Now: now, OpenBao: true})
	}
	synctest.Test(t, func(t *testing.T) { run(t, newRig(t, s)) })
}

// detailed gives the listings with metadata of folders that end so a fault, and nothing else.
func detailed(end string, f faults.Fault) trouble {
	return func(_ string, r *http.Request) faults.Fault {
		if path := strings.TrimSuffix(r.URL.Path, "/"); strings.Contains(path, "/detailed-metadata") && strings.HasSuffix(path, end) {
			return f
		}
		return nil
	}
}

const (
	teams   = 4
	members = 5
)

// fill makes secrets in folders, with one name that is both.
func (m mount) fill() {
	for i := range teams * members {
		m.put(fmt.Sprintf("team%d/s%d", i%teams, i), `{"password":"one"}`)
	}
	m.put("team0", `{"password":"one"}`)
}

// TestOpenBaoCalls: a run without changes costs one call for each folder, and no read.
func TestOpenBaoCalls(t *testing.T) {
	onOpenBao(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.fill()
		const all = teams*members + 1
		calls := func(what string, want map[string]int) {
			t.Helper()
			if diff := cmp.Diff(want, r.toVault.counted()); diff != "" {
				t.Errorf("%s: calls to Vault (-want +got)\n%s", what, diff)
			}
		}
		r.plan(nil)
		calls("first plan", map[string]int{"mounts": 1, "LIST": 1 + teams, "data": all})
		r.sync(nil)
		calls("first sync", map[string]int{"mounts": 1, "LIST": 1 + teams, "data": all})
		r.wants(r.sync(nil), fmt.Sprintf("unchanged %d", all))
		calls("second sync", map[string]int{"mounts": 1, "LIST": 1 + teams})
		m.put("team1/s1", `{"password":"two"}`)
		r.wants(r.sync(nil), "update team1-s1 source-changed", fmt.Sprintf("unchanged %d", all-1))
		calls("one change", map[string]int{"mounts": 1, "LIST": 1 + teams, "data": 1})
		report, err := r.engine().Sync(t.Context(), vaultsync.Scope{Full: true})
		r.ended(err, nil)
		r.wants(report, fmt.Sprintf("unchanged %d", all))
		calls("full", map[string]int{"mounts": 1, "LIST": 1 + teams, "data": all})
	})
}

// TestOpenBaoStates: what the listing tells of a secret leads to the same verdicts as its metadata does.
func TestOpenBaoStates(t *testing.T) {
	onOpenBao(t, func(t *testing.T, r *rig) {
		m := r.mount(2, func(rule *vaultsync.Rule) { rule.Metadata = []string{"owner"} })
		for _, path := range []string{"changed", "deleted", "destroyed", "same", "labelled", "renewed", "rewritten", "wiped", "later", "undeleted"} {
			m.put("app/"+path, `{"password":"one"}`)
		}
		r.sync(nil)
		r.pass(time.Hour)
		m.put("app/changed", `{"password":"two"}`)
		m.remove("app/deleted")
		m.destroy("app/destroyed", 1)
		m.describe("app/labelled", `{"custom_metadata":{"owner":"team-a","other":"x"}}`)
		m.wipe("app/renewed")
		m.put("app/renewed", `{"password":"two"}`)
		m.put("app/rewritten", `{"password":"one"}`)
		m.wipe("app/wiped")
		m.remove("app/undeleted")
		m.undelete("app/undeleted", 1)
		m.describe("app/never", `{"custom_metadata":{"owner":"nobody"}}`)
		m.put("app/gone-new", `{"password":"one"}`)
		m.remove("app/gone-new")
		m.describe("app/later", `{"delete_version_after":"1h"}`)
		m.put("app/later", `{"password":"one"}`)
		want := []string{
			"retag app-labelled tags", "retag app-later equal-value", "retag app-rewritten equal-value", "skip app-deleted source-deleted",
			"skip app-destroyed source-destroyed", "skip app-gone-new source-deleted", "skip app-never never-written", "skip app-wiped source-deleted",
			"update app-changed source-changed", "update app-renewed source-changed", "unchanged 2",
		}
		r.wants(r.plan(nil), want...)
		r.wants(r.sync(nil), want...)
		r.settled()
		r.pass(2 * time.Hour)
		if got := strings.Join(lines(r.sync(nil)), "; "); !strings.Contains(got, "skip app-later source-deleted") {
			t.Errorf("after its time: %s", got)
		}
	})
}

// TestOpenBaoFallsBack: a folder that cannot be listed with metadata is listed without; what the folder itself is not
// given is said as ever.
func TestOpenBaoFallsBack(t *testing.T) {
	const all = teams*members + 1
	unchanged := []string{fmt.Sprintf("unchanged %d", all)}
	for _, c := range []struct {
		what    string
		trouble trouble
		want    map[string]int
	}{
		{"one folder answers 500", detailed("/team1", answer(500, `{"errors":["internal error"]}`)), map[string]int{"mounts": 1, "LIST": 1 + teams + 1, "metadata": members}},
		{"one folder is cut", detailed("/team1", faults.ResetAfter()), map[string]int{"mounts": 1, "LIST": 1 + teams + 1, "metadata": members}},
		{"one folder is throttled", detailed("/team1", answer(429, `{"errors":[]}`)), map[string]int{"mounts": 1, "LIST": 1 + teams + 1, "metadata": members}},
		{"one folder answers a page", detailed("/team1", answer(200, `<html>`)), map[string]int{"mounts": 1, "LIST": 1 + teams + 1, "metadata": members}},
		{"one folder tells no metadata", detailed("/team1", answer(200, `{"data":{"keys":["s1","s5","s9","s13","s17"]}}`)), map[string]int{"mounts": 1, "LIST": 1 + teams, "metadata": members}},
		{"the root is denied", detailed("", answer(403, `{"errors":["permission denied"]}`)), map[string]int{"mounts": 1, "LIST": 1 + 1 + teams, "metadata": all}},
		{"the server has no such listing", detailed("", answer(404, `{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}`)),
			map[string]int{"mounts": 1, "LIST": 1 + 1 + teams, "metadata": all}},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			onOpenBao(t, func(t *testing.T, r *rig) {
				m := r.mount(2)
				m.fill()
				r.sync(nil)
				r.toVault.counted()
				r.toVault.meet(c.trouble)
				r.wants(r.sync(nil), unchanged...)
				if diff := cmp.Diff(c.want, r.toVault.counted()); diff != "" {
					t.Errorf("calls to Vault (-want +got)\n%s", diff)
				}
				r.toVault.meet(nil)
				r.wants(r.sync(nil), unchanged...)
			})
		})
	}
}

// TestOpenBaoWithoutTheRight: a token whose policy knows metadata/ only works as it does on Vault.
func TestOpenBaoWithoutTheRight(t *testing.T) {
	onOpenBao(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.fill()
		r.sync(nil)
		token := r.Token(t, contract.Grants{m.path + "/metadata/*": {"read", "list"}, m.path + "/data/*": {"read"}})
		r.source = r.open(vault.Token(secret.New(token)))
		m.put("team1/s1", `{"password":"two"}`)
		r.wants(r.sync(nil), "update team1-s1 source-changed", fmt.Sprintf("unchanged %d", teams*members))
	})
}

// TestVaultIsNotAskedForDetails: Vault is spared a call that must fail.
func TestVaultIsNotAskedForDetails(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		m := r.mount(2)
		m.fill()
		r.toVault.meet(func(_ string, req *http.Request) faults.Fault {
			if strings.Contains(req.URL.Path, "detailed-metadata") {
				t.Errorf("asked for %s", req.URL.Path)
			}
			return nil
		})
		r.sync(nil)
		r.settled()
	})
}
