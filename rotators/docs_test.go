package rotators

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/config"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// document is a file of the repository, by its path from here.
func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is what stands under a heading of the second level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, after, found := strings.Cut(text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("no section %q", heading)
	}
	under, _, _ := strings.Cut(after, "\n## ")
	return under
}

// TestDocumentationHasEveryParameter asks of docs/rotators.md that the table of each rotator is that of its declaration.
func TestDocumentationHasEveryParameter(t *testing.T) {
	text := document(t, "../docs/rotators.md")
	for _, k := range All() {
		under := section(t, text, k.Type)
		var want []string
		for _, p := range k.Parameters() {
			value := ""
			if p.Default != "" {
				value = "`" + p.Default + "`"
			}
			want = append(want, strings.ReplaceAll(fmt.Sprintf("| `%s` | %s | %s | %s |", p.Name, p.Type, value, p.Doc), "|  |", "| |"))
		}
		got := regexp.MustCompile("(?m)^\\| `[^`]+` \\| (?:text|number|yes/no|list of text) \\|.*$").FindAllString(under, -1)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the table is\n%s\n\nand not\n%s", k.Type, strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
		if !strings.Contains(under, "\n"+strings.ToUpper(k.Doc[:1])+k.Doc[1:]+".") {
			t.Errorf("%s: it is introduced otherwise than by its own sentence: %s", k.Type, k.Doc)
		}
	}
}

// TestDocumentedTargetsAreValid loads each example of docs/rotators.md as a configuration, and opens its rotators.
func TestDocumentedTargetsAreValid(t *testing.T) {
	settings := map[string]string{
		"KEYFERRY_KEYVAULT_URL": "https://kv1.vault.azure.net", "KEYFERRY_STATE_URL": "https://account.blob.core.windows.net/keyferry",
	}
	shown := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(document(t, "../docs/rotators.md"), -1) {
		c, err := config.Load([]byte(block[1]), func(name string) (string, bool) { v, ok := settings[name]; return v, ok })
		if err != nil {
			t.Errorf("%v, in\n%s", err, block[1])
			continue
		}
		if len(c.Rotation.Targets) == 0 {
			t.Errorf("no target in\n%s", block[1])
		}
		for _, target := range c.Rotation.Targets {
			if err := opens(target); err != nil {
				t.Errorf("target %s: %v", target.Name, err)
			}
			shown[target.Type] = true
		}
	}
	for _, k := range All() {
		if !shown[k.Type] {
			t.Errorf("no example of %s", k.Type)
		}
	}
}

// opens makes the rotator of a target, as a rotation would.
func opens(target rotation.Target) error {
	at := slices.IndexFunc(All(), func(k rotation.Kind) bool { return k.Type == target.Type })
	if at < 0 {
		return fmt.Errorf("there is no rotator %q", target.Type)
	}
	kind := All()[at]
	if err := kind.Check(target.Params); err != nil {
		return err
	}
	deps := rotation.Deps{HTTP: &http.Client{}, Dial: new(net.Dialer).DialContext}
	if target.Admin.Secret != "" {
		deps.Admin = &rotation.Credential{User: "admin", Secret: secret.New("admin-password")}
	}
	rotator, err := kind.Open(deps, target.Params)
	if err != nil {
		return err
	}
	_, sets := rotator.(rotation.Setter)
	_, overlaps := rotator.(rotation.Retirer)
	if sets && overlaps == target.Outage {
		return fmt.Errorf("outage is %v, and that it overlaps %v", target.Outage, overlaps)
	}
	return nil
}

// TestDocumentedExampleIsTheOneThatRuns: the rotator of docs/rotators.md is compiled and passes the kit.
func TestDocumentedExampleIsTheOneThatRuns(t *testing.T) {
	block := "```go\n" + document(t, "rotatortest/example_test.go") + "```\n"
	if !strings.Contains(document(t, "../docs/rotators.md"), block) {
		t.Error("docs/rotators.md does not show rotatortest/example_test.go as it is")
	}
}

// TestReadmeListsEveryRotator and no other.
func TestReadmeListsEveryRotator(t *testing.T) {
	want := []string{rotation.TypeManual}
	for _, k := range All() {
		want = append(want, k.Type)
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section(t, document(t, "../README.md"), "Rotators"), -1) {
		got = append(got, row[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the README lists %q, and there are %q", got, want)
	}
}
