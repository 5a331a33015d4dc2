package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

func (p Process) rotate() *cobra.Command {
	var q asked
	var exits [3]bool
	var kind string
	c := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Rotate one secret, or go on with a rotation that is stuck",
		Long: `Rotates one secret of Key Vault when it is due; with --force also when it is not.
Everything else holds as for an event: its tag names the rotator, and a target of
the configuration must list it.

A rotation that is stuck has three exits: --resume tries again at once, --abandon
forgets it and leaves target and secret as they are, --rollback gives the target
its old credential back first.`,
		Example: `  keyferry rotate webapp-prod-db-password
  keyferry rotate webapp-prod-db-password --force
  keyferry rotate webapp-prod-db-password --resume
  keyferry rotate --help-type generated`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := c.Flags()
	flags.BoolVar(&q.Force, "force", false, "rotate even when not due or too young; skips no other check")
	flags.BoolVar(&exits[0], "resume", false, "try again at once")
	flags.BoolVar(&exits[1], "abandon", false, "forget the rotation that is under way")
	flags.BoolVar(&exits[2], "rollback", false, "give the target its old credential back, then forget")
	flags.StringVar(&q.Destination, "destination", "", "which Key Vault, by its name in the configuration")
	flags.StringVar(&kind, "help-type", "", "explain this rotator and its parameters")
	c.MarkFlagsMutuallyExclusive("force", "resume", "abandon", "rollback")
	configuration, format := configFlag(c), output(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if kind != "" {
			return p.explain(kind)
		}
		if len(args) != 1 {
			return fmt.Errorf("%w: name one secret", secret.ErrUsage)
		}
		for i, exit := range []rotation.Exit{rotation.Resume, rotation.Abandon, rotation.Rollback} {
			if exits[i] {
				q.Exit = exit
			}
		}
		s, err := p.system(c, *configuration, *format)
		if err != nil {
			return err
		}
		done, err := s.rotate(c.Context(), args[0], q)
		if err != nil {
			return err
		}
		if *format == "json" {
			err = printJSON(p.Stdout, outcomeBody(done))
		} else {
			_, err = fmt.Fprintf(p.Stdout, "%s %s: %s: %s\n", done.Name, done.Verdict, done.Reason, printable(done.Text))
		}
		if err != nil {
			return err
		}
		return outcomeError(done)
	}
	return c
}

// explain prints the help of one rotator.
func (p Process) explain(kind string) error {
	for _, k := range p.Kinds {
		if k.Type == kind {
			_, err := fmt.Fprint(p.Stdout, k.Help())
			return err
		}
	}
	return fmt.Errorf("%w: there is no rotator %q; keyferry rotators lists them", secret.ErrUsage, kind)
}

// system reads the configuration and builds the system of a command that prints a report.
func (p Process) system(c *cobra.Command, configuration, format string) (*system, error) {
	if err := checkOutput(format); err != nil {
		return nil, err
	}
	conf, err := p.configure(c.Context(), configuration)
	if err != nil {
		return nil, err
	}
	return p.build(conf, slog.New(slog.NewTextHandler(p.Stderr, nil)), nil)
}

func (p Process) rotations() *cobra.Command {
	c := &cobra.Command{
		Use:   "rotations",
		Short: "List the rotations that are under way, in grace, parked, or waiting for a person",
		Example: `  keyferry rotations
  keyferry rotations --output json`,
	}
	configuration, format := configFlag(c), output(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := p.system(c, *configuration, *format)
		if err != nil {
			return err
		}
		var all []owed
		for _, v := range s.vaults {
			pending, err := v.rotation.Pending(c.Context())
			if err != nil {
				return err
			}
			for _, status := range pending {
				all = append(all, owed{Vault: v.name, Status: status})
			}
		}
		if *format == "json" {
			return printJSON(p.Stdout, all)
		}
		return printOwed(p.Stdout, all)
	}
	return c
}

// owed is what is owed about one secret of a Key Vault.
type owed struct {
	Vault string
	rotation.Status
}

func printOwed(w io.Writer, all []owed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range all {
		what := o.Phase
		switch {
		case o.Broken:
			what = "record unreadable"
		case o.Parked:
			what = "parked in " + o.Phase
		case o.Needs != "":
			what = "needs a person: " + string(o.Needs)
		case !o.Retire.IsZero():
			what = "grace until " + o.Retire.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", o.Name, o.Target, what, printable(o.Trouble))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "rotations: %d\n", len(all))
	return err
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
