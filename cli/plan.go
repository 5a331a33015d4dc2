package cli

import (
	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/vaultsync"
)

func (p Process) plan() *cobra.Command {
	return p.copying(&cobra.Command{
		Use:   "plan",
		Short: "Say what sync would do, and write nothing",
		Long: `Says for every secret what sync would do and why, and writes nothing. It reads
what sync would read and decides as sync would.

Exit code 4 when there is something to do, 0 when not.`,
		Example: `  keyferry plan --config keyferry.yaml
  keyferry plan --rule webapp --output json`,
	}, (*vaultsync.Engine).Plan)
}
