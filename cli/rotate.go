package cli

import (
	"errors"
	"fmt"

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
		Args: atMostOne,
	}
	flags := c.Flags()
	flags.BoolVar(&q.Force, "force", false, "rotate even when not due or too young; skips no other check")
	flags.BoolVar(&exits[0], "resume", false, "try again at once")
	flags.BoolVar(&exits[1], "abandon", false, "forget the rotation that is under way")
	flags.BoolVar(&exits[2], "rollback", false, "give the target its old credential back, then forget")
	flags.StringVar(&q.Destination, "destination", "", "which Key Vault, by its name in the configuration (default keyvault)")
	flags.StringVar(&kind, "help-type", "", "explain this rotator and its parameters")
	configuration, format := configFlag(c), output(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if kind != "" {
			return p.explain(kind)
		}
		if len(args) != 1 {
			return fmt.Errorf("%w: name one secret", secret.ErrUsage)
		}
		for i, exit := range []rotation.Exit{rotation.Resume, rotation.Abandon, rotation.Rollback} {
			switch {
			case exits[i] && q.Exit != "":
				return fmt.Errorf("%w: --%s and --%s exclude each other", secret.ErrUsage, q.Exit, exit)
			case exits[i]:
				q.Exit = exit
			}
		}
		s, err := p.system(c.Context(), *configuration, *format, nil)
		if err != nil {
			return err
		}
		done, err := s.rotate(c.Context(), args[0], q)
		switch {
		case errors.Is(err, secret.ErrInvalid):
			return fmt.Errorf("%w: %w", secret.ErrUsage, err)
		case err != nil:
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

// atMostOne refuses a second argument as a usage error.
func atMostOne(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%w: one secret at a time, not %d", secret.ErrUsage, len(args))
	}
	return nil
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
