package rotation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// page is docs/rotation.md by its headings of the second level.
type page map[string]string

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := page{}
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		heading, under, _ := strings.Cut(part, "\n")
		p[heading] = under
	}
	return p
}

// rows are the first cells of the tables under a heading, and the lines.
func (p page) rows(heading string) (firsts, lines []string) {
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| .+ \\|$").FindAllStringSubmatch(p[heading], -1) {
		for _, name := range strings.Split(row[1], ", ") {
			firsts, lines = append(firsts, strings.Trim(name, "`")), append(lines, row[0])
		}
	}
	return firsts, lines
}

// constants are those of a type in outcome.go, so that none can be forgotten here.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typ {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		return true
	})
	if len(all) == 0 {
		t.Fatalf("outcome.go has no constant of type %s", typ)
	}
	return all
}

// same complains of what is in one list only.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s: no row for %s", what, w)
		}
	}
	for i, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("%s: a row for %s, which there is not", what, g)
		}
		if slices.Contains(got[:i], g) {
			t.Errorf("%s: two rows for %s", what, g)
		}
	}
}

// TestDocumentationKnowsEveryWord asks of docs/rotation.md that it says of every verdict and every reason what to do.
func TestDocumentationKnowsEveryWord(t *testing.T) {
	p := readPage(t, "../docs/rotation.md")
	verdicts := constants(t, "Verdict")
	got, _ := p.rows("Verdicts")
	same(t, "verdicts", got, verdicts)
	got, lines := p.rows("Reason codes")
	same(t, "reasons", got, constants(t, "Reason"))
	for _, line := range lines {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 4 {
			t.Errorf("not code, verdict, meaning and what to do: %s", line)
			continue
		}
		for _, v := range strings.Split(cells[1], ", ") {
			if !slices.Contains(verdicts, strings.Trim(v, "`")) {
				t.Errorf("no verdict %s: %s", v, line)
			}
		}
	}
	for _, exit := range constants(t, "Exit") {
		if !strings.Contains(p["Runbook"], "\n- `--"+exit+"` ") {
			t.Errorf("runbook: the exit %s is not explained", exit)
		}
	}
}

// TestDocumentationKnowsEveryTagAndAlert that rotation reads or writes, and no other.
func TestDocumentationKnowsEveryTagAndAlert(t *testing.T) {
	p := readPage(t, "../docs/rotation.md")
	got, _ := p.rows("Tags")
	want := []string{
		secret.TagRotationType, secret.TagRotationTarget, secret.TagRotationDays, secret.TagAuthority, secret.TagVaultPath,
		secret.TagVaultHash, secret.TagRotationState, secret.TagCredentialID, secret.TagProviderAddress, secret.TagValidityDays,
	}
	pending, err := secret.Pending{For: "a", User: "b", Intent: true, WriteBack: true}.Tags()
	if err != nil {
		t.Fatal(err)
	}
	for tag := range pending {
		if !slices.Contains(want, tag) {
			want = append(want, tag)
		}
	}
	same(t, "tags", got, want)

	var types []string
	for _, typ := range []alert.Type{
		alert.RotationSucceeded, alert.RotationManualRequired, alert.RotationFailed, alert.RotationConflict,
		alert.RotationAppliedNotPublished, alert.RotationParked,
	} {
		types = append(types, string(typ))
	}
	got, _ = p.rows("Alerts")
	same(t, "alerts", got, types)
}

// TestDocumentationKnowsEverySetting of docs/configuration.md, which the tests of package config hold to the file.
func TestDocumentationKnowsEverySetting(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(rotation\\.[^`]+)` \\| .").FindAllStringSubmatch(string(text), -1) {
		want = append(want, row[1])
	}
	if len(want) == 0 {
		t.Fatal("docs/configuration.md has no settings of rotation")
	}
	got, _ := readPage(t, "../docs/rotation.md").rows("Settings")
	same(t, "settings", got, want)
}

// TestRunbookNamesWordsThereAre: what it sends people to look for is a reason.
func TestRunbookNamesWordsThereAre(t *testing.T) {
	book := readPage(t, "../docs/rotation.md")["Runbook"]
	reasons := constants(t, "Reason")
	for _, row := range regexp.MustCompile("(?m)^\\| ([^|]*)`([a-z-]+)`[^|]* \\|").FindAllStringSubmatch(book, -1) {
		if !slices.Contains(reasons, row[2]) {
			t.Errorf("%s is no reason: %s", row[2], row[0])
		}
	}
	// What parks a rotation, or keeps it from going on until somebody acts.
	for _, r := range []Reason{
		ReasonBackOff, ReasonNotVerified, ReasonPublish, ReasonFormat, ReasonChanged, ReasonStaging, ReasonAim, ReasonTargetFailed,
		ReasonGivenUp, ReasonRetire, ReasonRecord, ReasonDenied,
	} {
		if !strings.Contains(book, "`"+string(r)+"`") {
			t.Errorf("no row of the runbook for %s", r)
		}
	}
}
