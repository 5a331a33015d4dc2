// Package cli is the composition root: it reads the configuration, builds the adapters and the engines, and gives
// them to a command. One file a command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// Process is what a run of the program may touch of the world around it.
type Process struct {
	Args      []string // without the program's name
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	LookupEnv func(string) (string, bool)
	App       fs.FS // host.json and the function.json folders
	Kinds     []rotation.Kind
}

// version is set by the build.
var version = ""

// Main runs a command and returns the exit code: 0 ok, 1 failed, 2 usage or configuration, 3 partly failed,
// 4 changes pending.
func Main(p Process) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, set := p.LookupEnv("GOGC"); !set {
		// Most of the memory is what a sync remembers of a large estate. The default lets it grow to twice that, for less
		// work; but a sync waits more than it works, and the smallest plans are short of memory.
		debug.SetGCPercent(30)
	}
	root := p.root()
	root.SetArgs(p.Args)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, secret.ErrPending) {
		return secret.ExitCode(err)
	}
	fmt.Fprintf(p.Stderr, "keyferry: %s\n", complaint(err))
	if hint := secret.Hint(err); hint != "" {
		fmt.Fprintf(p.Stderr, "hint: %s\n", hint)
	}
	return secret.ExitCode(err)
}

// complaint is the text of an error, with one line for each of several faults.
func complaint(err error) string {
	usage := secret.ErrUsage.Error()
	lines := strings.Split(err.Error(), "\n")
	if len(lines) == 1 || !errors.Is(err, secret.ErrUsage) {
		return strings.Join(lines, "\n  ")
	}
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, usage+": ")
	}
	return usage + ":\n  " + strings.Join(lines, "\n  ")
}

func (p Process) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keyferry",
		Short: "Moves static secrets from HashiCorp Vault KV to Azure Key Vault and keeps them rotated",
		Long: `Keyferry moves static secrets from HashiCorp Vault KV to Azure Key Vault and keeps them rotated there.

Deployed as an Azure Functions custom handler it syncs on a timer and rotates on
Key Vault's near-expiry events. From a terminal it plans, syncs, cuts secrets
over from Vault to Key Vault, and rotates.

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 partly failed,
4 plan found changes.`,
		Example: `  keyferry dev                             # the whole system on this machine, to play with
  keyferry plan --config keyferry.yaml     # what sync would do
  keyferry sync --config keyferry.yaml --rule webapp
  keyferry cutover --config keyferry.yaml --rule webapp`,
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", secret.ErrUsage, err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(p.serve(), p.dev(), p.plan(), p.sync(), p.cutover(), p.rotate(), p.rotations(), p.rotators())
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = noArguments
		}
	}
	root.Args = knownCommand
	return root
}

// noArguments refuses arguments as a usage error, exit code 2.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %s takes flags only, not %q", secret.ErrUsage, c.Name(), args[0])
	}
	return nil
}

// knownCommand refuses what is no command, and names those there are.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("%w: unknown command %q, there are %s", secret.ErrUsage, args[0], strings.Join(names, ", "))
}

// terminal reports whether w is a terminal, and so a person.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "dev"
}
