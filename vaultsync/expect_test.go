package vaultsync_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/google/go-cmp/cmp"

	kvemulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/vaultsync"
)

// lines is a report as "verb name reason", what is unchanged as a count at the end. A line without a name has its
// place in Vault instead.
func lines(report *vaultsync.Report) []string {
	out := []string{}
	for _, i := range report.Items {
		if i.Verb == vaultsync.Unchanged {
			continue
		}
		name := i.Name
		if name == "" {
			name = i.Source
		}
		out = append(out, fmt.Sprintf("%s %s %s", i.Verb, name, i.Reason))
	}
	slices.Sort(out)
	if n := report.Counts[vaultsync.Unchanged]; n > 0 {
		out = append(out, fmt.Sprintf("unchanged %d", n))
	}
	return out
}

// wants compares a report with the lines it should have.
func (r *rig) wants(report *vaultsync.Report, want ...string) {
	r.t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, lines(report)); diff != "" {
		r.t.Errorf("report (-want +got)\n%s", diff)
	}
}

// wantsUnordered is wants for lines in any order.
func (r *rig) wantsUnordered(report *vaultsync.Report, want []string) {
	r.t.Helper()
	want = slices.Clone(want)
	slices.Sort(want)
	r.wants(report, want...)
}

// value reads a secret through the SDK; "" and false when there is none that can be read.
func (r *rig) value(name string) (string, bool) {
	r.t.Helper()
	resp, err := r.sdk.GetSecret(r.t.Context(), name, "", nil)
	var refused *azcore.ResponseError
	if errors.As(err, &refused) && (refused.StatusCode == http.StatusNotFound || refused.StatusCode == http.StatusForbidden) {
		return "", false
	}
	r.must(err)
	return *resp.Value, true
}

// holds checks value and number of versions of a secret in Key Vault.
func (r *rig) holds(name, value string, versions int) {
	r.t.Helper()
	if got, _ := r.value(name); got != value {
		r.t.Errorf("%s is %q in Key Vault, want %q", name, got, value)
	}
	if got := r.versions(name); got != versions {
		r.t.Errorf("%s has %d versions in Key Vault, want %d", name, got, versions)
	}
}

// versions is how many versions Key Vault has of a secret.
func (r *rig) versions(name string) int {
	s, _ := r.store.Secret(name)
	return len(s.Versions)
}

// copied is the current version of a secret in Key Vault, past every rule.
func (r *rig) copied(name string) kvemulator.Version {
	s, _ := r.store.Secret(name)
	return s.CurrentVersion()
}

// sameLines compares lines in any order.
func (r *rig) sameLines(want, got []string) {
	r.t.Helper()
	want, got = slices.Clone(want), slices.Clone(got)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("report (-want +got)\n%s", diff)
	}
}
