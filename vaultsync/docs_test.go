package vaultsync

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentationKnowsEveryWord asks of docs/sync.md that it has a row for every verb and every reason, with the
// meaning that reports give.
func TestDocumentationKnowsEveryWord(t *testing.T) {
	text, err := os.ReadFile("../docs/sync.md")
	if err != nil {
		t.Fatal(err)
	}
	for reason, meaning := range meanings {
		if row := "| `" + string(reason) + "` | " + meaning + " |"; !strings.Contains(string(text), row) {
			t.Errorf("no row %s", row)
		}
	}
	for _, v := range []Verb{
		Create, Update, Retag, Adopt, Cutover, Enable, Recover, Disable, Delete, Unchanged, Skip, Conflict, Failed,
	} {
		if row := "| `" + v.Sigil() + "` | `" + string(v) + "` |"; !strings.Contains(string(text), row) {
			t.Errorf("no row %s", row)
		}
	}
}
