// Command servers starts the real servers that tests can speak to, runs a
// command with their addresses in its environment, and stops them again:
//
//	go run ./test/servers -- go test -race -shuffle=on ./...
//
// Every server listens on a free loopback port with a random secret, keeps its
// data in memory or in a folder that goes with it, and logs to
// .cache/logs/<name>.log. Its address reaches the command as KEYFERRY_TEST_*;
// a test whose variable is absent skips. What could not be started is listed at
// the end and does not stop the run; with CI=true it makes the exit code 1.
// Otherwise the exit code is the command's own (go run makes every failure 1).
// Without a command the variables are printed and the servers stay up until a
// signal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A server is one thing the tests can use. A new one is a file with a function
// that returns a server, and a line in main.
type server struct {
	// name is how reports and the log file call it.
	name string
	// start installs what is missing, starts the server through the machine and
	// returns once it answers. Everything it starts the machine stops.
	start func(ctx context.Context, m *machine) (ready, error)
}

// ready describes a server that answers.
type ready struct {
	detail string   // version and address, for the report
	env    []string // KEYFERRY_TEST_NAME=value, for the command
}

func main() {
	flag.Parse()
	os.Exit(run([]server{
		compiler(),
		vault(),
		azurite(),
		postgres(),
		mariadb(),
		mariadbStrict(),
		redis(),
		redisPlain(),
		rabbitmq(),
	}, flag.Args()))
}

// run starts the servers side by side, runs the command and returns the exit
// code of the whole.
func run(servers []server, command []string) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	m, err := newMachine()
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		return 1
	}
	defer m.stop()

	started := make(chan struct{})
	var env, missing []string
	go func() {
		env, missing = startAll(ctx, m, servers)
		close(started)
	}()
	select {
	case <-started:
	case <-signals:
		cancel() // ends installs and builds under way
		<-started
		return 1
	}

	code := 0
	if len(command) == 0 {
		fmt.Println(strings.Join(env, "\n"))
		<-signals
	} else if code, err = runCommand(command, env, signals); err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
	}
	for _, line := range missing {
		fmt.Fprintln(os.Stderr, "servers: missing:", line)
	}
	if code == 0 && len(missing) > 0 && os.Getenv("CI") == "true" {
		return 1
	}
	return code
}

// startAll starts every server and reports one line for each. The results are
// in the order of servers, whichever was first.
func startAll(ctx context.Context, m *machine, servers []server) (env, missing []string) {
	answers := make([]ready, len(servers))
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			begin := time.Now()
			answers[i], errs[i] = s.start(ctx, m)
			if errs[i] != nil {
				fmt.Fprintf(os.Stderr, "servers: %-14s not started: %v\n", s.name, errs[i])
				return
			}
			fmt.Fprintf(os.Stderr, "servers: %-14s %s, ready in %d ms\n", s.name, answers[i].detail, time.Since(begin).Milliseconds())
		})
	}
	wg.Wait()
	for i, s := range servers {
		env = append(env, answers[i].env...)
		if errs[i] != nil {
			missing = append(missing, s.name)
		}
	}
	return env, missing
}

// runCommand runs the command in a process group of its own, passes signals on
// to that group, and leaves none of it behind.
func runCommand(command, env []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start %q: %w", command[0], err)
	}
	defer killGroup(cmd)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var kill <-chan time.Time
	for {
		select {
		case sig := <-signals:
			signalGroup(cmd, sig)
			if kill == nil {
				kill = time.After(10 * time.Second)
			}
		case <-kill:
			killGroup(cmd)
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil
			}
			if err != nil {
				return 1, fmt.Errorf("run %q: %w", command[0], err)
			}
			return 0, nil
		}
	}
}
