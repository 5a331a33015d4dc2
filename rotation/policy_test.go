package rotation

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestPolicyValidate(t *testing.T) {
	printable := make([]byte, 0, 94)
	for c := byte('!'); c <= '~'; c++ {
		printable = append(printable, c)
	}
	for _, c := range []struct {
		name   string
		policy Policy
		faults []string // words of the error; none: valid
	}{
		{"the zero policy", Policy{}, nil},
		{"shortest", Policy{Length: 16}, nil},
		{"longest", Policy{Length: 512}, nil},
		{"too short", Policy{Length: 15}, []string{"length 15"}},
		{"too long", Policy{Length: 513}, []string{"length 513"}},
		{"negative", Policy{Length: -1}, []string{"length -1"}},
		{"one class", Policy{Classes: []string{"lower"}}, nil},
		{"an unknown class", Policy{Classes: []string{"lower", "emoji"}}, []string{`"emoji"`}},
		{"a class twice", Policy{Classes: []string{"digit", "digit"}}, []string{"digit stands twice"}},
		{"all of printable ASCII", Policy{Characters: string(printable)}, nil},
		{"hexadecimal", Policy{Characters: "0123456789abcdef"}, nil},
		{"characters and classes", Policy{Characters: "abcdefgh", Classes: []string{"lower"}}, []string{"exclude"}},
		{"a character twice", Policy{Characters: "abcda"}, []string{`'a' twice`}},
		{"a space", Policy{Characters: "abc def"}, []string{"printable ASCII"}},
		{"more than ASCII", Policy{Characters: "abcü"}, []string{"printable ASCII"}},
		{"16 digits are guessable", Policy{Length: 16, Classes: []string{"digit"}}, []string{"53 bits"}},
		{"one character is no choice", Policy{Length: 512, Characters: "a"}, []string{"0 bits"}},
		{"every fault at once", Policy{Length: 1, Characters: "aa", Classes: []string{"x"}}, []string{"length 1", "exclude", `"x"`, "twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.policy.Validate()
			if (err != nil) != (len(c.faults) > 0) {
				t.Fatalf("Validate = %v", err)
			}
			for _, word := range c.faults {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not mention %q", err, word)
				}
			}
			if _, err := c.policy.Choose(rand.Reader); (err != nil) != (len(c.faults) > 0) {
				t.Errorf("Choose = %v", err)
			}
		})
	}
}

// TestPolicyHolds draws policies and checks what every value must satisfy.
func TestPolicyHolds(t *testing.T) {
	names := []string{"lower", "upper", "digit", "symbol"}
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Length: rapid.IntRange(16, 200).Draw(t, "length")}
		if rapid.Bool().Draw(t, "explicit") {
			p.Characters = string(rapid.SliceOfNDistinct(rapid.ByteRange('!', '~'), 16, 94, rapid.ID).Draw(t, "characters"))
		} else {
			p.Classes = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(t, "classes")
		}
		if p.Validate() != nil {
			t.Skip("too weak")
		}
		var seed [32]byte
		copy(seed[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		value, err := p.Choose(mathrand.NewChaCha8(seed))
		if err != nil {
			t.Fatal(err)
		}
		text, alphabet := value.Reveal(), p.alphabet()
		if len(text) != p.Length || strings.Trim(text, alphabet) != "" {
			t.Fatalf("%q is not %d of %q", text, p.Length, alphabet)
		}
		letters, groups := split(alphabet)
		for _, g := range groups {
			if !strings.ContainsAny(text, g) {
				t.Fatalf("%q has none of %q", text, g)
			}
		}
		if letters != "" && !strings.Contains(letters, text[:1]) {
			t.Fatalf("%q does not begin with a letter", text)
		}
	})
}

func TestDefaultPolicyIsSafeWhereverPasswordsGo(t *testing.T) {
	for range 200 {
		value, err := Policy{}.Choose(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if text := value.Reveal(); len(text) != 32 || strings.ContainsAny(text, ` :/@"'\;{}=&?#%$!`+"`") {
			t.Fatalf("%q needs escaping somewhere", text)
		}
	}
}

// TestValuesAreUnbiased compares the frequency of each character with the uniform one, by chi-square.
func TestValuesAreUnbiased(t *testing.T) {
	source := draw{from: mathrand.NewChaCha8([32]byte{1})}
	for _, n := range []int{2, 3, 26, 66, 94, 129, 200, 256} {
		counts := make([]int, n)
		draws := 2000 * n
		for range draws {
			k, err := source.below(n)
			if err != nil {
				t.Fatal(err)
			}
			counts[k]++
		}
		var chi float64
		for _, c := range counts {
			chi += math.Pow(float64(c-2000), 2) / 2000
		}
		// Mean n-1, deviation sqrt(2(n-1)); folding modulo would be off by hundreds.
		if limit := float64(n-1) + 5*math.Sqrt(2*float64(n-1)); chi > limit {
			t.Errorf("of %d: chi-square %.0f is above %.0f", n, chi, limit)
		}
	}
}

func TestPolicyNeedsRealRandomness(t *testing.T) {
	broken := errors.New("no entropy")
	for name, random := range map[string]io.Reader{
		"fails":     iotest.ErrReader(broken),
		"ends":      strings.NewReader("short"),
		"all zeros": repeat(0),
		"all ones":  repeat(255),
	} {
		if v, err := (Policy{}).Choose(random); err == nil {
			t.Errorf("%s: made a value of %d characters", name, v.Len())
		} else if name == "fails" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValuesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		v, err := Policy{}.Choose(rand.Reader)
		if err != nil || seen[v.Reveal()] {
			t.Fatal("two values are equal, or there is none", err)
		}
		seen[v.Reveal()] = true
	}
}

type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte{byte(r)}, len(p))), nil
}
