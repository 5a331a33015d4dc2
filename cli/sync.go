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
	return p.copying(&cobra.Command{
		Use:   "sync",
		Short: "Copy what changed in Vault to Key Vault",
		Long: `Copies what changed in Vault to Key Vault, and says for every secret what was
done and why. A run that is cut off is simply run again.`,
		Example: `  keyferry sync --config keyferry.yaml
  keyferry sync --rule webapp --prefix secret/webapp/prod
  keyferry sync --full --output json     # compare every value on both sides`,
	}, (*vaultsync.Engine).Sync)
}

// copying is what plan and sync share: the flags, the report, the exit code.
func (p Process) copying(c *cobra.Command, run func(*vaultsync.Engine, context.Context, vaultsync.Scope) (*vaultsync.Report, error)) *cobra.Command {
	var scope vaultsync.Scope
	configuration := configFlag(c)
	format := output(c)
	c.Flags().StringVar(&scope.Rule, "rule", "", "only secrets of this rule")
	c.Flags().StringVar(&scope.Prefix, "prefix", "", "only secrets whose mount and path begin so, as in secret/webapp/")
	c.Flags().BoolVar(&scope.Full, "full", false, "trust no fingerprint: compare every value on both sides")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		conf, err := p.configure(c.Context(), *configuration)
		if err != nil {
			return err
		}
		if err := checkRule(conf.Sync.Rules, scope.Rule); err != nil {
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
		report, err := run(s.sync, c.Context(), scope)
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
	return c
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
