package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// patience is what a target may take beyond its time: the seeds and what
// earlier runs found come first, and a failing input is made smaller at the end.
const patience = time.Minute

// build compiles the tests of the package with the instruments of the fuzzer.
// The binary is run as it is, once for each target: nothing is linked twice, and
// a process that must end is one of ours and no grandchild.
func (p fuzzed) build(ctx context.Context) (binary string, err error) {
	f, err := os.CreateTemp("", "keyferry-fuzz-*.test")
	if err != nil {
		return "", fmt.Errorf("make room for a test binary: %w", err)
	}
	f.Close()
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-fuzz=.", "-o", f.Name(), p.path).CombinedOutput()
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return f.Name(), nil
}

// minimizing is what the fuzzer may spend on making one input smaller. Its own
// minute would be all the time of a short run, spent on the first interesting
// input: some targets then try ten inputs instead of ten thousand.
const minimizing = 100 * time.Millisecond

// errNothing is when the time was up before the seeds and what earlier runs
// found had been tried, as on a busy machine.
var errNothing = errors.New("nothing was fuzzed")

// longer is how much more time a target gets that fuzzed nothing.
const longer = 8

// run fuzzes one target and returns how many inputs it tried. An error holds
// what the target printed, and where the failing input is.
func (p fuzzed) run(ctx context.Context, binary, target string, fuzzTime time.Duration) (execs string, err error) {
	execs, err = p.try(ctx, binary, target, fuzzTime)
	if errors.Is(err, errNothing) {
		execs, err = p.try(ctx, binary, target, longer*fuzzTime)
	}
	return execs, err
}

func (p fuzzed) try(ctx context.Context, binary, target string, fuzzTime time.Duration) (execs string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fuzzTime+patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.paniconexit0", "-test.run=^$", "-test.fuzz=^"+target+"$",
		"-test.fuzztime="+fuzzTime.String(), "-test.fuzzminimizetime="+minimizing.String(), "-test.parallel=1", "-test.fuzzcachedir="+p.cache)
	cmd.Dir = p.dir
	cmd.WaitDelay = 5 * time.Second // its worker ends when the pipe to it does
	out, err := cmd.CombinedOutput()
	return verdict(string(out), err, ctx.Err())
}

var tried = regexp.MustCompile(`execs: (\d+) `)

// verdict reads what a target printed. exit is how its process ended, late the
// error of the context that bounds it.
func verdict(out string, exit, late error) (execs string, err error) {
	if all := tried.FindAllStringSubmatch(out, -1); all != nil {
		execs = all[len(all)-1][1] + " execs"
	}
	switch {
	case exit == nil && execs == "":
		return "", fmt.Errorf("%w:\n%s", errNothing, out)
	case exit == nil, outOfTime(out):
		return execs, nil
	case late != nil:
		return execs, fmt.Errorf("did not end: %w\n%s", late, out)
	}
	return execs, fmt.Errorf("%w\n%s", exit, strings.TrimSpace(out))
}

var deadline = regexp.MustCompile(`(?m)^--- FAIL: \S+ \(\S+\)\n    context deadline exceeded\nFAIL$`)

// outOfTime reports whether the only fault is that the time was up: up to Go
// 1.26 the end of -fuzztime is at times taken for a failure
// (https://go.dev/issue/75804). A failing input always has its file named.
func outOfTime(out string) bool {
	return deadline.MatchString(out) && !strings.Contains(out, "Failing input written to")
}
