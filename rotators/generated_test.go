package rotators

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func generatedFrom(t *testing.T, params map[string]any) rotation.Chooser {
	t.Helper()
	r, err := generatedKind().Open(rotation.Deps{}, params)
	if err != nil {
		t.Fatal(err)
	}
	return r.(rotation.Chooser)
}

func TestGeneratedFollowsItsParameters(t *testing.T) {
	const lower, digit = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	for _, c := range []struct {
		name     string
		params   map[string]any
		length   int
		alphabet string
	}{
		{"defaults", nil, 32, lower + strings.ToUpper(lower) + digit + "-_.~"},
		{"longer", map[string]any{"length": uint64(512)}, 512, lower + strings.ToUpper(lower) + digit + "-_.~"},
		{"classes", map[string]any{"classes": []any{"lower", "digit"}}, 32, lower + digit},
		{"characters", map[string]any{"length": 64, "characters": "0123456789abcdef"}, 64, "0123456789abcdef"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := generatedFrom(t, c.params)
			old := rotation.Credential{Secret: secret.New("before")}
			next, err := g.Choose(old, rand.Reader)
			if text := next.Secret.Reveal(); err != nil || len(text) != c.length || strings.Trim(text, c.alphabet) != "" {
				t.Errorf("%d characters outside or besides %q, %v", len(text), c.alphabet, err)
			}
		})
	}
}

func TestGeneratedRefusesOtherParameters(t *testing.T) {
	for name, params := range map[string]map[string]any{
		"unknown":             {"size": 20},
		"too short":           {"length": 8},
		"zero":                {"length": 0},
		"text":                {"length": "32"},
		"unknown class":       {"classes": []any{"emoji"}},
		"both":                {"classes": []any{"lower"}, "characters": "abcdefgh"},
		"a space":             {"characters": "abc def"},
		"guessable":           {"length": 16, "classes": []any{"digit"}},
		"characters not text": {"characters": 1234},
	} {
		if err := generatedKind().Check(params); err == nil {
			t.Errorf("%s: %v is taken", name, params)
		}
	}
}

func TestGeneratedPassesOnThatRandomnessFailed(t *testing.T) {
	broken := errors.New("no entropy")
	if next, err := generatedFrom(t, nil).Choose(rotation.Credential{}, iotest.ErrReader(broken)); !errors.Is(err, broken) || !next.Secret.IsZero() {
		t.Errorf("Choose = %v, %v", next, err)
	}
}

func TestAll(t *testing.T) {
	seen := map[string]bool{rotation.TypeManual: true}
	for _, k := range All() {
		if seen[k.Type] {
			t.Errorf("%s stands twice, or is a word of the engine", k.Type)
		}
		seen[k.Type] = true
		if k.Doc == "" || !strings.Contains(k.Help(), k.Type) {
			t.Errorf("%s has no documentation", k.Type)
		}
	}
}
