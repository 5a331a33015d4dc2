package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	const progress = "fuzz: elapsed: 0s, gathering baseline coverage: 0/5 completed\n" +
		"fuzz: elapsed: 3s, execs: 40769 (13589/sec), new interesting: 21 (total: 26)\n" +
		"fuzz: elapsed: 3s, execs: 40770 (0/sec), new interesting: 21 (total: 26)\n"
	failed := errors.New("exit status 1")
	for _, tt := range []struct {
		name, out  string
		exit, late error
		ok         bool
	}{
		{name: "passed", out: progress + "PASS\n", ok: true},
		{name: "nothing matched", out: "testing: warning: no fuzz tests to fuzz\nPASS\n"},
		{name: "an input failed", exit: failed, out: progress + "--- FAIL: FuzzX (0.10s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:9: bad\n    \n" +
			"    Failing input written to testdata/fuzz/FuzzX/0a1b\nFAIL\n"},
		{name: "a seed failed", exit: failed, out: "failure while testing seed corpus entry: FuzzX/seed#0\n--- FAIL: FuzzX (0.01s)\nFAIL\n"},
		{name: "the end of the time taken for a failure", exit: failed, out: progress + "--- FAIL: FuzzX (3.01s)\n    context deadline exceeded\nFAIL\n", ok: true},
		{name: "an input that meets a deadline", exit: failed, out: progress + "--- FAIL: FuzzX (3.01s)\n    context deadline exceeded\nFAIL\n" +
			"    Failing input written to testdata/fuzz/FuzzX/0a1b\n"},
		{name: "hung", exit: failed, late: context.DeadlineExceeded, out: progress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			execs, err := verdict(tt.out, tt.exit, tt.late)
			if (err == nil) != tt.ok {
				t.Errorf("error %v, want none: %v", err, tt.ok)
			}
			if tt.ok && execs != "40770 execs" {
				t.Errorf("execs %q, want the last count", execs)
			}
		})
	}
}

func TestTargetsIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x_test.go")
	text := `package x
import "testing"
func FuzzB(f *testing.F)      {}
func Fuzz(f *testing.F)       {}
func Fuzzy(f *testing.F)      {}
func FuzzNone()               {}
func TestFuzz(t *testing.T)   {}
func (s s) FuzzA(f *testing.F) {}
type s struct{}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := targetsIn(file)
	if want := []string{"FuzzB", "Fuzz"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("targets %v, %v, want %v", got, err, want)
	}
}

func TestRequiredTargetMissing(t *testing.T) {
	var all []fuzzed
	for _, r := range required {
		all = append(all, fuzzed{short: r.pkg, targets: []string{r.name}})
	}
	if faults := missing(all); faults != nil {
		t.Errorf("all there, yet %v", faults)
	}
	faults := missing(all[1:])
	if len(faults) != 1 || !strings.Contains(faults[0].Error(), required[0].name) {
		t.Errorf("faults %v, want one that names %s", faults, required[0].name)
	}
}
