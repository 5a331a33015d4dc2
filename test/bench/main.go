// Command bench measures what Keyferry promises and prints it as a table:
//
//	go run ./test/bench -binary bin/keyferry -json figures.json
//
// With -json the same goes to a file, as {"name": {"value": 12.3, "unit": "ms"}}.
// With -only a few figures are measured. Speed is a ratio of two rates measured
// in the same run, so that it says something on any machine. The secrets of the
// sync's figures lie in the Vault of KEYFERRY_TEST_VAULT_ADDR and
// KEYFERRY_TEST_VAULT_TOKEN, in mounts that are removed again, or in the emulator
// when there is none. The passwords of the rotation's figures lie in the PostgreSQL
// of KEYFERRY_TEST_POSTGRES, in roles that are dropped again. The exit code is 1
// when a figure could not be measured; the aims are shown and are for people to
// judge.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	binary := flag.String("binary", "bin/keyferry", "the executable to measure, as make build makes it")
	file := flag.String("json", "", "file that gets the figures; empty: none")
	only := flag.String("only", "", "names of figures, separated by commas; empty: all")
	side := flag.Bool("far", false, "be the far side of a measurement; for the program itself")
	flag.Parse()
	if *side {
		if err := serveFar(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench: far side:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *file, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures every figure, prints the table and writes the file. What could
// not be measured is left out and is the error.
func run(ctx context.Context, binary, file, only string) (err error) {
	l := &lab{binary: binary}
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	var measured []measurement
	var faults []error
	for _, f := range figures() {
		if only != "" && !slices.Contains(strings.Split(only, ","), f.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", f.name)
		value, how, err := f.measure(ctx, l)
		if err != nil {
			faults = append(faults, fmt.Errorf("measure %s: %w", f.name, err))
			continue
		}
		measured = append(measured, measurement{figure: f, value: value, how: how})
	}
	fmt.Print(table(measured))
	if file != "" {
		faults = append(faults, write(file, measured))
	}
	return errors.Join(faults...)
}
