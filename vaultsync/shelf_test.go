package vaultsync

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/secret"
)

// TestShelfGivesBackWhatWasPut holds for copies of ours and for whatever else lies in a Key Vault.
func TestShelfGivesBackWhatWasPut(t *testing.T) {
	created := time.Unix(1_780_000_000, 0).UTC()
	for name, m := range map[string]secret.Meta{
		"a copy": {Name: "Web-db", Enabled: true, ContentType: contentText, Created: created, Expires: created.Add(day), Tags: map[string]string{
			secret.TagVaultPath: "secret/web/db", secret.TagMigratedFrom: "vault", secret.TagVaultField: "password", secret.TagVaultVersion: "3",
			secret.TagVaultState: "0011223344556677889900.1780000000", secret.TagVaultHash: "0123abcd.c3Vt", secret.TagMigrationDate: "2026-02-01",
			secret.TagAuthority: secret.AuthorityVault, secret.TagRotationState: "id.v.1780000000", secret.TagRemoved: "2026-03-01", "team": "blue",
		}},
		"somebody's, bare":       {Name: "x", Created: created, Managed: true},
		"a hash without a key":   {Name: "x", Enabled: true, Tags: map[string]string{secret.TagVaultHash: "sum"}},
		"a hash without a sum":   {Name: "x", Enabled: true, Tags: map[string]string{secret.TagVaultHash: "key."}},
		"a hash of two dots":     {Name: "x", Enabled: true, Tags: map[string]string{secret.TagVaultHash: ".a.b"}},
		"tags without their due": {Name: "x", Enabled: true, Tags: map[string]string{secret.TagVaultState: "odd", secret.TagVaultPath: "%"}},
	} {
		t.Run(name, func(t *testing.T) {
			var s shelf
			want := newRow(m)
			s.put(want, "")
			if diff := cmp.Diff(want, s.row(secret.FoldName(m.Name)), cmp.AllowUnexported(row{})); diff != "" {
				t.Errorf("(-put +got):\n%s", diff)
			}
		})
	}
}

func TestShelfKnowsWhoseCopyHoldsAName(t *testing.T) {
	var s shelf
	for _, m := range []secret.Meta{
		{Name: "Ours", Tags: map[string]string{secret.TagVaultPath: "secret/ours", secret.TagMigratedFrom: "vault"}},
		{Name: "left", Tags: map[string]string{secret.TagVaultPath: "secret/left", secret.TagMigratedFrom: "vault"}},
		{Name: "foreign"},
	} {
		s.put(newRow(m), "")
	}
	for name, want := range map[string]ident{"ours": {"vault", "secret/ours"}, "OURS": {"vault", "secret/ours"}, "foreign": {}, "none": {}} {
		if got := s.holder(name); got != want {
			t.Errorf("holder of %q: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]string{"Ours": "Ours", "ours": "ours", "none": "none"} {
		if got := s.spelling(name); got != want {
			t.Errorf("spelling of %q: %q", name, got)
		}
	}
	s.claim("OURS")
	s.claim("none")
	var left []string
	for r := range s.unclaimed() {
		left = append(left, r.name)
	}
	if !slices.Equal(left, []string{"left"}) {
		t.Errorf("unclaimed: %v, want left", left)
	}
	if s.row("none") != nil {
		t.Error("a row of a name that is not there")
	}
}
