package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	p.copying(c, func(ctx context.Context, v *keyVault, s vaultsync.Scope) (*vaultsync.Report, error) {
		if file == "" {
			return v.sync.Sync(ctx, s)
		}
		plan, err := readPlan(file)
		if err != nil {
			return nil, err
		}
		return v.sync.Apply(ctx, plan)
	})
	c.Flags().StringVar(&file, "plan", "", "do exactly what this plan says, made by plan --out")
	return c
}

// copying is what plan and sync share: the flags, the report, the exit code.
func (p Process) copying(c *cobra.Command, run func(context.Context, *keyVault, vaultsync.Scope) (*vaultsync.Report, error)) {
	var scope vaultsync.Scope
	flags := c.Flags()
	flags.StringVar(&scope.Rule, "rule", "", "only secrets of this rule")
	flags.StringVar(&scope.Prefix, "prefix", "", "only secrets whose mount and path begin so, as in secret/webapp/")
	flags.BoolVar(&scope.Full, "full", false, "trust no fingerprint: compare every value on both sides")
	flags.IntVar(&scope.AllowRemovals, "allow-removals", 0, "release the fuse for up to so many removals")
	p.reporting(c, func(s *system) error { return checkRule(s.config.Sync.Rules, scope.Rule) },
		func(ctx context.Context, v *keyVault) (*vaultsync.Report, error) { return run(ctx, v, scope) })
}

// reporting is what commands share that work on every Key Vault and print a report.
func (p Process) reporting(c *cobra.Command, check func(*system) error, run func(context.Context, *keyVault) (*vaultsync.Report, error)) {
	configuration := configFlag(c)
	format := output(c)
	destination := c.Flags().String("destination", "", "only this Key Vault, by its name in the configuration")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		conf, err := p.configure(c.Context(), *configuration)
		if err != nil {
			return err
		}
		bar := newBar(p.Stderr)
		s, err := p.build(conf, slog.New(slog.NewTextHandler(p.Stderr, nil)), bar.show)
		switch {
		case errors.Is(err, secret.ErrInvalid): // building makes no call, so it is a setting
			return fmt.Errorf("%w: %w", secret.ErrUsage, err)
		case err != nil:
			return err
		}
		if err := check(s); err != nil {
			return err
		}
		vaults, err := s.choose(*destination)
		if err != nil {
			return err
		}
		report, err := onEach(c.Context(), vaults, run)
		bar.clear()
		if err != nil && report.Total() == 0 && !errors.Is(err, secret.ErrPartial) {
			return err
		}
		if printErr := printReport(p.Stdout, report, *format); printErr != nil {
			return printErr
		}
		if err == nil && report.Planned && report.Changes() > 0 {
			return secret.ErrPending
		}
		return err
	}
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
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: --destination %q is not configured, the Key Vaults are %s", secret.ErrUsage, name, strings.Join(names, ", "))
	}
	return all, nil
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

// checkRule refuses a run that could select nothing.
func checkRule(rules []vaultsync.Rule, name string) error {
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	switch {
	case len(rules) == 0:
		return fmt.Errorf("%w: the configuration has no sync.rules, so there is nothing to copy; see keyferry.example.yaml", secret.ErrUsage)
	case name != "" && !slices.Contains(names, name):
		return fmt.Errorf("%w: --rule %q is not configured, the rules are %s", secret.ErrUsage, name, strings.Join(names, ", "))
	}
	return nil
}

// bar shows how far a run is, on a terminal only.
type bar struct {
	mu   sync.Mutex
	w    io.Writer
	last int
}

func newBar(w io.Writer) *bar {
	if !terminal(w) {
		w = nil
	}
	return &bar{w: w, last: -1}
}

// show draws the bar when a further hundredth is done.
func (b *bar) show(done, total int) {
	if b.w == nil || total == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	percent := done * 100 / total
	if percent == b.last {
		return
	}
	b.last = percent
	const width = 30
	fill := percent * width / 100
	fmt.Fprintf(b.w, "\r[%s%s] %d/%d", hashes[:fill], dots[:width-fill], done, total)
}

const (
	hashes = "##############################"
	dots   = ".............................."
)

// clear takes the bar off the screen.
func (b *bar) clear() {
	if b.w != nil && b.last >= 0 {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
