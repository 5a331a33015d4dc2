package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p Process) rotators() *cobra.Command {
	return &cobra.Command{
		Use:     "rotators",
		Short:   "List the rotators and their parameters",
		Example: `  keyferry rotators`,
		RunE: func(*cobra.Command, []string) error {
			for i, k := range p.Kinds {
				if i > 0 {
					fmt.Fprintln(p.Stdout)
				}
				fmt.Fprint(p.Stdout, k.Help())
			}
			return nil
		},
	}
}
