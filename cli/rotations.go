package cli

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/rotation"
)

func (p Process) rotations() *cobra.Command {
	c := &cobra.Command{
		Use:   "rotations",
		Short: "List the rotations that are under way, in grace, parked, or waiting for a person",
		Example: `  keyferry rotations
  keyferry rotations --output json`,
	}
	configuration, format := configFlag(c), output(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := p.system(c.Context(), *configuration, *format, nil)
		if err != nil {
			return err
		}
		all := []owed{}
		var faults []error
		for _, v := range s.vaults {
			pending, err := v.rotation.Pending(c.Context())
			faults = append(faults, err) // what could be read is listed all the same
			for _, status := range pending {
				all = append(all, owedBy(v.name, status))
			}
		}
		if *format == "json" {
			err = printJSON(p.Stdout, all)
		} else {
			err = printOwed(p.Stdout, all, len(s.vaults) > 1)
		}
		return errors.Join(append(faults, err)...)
	}
	return c
}

// owed is what is owed about one secret of a Key Vault, as JSON shows it. The names are those of rotation.Status.
type owed struct {
	Destination string          `json:"destination"`
	Name        string          `json:"name"`
	Phase       string          `json:"phase,omitempty"`
	Parked      bool            `json:"parked,omitempty"`
	Target      string          `json:"target,omitempty"`
	Began       time.Time       `json:"began,omitzero"`
	Source      string          `json:"source,omitempty"`
	Version     string          `json:"version,omitempty"`
	Retire      time.Time       `json:"retire,omitzero"`
	Attempts    int             `json:"attempts,omitempty"`
	Next        time.Time       `json:"next,omitzero"`
	Trouble     string          `json:"trouble,omitempty"`
	Needs       rotation.Reason `json:"needs,omitempty"`
	Alerts      int             `json:"alerts,omitempty"`
	Broken      bool            `json:"broken,omitempty"`
}

func owedBy(destination string, s rotation.Status) owed {
	return owed{
		Destination: destination, Name: s.Name, Phase: s.Phase, Parked: s.Parked, Target: s.Target, Began: s.Began,
		Source: s.Source, Version: s.Version, Retire: s.Retire, Attempts: s.Attempts, Next: s.Next, Trouble: s.Trouble,
		Needs: s.Needs, Alerts: s.Alerts, Broken: s.Broken,
	}
}

// printOwed prints a line for each secret; which Key Vault it is in only where there are several.
func printOwed(w io.Writer, all []owed, several bool) error {
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
		if several {
			fmt.Fprintf(t, "%s\t", o.Destination)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(o.Name), printable(o.Target), what, printable(o.Trouble))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "rotations: %d\n", len(all))
	return err
}
