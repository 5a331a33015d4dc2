package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

func (p Process) plan() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "plan",
		Short: "Say what sync would do, and write nothing",
		Long: `Says for every secret what sync would do and why, and writes nothing. It reads
what sync would read and decides as sync would.

With --out the plan becomes a file to be reviewed and applied by sync --plan. It
holds names, paths and fingerprints, never a value.

Exit code 4 when there is something to do, 0 when not.`,
		Example: `  keyferry plan --config keyferry.yaml
  keyferry plan --rule webapp --output json
  keyferry plan --out plan.json`,
	}
	scope := copying(c)
	c.Flags().StringVar(&out, "out", "", "write the plan to this file; with several Key Vaults name one by --destination")
	p.reporting(c, func(s *system, destination string) ([]*keyVault, error) {
		vaults, err := s.scoped(*scope, destination)
		if err == nil && out != "" && len(vaults) > 1 {
			err = fmt.Errorf("%w: a plan file is about one of several Key Vaults: name it by --destination", secret.ErrUsage)
		}
		return vaults, err
	}, func(ctx context.Context, v *keyVault) (*vaultsync.Report, error) {
		report, file, err := v.sync.Plan(ctx, *scope)
		if out == "" || file == nil {
			return report, err
		}
		return report, errors.Join(err, writePlan(out, file))
	})
	return c
}

// writePlan writes a new file: a plan somebody reviewed is never replaced.
func writePlan(name string, plan *vaultsync.PlanFile) error {
	text, err := json.MarshalIndent(plan, "", " ")
	if err != nil {
		return fmt.Errorf("write plan %q: %w", name, err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %q is there already; a plan that may be under review is not replaced", secret.ErrUsage, name)
	}
	if err != nil {
		return fmt.Errorf("write plan %q: %w", name, err)
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// maxPlan bounds a plan file: 200 bytes for each of a million secrets.
const maxPlan = 256 << 20

func readPlan(name string) (*vaultsync.PlanFile, error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxPlan {
		return nil, fmt.Errorf("read plan %q: %w", name, secret.ErrTooLarge)
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: plan %q is not there; make it with plan --out", secret.ErrUsage, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read plan %q: %w", name, err)
	}
	plan, err := vaultsync.ReadPlan(text)
	if err != nil {
		return nil, fmt.Errorf("read plan %q: %w", name, err)
	}
	return plan, nil
}
