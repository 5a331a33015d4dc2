package vaultsync_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// TestEstate: 500 secrets over both versions of KV, in every state and shape that Vault knows. Plan names every one
// with a verb and a reason, sync does just that, a second plan has no change, and what a reader then gets of Key Vault
// is by the rule of values, byte for byte.
func TestEstate(t *testing.T) {
	scenario(t, func(t *testing.T, r *rig) {
		one, two := r.mount(1), r.mount(2)
		estate := seedEstate(one, two)
		want := map[string]string{}
		reads, created, unwritten := map[int]int{}, map[int]int{}, 0
		for _, e := range estate {
			want[e.source] = e.line
			switch e.line {
			case "create new":
				created[e.version]++
			case "skip never-written":
				unwritten++
			case "conflict name-collision":
				continue
			}
			reads[e.version]++
		}
		creates := created[1] + created[2]
		if len(want) != 500 || creates < 400 {
			t.Fatalf("the estate has %d secrets, %d to create", len(want), creates)
		}

		r.told("first plan", want, r.plan(nil))
		if n := len(r.store.Secrets()); n != 0 {
			t.Fatalf("the plan made %d secrets", n)
		}
		r.toVault.counted()
		r.toKeyVault.counted()
		r.told("first sync", want, r.sync(nil))
		vault, keyVault := r.toVault.counted(), r.toKeyVault.counted()
		if vault["kv1"] != reads[1] || vault["data"] != reads[2] || vault["metadata"] != unwritten || keyVault["PUT"] != creates+1 {
			t.Errorf("first sync: %v and %v, want %d and %d reads, %d creates and the hash key", vault, keyVault, reads[1], reads[2], creates)
		}

		for what, run := range map[string]func(error) *vaultsync.Report{"second plan": r.plan, "second sync": r.sync} {
			report := run(nil)
			if report.Changes() != 0 || report.Counts[vaultsync.Unchanged] != creates {
				t.Errorf("%s: %v", what, report.Counts)
			}
			// What cannot be copied has no copy to compare with, so it is looked at each time.
			if n := r.toVault.counted()["data"]; n != reads[2]-created[2] {
				t.Errorf("%s read %d values of version 2, want %d", what, n, reads[2]-created[2])
			}
		}

		there := map[string]bool{}
		for _, e := range estate {
			if e.value == "" {
				continue
			}
			there[e.name] = true
			r.arrived(e)
		}
		for _, s := range r.store.Secrets() {
			if !there[s.Name] && s.Name != secret.HashKeyName {
				t.Errorf("%s is in Key Vault", s.Name)
			}
			if len(s.Versions) != 1 {
				t.Errorf("%s has %d versions", s.Name, len(s.Versions))
			}
		}
	})
}

// told compares what a report says of each secret.
func (r *rig) told(what string, want map[string]string, report *vaultsync.Report) {
	r.t.Helper()
	got := map[string]string{}
	for _, item := range report.Items {
		got[item.Source] = string(item.Verb) + " " + string(item.Reason)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

// arrived reads a copy through the SDK.
func (r *rig) arrived(e expected) {
	r.t.Helper()
	resp, err := r.sdk.GetSecret(r.t.Context(), e.name, "", nil)
	if err != nil {
		r.t.Errorf("%s is not there as %s: %v", e.source, e.name, err)
		return
	}
	if *resp.Value != e.value {
		r.t.Errorf("%s\ngot  %q\nwant %q", e.source, *resp.Value, e.value)
	}
	if *resp.ContentType != e.typ {
		r.t.Errorf("%s has content type %q, want %q", e.source, *resp.ContentType, e.typ)
	}
	left := resp.Attributes.Expires.Sub(r.now())
	switch {
	case e.expires == 0 && (left < 300*24*time.Hour || left > 366*24*time.Hour):
		r.t.Errorf("%s expires in %s", e.source, left)
	case e.expires != 0 && (left < e.expires-10*time.Minute || left > e.expires):
		r.t.Errorf("%s expires in %s, Vault deletes it in %s", e.source, left, e.expires)
	}
}
