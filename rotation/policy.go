package rotation

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// classes of characters: lower, upper, digit, and the others last. Those here are the four symbols that stand for
// themselves in URLs, connection strings, shells, YAML and SQL (facts/rotation.md 6.10).
var classes = []struct{ name, characters string }{
	{"lower", "abcdefghijklmnopqrstuvwxyz"},
	{"upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	{"digit", "0123456789"},
	{"symbol", "-_.~"},
}

const (
	defaultLength = 32
	minLength     = 16
	maxLength     = 512
	minBits       = 64 // of a value: below, guessing it is a matter of money
)

// Policy says what a random value looks like: Length characters, at least one of each class in use, a letter first
// when the policy has letters, and otherwise every value equally likely.
//
// The zero Policy is the default: 32 of A-Z a-z 0-9 - _ . ~, which is safe unescaped wherever passwords go.
type Policy struct {
	Length     int      // 0: 32; 16 to 512
	Classes    []string // of lower, upper, digit, symbol; none: all
	Characters string   // these instead of classes: printable ASCII without the space, each once
}

// Validate reports every fault at once.
func (p Policy) Validate() error {
	var faults []error
	length := p.length()
	if length < minLength || length > maxLength {
		faults = append(faults, fmt.Errorf("length %d is not %d to %d", length, minLength, maxLength))
	}
	if p.Characters != "" && len(p.Classes) > 0 {
		faults = append(faults, errors.New("characters and classes exclude each other"))
	}
	for i, name := range p.Classes {
		if classCharacters(name) == "" {
			faults = append(faults, fmt.Errorf("class %q is none of lower, upper, digit, symbol", name))
		} else if slices.Contains(p.Classes[:i], name) {
			faults = append(faults, fmt.Errorf("class %s stands twice", name))
		}
	}
	for i, c := range []byte(p.Characters) {
		if c <= ' ' || c > '~' {
			faults = append(faults, errors.New("characters holds something else than printable ASCII"))
			break
		}
		if strings.IndexByte(p.Characters, c) < i {
			faults = append(faults, fmt.Errorf("characters holds %q twice", c))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	if bits := float64(length) * math.Log2(float64(len(p.alphabet()))); bits < minBits {
		return fmt.Errorf("%d of %d characters are %.0f bits, fewer than %d", length, len(p.alphabet()), bits, minBits)
	}
	return nil
}

// Choose makes a value. It fails when the policy is not valid or when random does.
func (p Policy) Choose(random io.Reader) (secret.Value, error) {
	if err := p.Validate(); err != nil {
		return secret.Value{}, fmt.Errorf("choose value: %w", err)
	}
	alphabet, source := p.alphabet(), draw{from: random}
	letters, required := split(alphabet)
	// The first character is drawn from the letters; a candidate that lacks a class is dropped as a whole. Both keep
	// what remains uniform. A sound source needs a handful of attempts, the worst policy some dozens.
	for range 10_000 {
		value := make([]byte, p.length())
		for i := range value {
			from := alphabet
			if i == 0 && letters != "" {
				from = letters
			}
			k, err := source.below(len(from))
			if err != nil {
				return secret.Value{}, fmt.Errorf("choose value: %w", err)
			}
			value[i] = from[k]
		}
		if text := string(value); holdsAll(text, required) {
			return secret.New(text), nil
		}
	}
	return secret.Value{}, errors.New("choose value: the source of randomness repeats itself")
}

func (p Policy) length() int {
	if p.Length == 0 {
		return defaultLength
	}
	return p.Length
}

func (p Policy) alphabet() string {
	if p.Characters != "" {
		return p.Characters
	}
	var b strings.Builder
	for _, c := range classes {
		if len(p.Classes) == 0 || slices.Contains(p.Classes, c.name) {
			b.WriteString(c.characters)
		}
	}
	return b.String()
}

func classCharacters(name string) string {
	for _, c := range classes {
		if c.name == name {
			return c.characters
		}
	}
	return ""
}

// split gives the letters of an alphabet, and its lower, upper, digit and other characters, leaving out what is empty.
func split(alphabet string) (letters string, groups []string) {
	parts := make([]string, len(classes))
	for _, c := range alphabet {
		class := len(classes) - 1
		for i := range class {
			if strings.ContainsRune(classes[i].characters, c) {
				class = i
				break
			}
		}
		parts[class] += string(c)
	}
	groups = slices.DeleteFunc(slices.Clone(parts), func(g string) bool { return g == "" })
	return parts[0] + parts[1], groups
}

func holdsAll(text string, groups []string) bool {
	for _, g := range groups {
		if !strings.ContainsAny(text, g) {
			return false
		}
	}
	return true
}
