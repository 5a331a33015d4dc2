package cli_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// script plays a transcript: a txtar archive whose comment is a list of commands and whose files stand in the working
// directory. The language is that of rogpeppe/go-internal's testscript, as far as it is needed: a command a line,
// words in single quotes, $NAME for what env set, # for a remark, ! for the opposite.
type script struct {
	t        *testing.T
	name     string
	dir      string
	line     int
	env      map[string]string
	commands map[string]func(not bool, args []string) error

	stdout, stderr string // of the last program
}

// play runs the commands and stops at the first that is not as it says.
func (s *script) play(text string) {
	s.commands["env"] = s.setenv
	s.commands["stdout"] = func(not bool, args []string) error { return matches(not, s.stdout, args) }
	s.commands["stderr"] = func(not bool, args []string) error { return matches(not, s.stderr, args) }
	s.commands["cmp"] = s.cmp
	comment, files := archive(text)
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(body), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	for i, line := range strings.Split(comment, "\n") {
		words := s.words(line)
		if len(words) == 0 {
			continue
		}
		s.line = i + 1
		not := words[0] == "!"
		if not {
			words = words[1:]
		}
		run := s.commands[words[0]]
		if run == nil {
			s.t.Fatalf("%s:%d: there is no command %q, only %v", s.name, s.line, words[0], slices.Sorted(maps.Keys(s.commands)))
		}
		if err := run(not, words[1:]); err != nil {
			s.t.Fatalf("%s:%d: %s\n%v\n[stdout]\n%s[stderr]\n%s", s.name, s.line, line, err, s.stdout, s.stderr)
		}
	}
}

// words splits a line at blanks outside single quotes, and puts in variables outside them.
func (s *script) words(line string) []string {
	var out []string
	var word strings.Builder
	open, quoted := false, false // a word has begun; inside quotes
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			open, quoted = true, !quoted
		case quoted:
			word.WriteByte(c)
		case c == '#' && !open:
			return out
		case c == ' ' || c == '\t':
			if open {
				out = append(out, word.String())
			}
			word.Reset()
			open = false
		case c == '$':
			name := regexp.MustCompile(`^\w+`).FindString(line[i+1:])
			word.WriteString(s.env[name])
			i += len(name)
			open = true
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if quoted {
		s.t.Fatalf("%s: open quote in %q", s.name, line)
	}
	if open {
		out = append(out, word.String())
	}
	return out
}

// setenv is: env NAME=VALUE...
func (s *script) setenv(_ bool, args []string) error {
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		s.env[name] = value
	}
	return nil
}

// matches is: [!] stdout|stderr REGEXP...
func matches(not bool, text string, patterns []string) error {
	for _, p := range patterns {
		re, err := regexp.Compile("(?m)" + p)
		if err != nil {
			return err
		}
		switch found := re.FindString(text); {
		case not && re.MatchString(text):
			return fmt.Errorf("%q matches %q", p, found)
		case !not && !re.MatchString(text):
			return fmt.Errorf("%q matches nothing", p)
		}
	}
	return nil
}

var (
	times = regexp.MustCompile(`\b[0-9]+(\.[0-9]+)?(µs|ms| s|s)( |\b)`)
	ports = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
)

// cmp is: cmp stdout|stderr FILE. Times and ports, which no two runs share, count as equal.
func (s *script) cmp(_ bool, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want stdout or stderr, and a file")
	}
	got := s.stdout
	if args[0] == "stderr" {
		got = s.stderr
	}
	want, err := os.ReadFile(filepath.Join(s.dir, args[1]))
	if err != nil {
		return err
	}
	plain := func(text string) string {
		return ports.ReplaceAllString(times.ReplaceAllString(text, "TIME "), "127.0.0.1:PORT")
	}
	if plain(got) != plain(string(want)) {
		return fmt.Errorf("it differs from:\n%s", want)
	}
	return nil
}

// archive splits txtar (golang.org/x/tools/txtar) into its comment and its files.
func archive(text string) (comment string, files map[string]string) {
	files = map[string]string{}
	marker := regexp.MustCompile(`(?m)^-- (\S+) --\n`)
	found := marker.FindAllStringSubmatchIndex(text, -1)
	for i, m := range found {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		files[text[m[2]:m[3]]] = text[m[1]:end]
	}
	if len(found) > 0 {
		text = text[:found[0][0]]
	}
	return text, files
}
