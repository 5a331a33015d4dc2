package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

func (p Process) sync() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "sync",
		Short: "Copy what changed in Vault to Key Vault",
		Long: `Copies what changed in Vault to Key Vault, and says for every secret what was
done and why. A run that is cut off is simply run again.

With --plan it does exactly what that plan says; what moved since is said and
left alone.`,
		Example: `  keyferry sync --config keyferry.yaml
  keyferry sync --rule webapp --prefix secret/webapp/prod
  keyferry sync --full --output json     # compare every value on both sides
  keyferry sync --plan plan.json
  keyferry sync --allow-removals 40      # release the fuse for this run`,
	}
	scope := copying(c)
	c.Flags().StringVar(&file, "plan", "", "do exactly what this plan says, made by plan --out")
	var plan *vaultsync.PlanFile
	p.reporting(c, func(s *system, destination string) ([]*keyVault, error) {
		if file == "" {
			return s.scoped(*scope, destination)
		}
		for _, flag := range []string{"rule", "prefix", "full", "allow-removals"} {
			if c.Flags().Changed(flag) {
				return nil, fmt.Errorf("%w: --plan and --%s exclude each other: a plan has a scope of its own", secret.ErrUsage, flag)
			}
		}
		var err error
		if plan, err = readPlan(file); err != nil {
			return nil, err
		}
		return s.choose(cmp.Or(destination, plan.Destination))
	}, func(ctx context.Context, v *keyVault) (*vaultsync.Report, error) {
		if plan != nil {
			return v.sync.Apply(ctx, plan)
		}
		return v.sync.Sync(ctx, *scope)
	})
	return c
}

// copying adds the flags that plan and sync share, and returns the scope they say.
func copying(c *cobra.Command) *vaultsync.Scope {
	var scope vaultsync.Scope
	flags := c.Flags()
	flags.StringVar(&scope.Rule, "rule", "", "only secrets of this rule")
	flags.StringVar(&scope.Prefix, "prefix", "", "only secrets whose mount and path begin so, as in secret/webapp/")
	flags.BoolVar(&scope.Full, "full", false, "trust no fingerprint: compare every value on both sides")
	flags.IntVar(&scope.AllowRemovals, "allow-removals", 0, "release the fuse for up to so many removals")
	return &scope
}

// scoped is choose for a scope, which must be one that can select something.
func (s *system) scoped(scope vaultsync.Scope, destination string) ([]*keyVault, error) {
	if scope.AllowRemovals < 0 {
		return nil, fmt.Errorf("%w: %d removals cannot be allowed", secret.ErrUsage, scope.AllowRemovals)
	}
	if err := checkRule(s.config.Sync.Rules, scope.Rule); err != nil {
		return nil, err
	}
	return s.choose(destination)
}

// reporting is what commands share that work on Key Vaults and print a report: the flags, the report, the exit code.
// pick chooses the Key Vaults, of those that --destination leaves.
func (p Process) reporting(c *cobra.Command, pick func(*system, string) ([]*keyVault, error), run func(context.Context, *keyVault) (*vaultsync.Report, error)) {
	configuration, format := configFlag(c), output(c)
	destination := c.Flags().String("destination", "", "only this Key Vault, by its name in the configuration")
	c.RunE = func(c *cobra.Command, _ []string) error {
		bar := newBar(p.Stderr)
		s, err := p.system(c.Context(), *configuration, *format, bar.show)
		if err != nil {
			return err
		}
		vaults, err := pick(s, *destination)
		if err != nil {
			return err
		}
		report, err := onEach(c.Context(), vaults, run)
		bar.clear()
		if err != nil && report.Total() == 0 && !errors.Is(err, secret.ErrPartial) {
			return err
		}
		if printErr := printReport(p.Stdout, c.Name(), report, *format); printErr != nil {
			return printErr
		}
		if err == nil && report.Planned && report.Changes() > 0 {
			return secret.ErrPending
		}
		return err
	}
}

// system reads the configuration and builds the system of a command whose outcome people read. It logs no alerts: what
// they would say stands in that outcome. The topic and the webhook get them.
func (p Process) system(ctx context.Context, configuration, format string, progress func(done, total int)) (*system, error) {
	if err := checkOutput(format); err != nil {
		return nil, err
	}
	conf, err := p.configure(ctx, configuration)
	if err != nil {
		return nil, err
	}
	s, err := p.build(conf, slog.New(slog.DiscardHandler), progress)
	if errors.Is(err, secret.ErrInvalid) { // building makes no call, so it is a setting
		err = fmt.Errorf("%w: %w", secret.ErrUsage, err)
	}
	return s, err
}

// choose is the Key Vault of that name, or all that some rule writes.
func (s *system) choose(name string) ([]*keyVault, error) {
	var all []*keyVault
	var names []string
	for _, v := range s.vaults {
		if v.name == name || name == "" && v.sync.Writes() {
			all = append(all, v)
		}
		names = append(names, v.name)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case name == "":
		return nil, errNoRules
	}
	return nil, fmt.Errorf("%w: destination %q is not configured, the Key Vaults are %s", secret.ErrUsage, name, strings.Join(names, ", "))
}

// onEach works on several Key Vaults at once, since each has its own budget, and joins their reports.
func onEach(ctx context.Context, vaults []*keyVault, run func(context.Context, *keyVault) (*vaultsync.Report, error)) (*vaultsync.Report, error) {
	reports, errs := make([]*vaultsync.Report, len(vaults)), make([]error, len(vaults))
	var all sync.WaitGroup
	for i, v := range vaults {
		all.Go(func() { reports[i], errs[i] = run(ctx, v) })
	}
	all.Wait()
	reports = slices.DeleteFunc(reports, func(r *vaultsync.Report) bool { return r == nil })
	return vaultsync.Join(reports...), errors.Join(errs...)
}

var errNoRules = fmt.Errorf("%w: the configuration has no sync.rules, so there is nothing to copy; see keyferry.example.yaml", secret.ErrUsage)

// checkRule refuses a run that could select nothing.
func checkRule(rules []vaultsync.Rule, name string) error {
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	switch {
	case len(rules) == 0:
		return errNoRules
	case name != "" && !slices.Contains(names, name):
		return fmt.Errorf("%w: --rule %q is not configured, the rules are %s", secret.ErrUsage, name, strings.Join(names, ", "))
	}
	return nil
}
