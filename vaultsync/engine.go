package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// Options is what an Engine works with. Every field without a remark is required.
type Options struct {
	Name        string // of the destination, as rules say it; empty: DefaultDestination
	Settings    Settings
	Sources     map[string]Source // by the name rules give
	Destination Destination
	// Lock runs fn while no other run works on the destination; secret.ErrLeaseHeld when one does. The context it
	// gives fn ends when the lease is lost.
	Lock    func(ctx context.Context, name string, fn func(context.Context) error) error
	Now     func() time.Time
	Alerts  alert.Sink // who is told of conflicts, failures and held removals that are new; nil: nobody
	Records Records    // what runs tell one another; nil: nothing
	// Apart runs fn while no rotation of the secret is under way and none can begin; secret.ErrLeaseHeld, without fn,
	// when one is: then sync leaves it alone. nil: none ever is.
	Apart    func(ctx context.Context, name string, fn func(context.Context) error) error
	HashKey  func() secret.Value   // makes the key of the keyed hash; nil: secret.NewHashKey
	Workers  int                   // calls at once; 0: 64
	Config   string                // hash of the configuration, for the report
	Progress func(done, total int) // called as secrets are finished; may be nil
}

// Engine plans and runs the sync. It is safe for concurrent use; runs of one destination exclude each other.
type Engine struct{ Options }

// New checks the settings and makes an Engine. Faults wrap secret.ErrUsage.
func New(o Options) (*Engine, error) {
	if err := o.Settings.Validate(); err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = DefaultDestination
	}
	for _, r := range o.Settings.Rules {
		if r.destination() == o.Name && o.Sources[r.source()] == nil {
			return nil, fmt.Errorf("%w: sync rule %q reads source %q, which is not configured", secret.ErrUsage, r.Name, r.source())
		}
	}
	if o.HashKey == nil {
		o.HashKey = secret.NewHashKey
	}
	if o.Workers <= 0 {
		o.Workers = 64
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return &Engine{Options: o}, nil
}

// Scope narrows a run. The zero Scope is everything.
type Scope struct {
	Rule   string `json:"rule"`   // only secrets of this rule
	Prefix string `json:"prefix"` // only secrets whose mount and path begin so
	// AllowRemovals releases the fuse for one run, for up to so many removals.
	AllowRemovals int  `json:"allowRemovals"`
	Full          bool `json:"full"` // trust no fingerprint: compare every value on both sides
}

// whole reports whether the scope is the whole destination.
func (s Scope) whole() bool { return s.Rule == "" && s.Prefix == "" }

// of is those entries that the scope holds.
func (s Scope) of(all []Entry) []Entry {
	if s.Rule == "" && s.Prefix == "" {
		return all
	}
	var out []Entry
	for _, e := range all {
		if s.holds(e) {
			out = append(out, e)
		}
	}
	return out
}

func (s Scope) holds(e Entry) bool {
	return (s.Rule == "" || e.Rule.Name == s.Rule) && strings.HasPrefix(e.Where(), s.Prefix)
}

// Writes reports whether some rule writes this destination.
func (e *Engine) Writes() bool {
	return slices.ContainsFunc(e.Settings.Rules, func(r Rule) bool { return r.destination() == e.Name })
}

// check refuses a scope that names a rule that does not exist.
func (e *Engine) check(s Scope) error {
	if s.Rule == "" {
		return nil
	}
	for _, r := range e.Settings.Rules {
		if r.Name == s.Rule {
			return nil
		}
	}
	return fmt.Errorf("find sync rule %q: %w", s.Rule, secret.ErrNotFound)
}

// Plan tells what Sync would do, by the same reads and the same decisions, and writes nothing. The error is nil when
// the plan covers the whole scope, secret.ErrPartial when the report lists failures. The file is the same as a thing,
// for Apply.
func (e *Engine) Plan(ctx context.Context, s Scope) (*Report, *PlanFile, error) {
	report := e.newReport(true)
	file := &PlanFile{Format: planFormat, Destination: e.Name, Config: e.Config, Scope: s}
	if err := e.check(s); err != nil {
		return report, nil, err
	}
	hasher, err := e.hasher(ctx)
	if err != nil && !errors.Is(err, secret.ErrNotFound) {
		return report, nil, report.end(err)
	}
	err = e.run(ctx, s, hasher, file, report)
	file.sort()
	return report, file, report.end(err)
}

// Sync copies what Plan would list. The report holds every item that changed, was refused or failed; the error is
// nil when nothing failed, secret.ErrPartial when something did, and secret.ErrLeaseHeld, with an empty report, when
// another run is at work: then the scope is kept and run next. A run that is cut off is repeated safely: what it wrote
// is whole and the next run does the rest.
func (e *Engine) Sync(ctx context.Context, s Scope) (*Report, error) { return e.sync(ctx, s, nil) }

// Apply does exactly what the plan says. What is not as it was when the plan was made is reported as moved-since-plan
// and left alone. secret.ErrConflict for a plan of another destination or configuration.
func (e *Engine) Apply(ctx context.Context, p *PlanFile) (*Report, error) {
	if p.Destination != e.Name || p.Config != e.Config {
		return e.newReport(false), fmt.Errorf("apply the plan: it was made for another destination or configuration: %w", secret.ErrConflict)
	}
	if err := p.index(); err != nil {
		return e.newReport(false), fmt.Errorf("apply the plan: %w", err)
	}
	return e.sync(ctx, p.Scope, p)
}

func (e *Engine) sync(ctx context.Context, s Scope, plan *PlanFile) (*Report, error) {
	report := e.newReport(false)
	if err := e.check(s); err != nil {
		return report, err
	}
	if e.Settings.Paused {
		return report, fmt.Errorf("sync: %w", secret.ErrPaused)
	}
	err := e.Lock(ctx, "sync", func(ctx context.Context) error {
		began := e.Now()
		var covered []Scope
		if plan == nil {
			covered = e.take(ctx, maxWaiting, s.covers)
		}
		err := e.once(ctx, s, plan, report)
		if err != nil && !errors.Is(err, secret.ErrPartial) {
			e.waitAgain(ctx, covered...)
			return err
		}
		e.runWaiting(ctx, e.Now().Sub(began))
		return err
	})
	if errors.Is(err, secret.ErrLeaseHeld) && plan == nil {
		err = errors.Join(err, e.wait(ctx, s))
	}
	return report, report.end(err)
}

// once is one run under the lease, with what is kept and told of it.
func (e *Engine) once(ctx context.Context, s Scope, plan *PlanFile, report *Report) error {
	last, _ := e.Last(ctx)
	err := report.end(e.copyAll(ctx, s, plan, report))
	if err != nil {
		report.Ended = secret.Code(err)
	}
	ctx = context.WithoutCancel(ctx) // whatever ended the run, its context may be over
	err = errors.Join(err, e.alert(ctx, alertsOf(report, last, s, err, e.Now())))
	e.keep(ctx, s, report) // last: a run that is killed before it is told again
	return err
}

// alert sends what people must be told.
func (e *Engine) alert(ctx context.Context, alerts []alert.Alert) error {
	if e.Alerts == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	var errs []error
	for _, a := range alerts {
		errs = append(errs, e.Alerts.Send(ctx, a))
	}
	return errors.Join(errs...)
}

// tellTime bounds the alerts of a run, and what it keeps of itself.
const tellTime = 20 * time.Second

func (e *Engine) copyAll(ctx context.Context, s Scope, plan *PlanFile, report *Report) error {
	hasher, err := e.hasher(ctx)
	if errors.Is(err, secret.ErrNotFound) {
		hasher, err = e.makeHasher(ctx)
	}
	if err != nil {
		return err
	}
	return e.run(ctx, s, hasher, plan, report)
}

func (e *Engine) newReport(planned bool) *Report {
	r := newReport(e.Now(), planned)
	r.Destination, r.Config = e.Name, e.Config
	return r
}
