// Command fuzz runs every fuzz target of the module for a short time:
//
//	go run ./test/fuzz -fuzztime 3s
//
// Targets are found in the test files that go list names; one line each tells
// what was tried. The exit code is 1 when a target fails, when none is found,
// and when one of the parsers in required has none. A failing input stays in
// testdata/fuzz beside the target, as with go test -fuzz, and is then a seed of
// go test. Go notices an input that hangs after ten seconds, so only a longer run
// does. What was found interesting stays in Go's own cache (go clean
// -fuzzcache) and is where the next run starts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// required are the parsers of foreign bytes that must have a target.
var required = []struct{ parser, pkg, name string }{
	{"the host's envelope", "handler", "FuzzEnvelope"},
	{"an event", "handler", "FuzzParseEvent"},
	{"the configuration", "config", "FuzzParse"},
	{"a path that becomes a name", "vaultsync", "FuzzComputeName"},
}

func main() {
	fuzzTime := flag.Duration("fuzztime", 3*time.Second, "how long each target runs")
	workers := flag.Int("workers", 2, "targets at a time, one process each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *fuzzTime, *workers, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// run finds the targets in the packages, all of the module if none is given,
// and runs them. It returns everything that is wrong at once.
func run(ctx context.Context, fuzzTime time.Duration, workers int, patterns []string) error {
	whole := len(patterns) == 0
	if whole {
		patterns = []string{"./..."}
	}
	packages, err := find(ctx, patterns)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return errors.New("no fuzz target found")
	}
	var faults []error
	if whole {
		faults = missing(packages)
	}
	begin := time.Now()
	results := fuzzAll(ctx, packages, fuzzTime, workers)
	for _, r := range results {
		if r.err != nil {
			faults = append(faults, fmt.Errorf("%s %s: %w", r.pkg.short, r.target, r.err))
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped after %d targets", len(results))
	}
	fmt.Printf("%d targets in %.0f s\n", len(results), time.Since(begin).Seconds())
	return errors.Join(faults...)
}

// missing lists the required targets that are not there.
func missing(packages []fuzzed) []error {
	var faults []error
	for _, r := range required {
		found := false
		for _, p := range packages {
			for _, name := range p.targets {
				found = found || (p.short == r.pkg && name == r.name)
			}
		}
		if !found {
			faults = append(faults, fmt.Errorf("%s has no target: %s is not in package %s", r.parser, r.name, r.pkg))
		}
	}
	return faults
}

// result is what became of one target.
type result struct {
	pkg    fuzzed
	target string
	execs  string
	err    error
}

// line is the result for people.
func (r result) line() string {
	state := "ok  "
	if r.err != nil {
		state = "FAIL"
	}
	return strings.TrimRight(fmt.Sprintf("%s %-34s %-24s %s", state, r.pkg.short, r.target, r.execs), " ")
}

// fuzzAll builds one package after another and runs the targets side by side,
// so that building and running overlap. After ctx ends no target is started.
func fuzzAll(ctx context.Context, packages []fuzzed, fuzzTime time.Duration, workers int) []result {
	var (
		mu      sync.Mutex
		results []result
		wg      sync.WaitGroup
		slots   = make(chan struct{}, max(1, workers))
	)
	done := func(r result) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(r.line())
		results = append(results, r)
	}
	for _, p := range packages {
		binary, err := p.build(ctx)
		if err != nil {
			done(result{pkg: p, target: "(build)", err: err})
			continue
		}
		defer os.Remove(binary)
		for _, name := range p.targets {
			if ctx.Err() != nil {
				break
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				r := result{pkg: p, target: name}
				r.execs, r.err = p.run(ctx, binary, name, fuzzTime)
				done(r)
			})
		}
	}
	wg.Wait()
	return results
}
