package vaultsync_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cases are the failure cases of facts/vault-sync.md C2, each with the tests that prove it. A test of another package
// has the package's folder before it.
var cases = []struct {
	n     int
	what  string
	tests []string
}{
	// absence
	{1, "Vault sealed mid-walk", []string{"TestVaultGone", "../vault.TestSealedVault"}},
	{2, "the token expires mid-walk", []string{"TestTokenEndsMidWalk", "TestVaultGone"}},
	{3, "the policy is narrowed: a whole prefix is forbidden", []string{"TestPolicyNarrowed", "TestNothingRemovedWithoutProof"}},
	{4, "the mount is unmounted or renamed", []string{"TestMountMissing", "TestMountGoesMidWalk", "TestNothingRemovedWithoutProof"}},
	{5, "the mount is made anew at its path", []string{"TestSourceChanges", "TestNothingRemovedWithoutProof", "TestTakeover"}},
	{6, "a mount of version 1 is upgraded", []string{"TestMountUpgraded"}},
	{7, "a listing succeeds and its children are forbidden", []string{"TestPolicyNarrowed", "TestNothingRemovedWithoutProof"}},
	{8, "an empty folder, or an error", []string{"TestEmptyFolders", "TestSickFolder"}},
	{9, "a restored snapshot: versions go backwards", []string{"TestSnapshotRestored", "TestDecide"}},
	{10, "a standby that has not caught up", []string{"../vault.TestCallsAreRepeatedOnlyWhenThatMayHelp"}},
	{11, "429 without Retry-After", []string{"../vault.TestCallsAreRepeatedOnlyWhenThatMayHelp", "TestChaos"}},
	{12, "the namespace is missing or misspelt", []string{"TestNamespaceMissing"}},
	{13, "a secret goes between the listing and the read", []string{"TestListedAndGone", "TestFieldsVanish"}},
	{14, "an incomplete walk holds removals back for its part only", []string{"TestRemovalsGoOnElsewhere", "TestNothingRemovedWithoutProof"}},
	// what Vault means
	{15, "deleted softly, then undeleted", []string{"TestSourceChanges", "TestRemovals"}},
	{16, "destroyed", []string{"TestSourceChanges", "TestRemovals"}},
	{17, "wiped and made anew at the same version", []string{"TestSourceChanges", "TestModel"}},
	{18, "custom metadata only", []string{"TestSourceChanges"}},
	{19, "an announced deletion comes", []string{"TestFutureDeletion", "TestSourceChanges"}},
	{20, "the latest version is deleted, an older one lives", []string{"TestSourceChanges", "TestEstate"}},
	{21, "metadata without a version", []string{"TestSourceChanges", "TestEstate", "TestFieldsOfNothing"}},
	{22, "null and an empty object", []string{"TestEstate", "TestFieldsOfNothing"}},
	{23, "a secret and a folder of one name", []string{"TestEstate"}},
	{24, "old versions are pruned", []string{"TestPrunedHistory"}},
	{25, "a write between metadata and data", []string{"TestWriteBetweenTwoReads"}},
	// values
	{26, "nested JSON, booleans, null, the text of numbers", []string{"TestEstate"}},
	{27, "a single field that is not a string", []string{"TestEstate", "TestFieldsByThemselves"}},
	{28, "25,600 bytes of UTF-8", []string{"TestEstate", "TestSourceChanges"}},
	{29, "an empty string", []string{"TestEstate", "TestSourceChanges"}},
	{30, "base64, CRLF, trailing newlines", []string{"TestBytesOfValues", "TestEstate"}},
	{31, "PEM and PFX", []string{"TestEstate", "TestSourceChanges"}},
	{32, "order of keys and escaping", []string{"TestKeyOrder", "TestEstate"}},
	// names
	{33, "a/b-c, a-b/c, a_b/c", []string{"TestCollisionsAreRefused", "TestNameAll"}},
	{34, "case", []string{"TestCollisionsAreRefused", "TestModel"}},
	{35, "unicode", []string{"TestCollisionsAreRefused", "TestNameAll"}},
	{36, "over 127 characters", []string{"TestNamesThatCannotBe", "TestComputeName", "TestTemplateThatGivesNothing"}},
	{37, "nothing is left of a name", []string{"TestNamesThatCannotBe", "TestTemplateThatGivesNothing"}},
	{38, "leading digits and hyphens", []string{"TestComputeName", "FuzzComputeName"}},
	{39, "the name of a certificate", []string{"TestCertificateNames", "TestForeignSecrets"}},
	{40, "the name of a foreign secret", []string{"TestForeignSecrets", "TestAdopt"}},
	{41, "a template change renames everything", []string{"TestTemplateChange", "TestNothingRemovedWithoutProof"}},
	// Key Vault
	{42, "deleted but recoverable, being deleted, being recovered", []string{"TestRemovals", "TestRemovalTakesItsTime", "TestKeyVaultStumbles"}},
	{43, "the name of a deleted secret cannot be used", []string{"TestDeletedByAnOperator", "TestDeletedMayNotBeListed", "TestPurgedAndAged"}},
	{44, "the current version is disabled", []string{"TestDrift", "TestOnDestinationRemoved", "TestDisabledByUsDeletedByOthers"}},
	{45, "a set drops what is not sent again, and has no compare-and-swap", []string{"TestTagsOfOthersStay", "TestEditBetweenLookAndWrite", "TestEditUnderOurPatch"}},
	{46, "Azure Policy denies", []string{"TestKeyVaultRefuses"}},
	{47, "429 at 300 creates in ten seconds", []string{"TestWriteBudget", "TestKeyVaultThrottles"}},
	{48, "firewall and private endpoint", []string{"TestKeyVaultRefuses"}},
	{49, "a role assignment takes minutes", []string{"TestRoleComesLate", "TestKeyVaultRefuses"}},
	{50, "pages of 25", []string{"TestCalls", "../keyvault.TestListSurvivesFaultsOnAnyPage"}},
	{51, "equal values make no version", []string{"TestSourceChanges", "TestChaos", "TestModel"}},
	{52, "an operator edits in Key Vault", []string{"TestDrift", "TestOnConflict", "TestModel"}},
	{53, "Key Vault is the home, and Vault still syncs", []string{"TestCutover", "TestOnConflict", "TestOnDestinationRemoved"}},
	{54, "two runs at once", []string{"TestTwoEngines", "TestScopeWaitsAndRunsNext"}},
	{55, "the run is cut off", []string{"TestRunCutOff", "TestRemovalCutOff", "TestChaos", "TestAlertOfARunCutOff"}},
	{56, "the state is lost", []string{"TestRecordsLost", "TestRecordsOut", "TestHashKeyLost"}},
	{57, "a rule is removed or narrowed", []string{"TestNothingRemovedWithoutProof"}},
	{58, "too many deletions", []string{"TestFuse", "TestDeletionStorm", "TestFuseReleasedOnce"}},
	{59, "no value leaks", []string{"TestPlanHoldsNoValue", "../cli.TestNoLeak"}},
	{60, "clocks differ", []string{"TestClocksDiffer"}},
}

// TestEveryCaseHasItsTest: the 60 cases are there in order, and every test named here is one.
func TestEveryCaseHasItsTest(t *testing.T) {
	known := map[string]map[string]bool{}
	for i, c := range cases {
		if c.n != i+1 || len(c.tests) == 0 {
			t.Errorf("case %d stands at %d with %d tests", c.n, i+1, len(c.tests))
		}
		for _, name := range c.tests {
			folder, test := ".", name
			if at := strings.LastIndexByte(name, '.'); at >= 0 {
				folder, test = name[:at], name[at+1:]
			}
			if known[folder] == nil {
				known[folder] = testsOf(t, folder)
			}
			if !known[folder][test] {
				t.Errorf("case %d, %s: there is no %s", c.n, c.what, name)
			}
		}
	}
	if len(cases) != 60 {
		t.Errorf("%d cases, want 60", len(cases))
	}
}

// testsOf are the names of the tests in a folder.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %q (%v)", folder, err)
	}
	names := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
