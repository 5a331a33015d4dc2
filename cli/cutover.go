package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

func (p Process) cutover() *cobra.Command {
	var q vaultsync.CutoverRequest
	c := &cobra.Command{
		Use:   "cutover [NAME...]",
		Short: "Make Key Vault the home of secrets, once the applications read them there",
		Long: `Makes Key Vault the home of secrets: sync leaves them alone from then on, and
rotation may have them. A secret is cut over only when its values in Vault and
Key Vault are equal at that moment. A later write in Vault is reported by plan
and sync as late-write.

With --undo Vault is the home again, under the same condition.`,
		Example: `  keyferry cutover webapp-prod-db-password webapp-prod-smtp
  keyferry cutover --rule webapp
  keyferry cutover --undo webapp-prod-smtp`,
		Args: cobra.ArbitraryArgs,
	}
	c.Flags().StringVar(&q.Rule, "rule", "", "all secrets of this rule")
	c.Flags().BoolVar(&q.Undo, "undo", false, "make Vault the home again")
	p.reporting(c, func(s *system, destination string) ([]*keyVault, error) {
		vaults, err := s.scoped(vaultsync.Scope{Rule: q.Rule}, destination)
		if err == nil && len(c.Flags().Args()) > 0 && len(vaults) > 1 {
			err = fmt.Errorf("%w: a name is one of several Key Vaults: say which by --destination", secret.ErrUsage)
		}
		return vaults, err
	}, func(ctx context.Context, v *keyVault) (*vaultsync.Report, error) {
		q := q
		q.Names = c.Flags().Args()
		return v.sync.Cutover(ctx, q)
	})
	return c
}
