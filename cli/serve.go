package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/config"
	"github.com/keyferry/keyferry/handler"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
	"github.com/keyferry/keyferry/vaultsync"
)

func (p Process) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Answer the Azure Functions host (started by it)",
		Long: `Answers the Azure Functions host as its custom handler. The host starts this
command and hands over the port; see host.json. Settings are app settings and
the file KEYFERRY_CONFIG names.`,
		Example: `  FUNCTIONS_CUSTOMHANDLER_PORT=7071 KEYFERRY_CONFIG=keyferry.yaml keyferry serve`,
		RunE: func(c *cobra.Command, _ []string) error {
			port, _ := p.LookupEnv(handler.PortSetting)
			l, err := handler.Listen(port)
			if err != nil {
				return err
			}
			log := handler.NewLog(p.Stdout, slog.LevelInfo)
			f := &functions{log: log, open: func(ctx context.Context) (*system, error) {
				conf, err := p.configure(ctx, "")
				if err != nil {
					return nil, err
				}
				return p.build(conf, log, nil)
			}}
			log.Info("serving", "version", buildVersion())
			if err := handler.Serve(c.Context(), l, handler.New(f.triggers(), handler.Options{Log: log}), log); err != nil {
				return err
			}
			// The host restarts no handler that ends with 0, so not even an orderly end does.
			return fmt.Errorf("stopped by signal: %w", context.Canceled)
		},
	}
}

// functions joins the triggers of the host to the engines. The system is built by the first call that needs it, because
// the host must find the port open before anything slow, and reading the configuration may be slow. A configuration
// that cannot be read is an error of the call, and the next call tries again.
type functions struct {
	log  *slog.Logger
	open func(context.Context) (*system, error)

	mu    sync.Mutex
	built *system
}

func (f *functions) system(ctx context.Context) (*system, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.built != nil {
		return f.built, nil
	}
	s, err := f.open(ctx)
	if err != nil {
		// Whatever the class, the call is not done: Event Grid shall come back when somebody mended the settings.
		f.log.ErrorContext(ctx, "configuration", "error", err.Error())
		return nil, fmt.Errorf("%w: %v", secret.ErrUnready, err)
	}
	f.built = s
	return s, nil
}

func (f *functions) triggers() handler.Functions {
	return handler.Functions{
		Events: map[string]func(context.Context, handler.Event) (handler.Answer, error){
			"SecretNearExpiry": f.rotate,
			"SecretExpired":    f.rotate,
		},
		Timers: map[string]func(context.Context, handler.Timer) (handler.Answer, error){
			"SyncFromVault":  f.syncFromVault,
			"SweepRotations": f.sweepRotations,
		},
		HTTP: map[string]handler.Call{
			"ForceSync":    handler.Post(f.forceSync),
			"RotateSecret": handler.PostAt("rotate/{name}", f.rotateSecret),
		},
		Malformed: f.malformed,
	}
}

// rotate answers an event. Which of the two functions it came to does not matter: the secret's state decides.
func (f *functions) rotate(ctx context.Context, e handler.Event) (handler.Answer, error) {
	s, err := f.system(ctx)
	if err != nil {
		return handler.Answer{}, err
	}
	v, reason := s.vaultOf(e)
	if v == nil {
		return handler.Answer{Outcome: "not-ours", Detail: reason}, nil
	}
	cause := rotation.CauseNearExpiry
	if e.Kind == handler.Expired {
		cause = rotation.CauseExpired
	}
	done, err := v.rotation.Rotate(ctx, rotation.Request{Name: e.Name, Version: e.Version, Cause: cause})
	if err != nil {
		return handler.Answer{}, err
	}
	if done.Unannounced != nil {
		f.log.WarnContext(ctx, "alert not delivered", "error", done.Unannounced.Error())
	}
	if done.Verdict == rotation.Continuing {
		f.log.WarnContext(ctx, "rotation goes on later", "secret", done.Name, "reason", done.Reason, "text", done.Text)
	}
	return handler.Answer{Outcome: string(done.Verdict), Detail: string(done.Reason) + ": " + done.Text}, nil
}

// vaultOf is the Key Vault an event is about; nil and a reason when it is none of ours.
func (s *system) vaultOf(e handler.Event) (*keyVault, string) {
	var reason string
	for _, v := range s.vaults {
		if reason = e.NotOurs(vaultName(v.url)); reason == "" {
			return v, ""
		}
	}
	return nil, reason
}

// syncFromVault is the timer's run. While another run is at work there is nothing to do.
func (f *functions) syncFromVault(ctx context.Context, _ handler.Timer) (handler.Answer, error) {
	s, err := f.system(ctx)
	if err != nil {
		return handler.Answer{}, err
	}
	if len(s.config.Sync.Rules) == 0 {
		return handler.Answer{Outcome: "no-rules", Detail: "no sync rules are configured"}, nil
	}
	if err := s.drain(ctx); err != nil {
		f.log.WarnContext(ctx, "alerts not delivered", "error", err.Error())
	}
	vaults, err := s.choose("")
	if err != nil {
		return handler.Answer{}, err
	}
	var held atomic.Bool
	report, err := onEach(ctx, vaults, func(ctx context.Context, v *keyVault) (*vaultsync.Report, error) {
		report, err := v.sync.Sync(ctx, vaultsync.Scope{})
		if errors.Is(err, secret.ErrLeaseHeld) {
			held.Store(true)
			err = nil
		}
		return report, err
	})
	f.logReport(ctx, report)
	switch {
	case errors.Is(err, secret.ErrPaused):
		return handler.Answer{Outcome: "paused"}, nil
	case err != nil && !errors.Is(err, secret.ErrPartial):
		return handler.Answer{}, err
	case held.Load() && report.Total() == 0:
		return handler.Answer{Outcome: "lease-held", Detail: "another run is at work"}, nil
	}
	return handler.Answer{Outcome: outcome(report), Detail: counts(report)}, nil
}

// forced is the body of ForceSync.
type forced struct {
	vaultsync.Scope
	Destination string `json:"destination"` // only this Key Vault; empty: all
}

// forceSync runs a sync of a part or of everything and answers with the report.
func (f *functions) forceSync(ctx context.Context, q forced) (handler.Answer, error) {
	s, err := f.system(ctx)
	if err != nil {
		return handler.Answer{}, err
	}
	if q.AllowRemovals < 0 {
		return handler.Answer{}, fmt.Errorf("%w: allowRemovals is less than 0", secret.ErrInvalid)
	}
	vaults, err := s.choose(q.Destination)
	if err != nil {
		return handler.Answer{}, err
	}
	report, err := onEach(ctx, vaults, func(ctx context.Context, v *keyVault) (*vaultsync.Report, error) {
		return v.sync.Sync(ctx, q.Scope)
	})
	f.logReport(ctx, report)
	var held *state.HeldError
	switch {
	case errors.As(err, &held):
		later := unfinished{
			Outcome: "lease-held", Detail: "another run is at work; this one is kept and run next",
			Holder: held.Holder, Since: held.Since.UTC(),
		}
		for _, v := range vaults {
			if later.Progress = v.sync.Running(ctx); later.Progress.Total > 0 {
				break
			}
		}
		return later.answer(report), nil
	case report.Total() == 0 && err != nil && !errors.Is(err, secret.ErrPartial):
		return handler.Answer{}, err
	case err != nil && !errors.Is(err, secret.ErrPartial):
		return unfinished{Outcome: "incomplete", Detail: err.Error()}.answer(report), nil
	}
	return handler.Answer{Outcome: outcome(report), Detail: counts(report), Body: report}, nil
}

// unfinished is the answer of ForceSync while there is more to do than was done.
type unfinished struct {
	Outcome  string             `json:"outcome"`
	Detail   string             `json:"detail"`
	Holder   string             `json:"holder,omitempty"` // of the lease
	Since    time.Time          `json:"since,omitzero"`
	Progress vaultsync.Progress `json:"progress,omitzero"` // of the run at work, once it says
	Report   *vaultsync.Report  `json:"report,omitempty"`  // of what was done
}

func (u unfinished) answer(report *vaultsync.Report) handler.Answer {
	if report.Total() > 0 {
		u.Report = report
	}
	return handler.Answer{Pending: true, Outcome: u.Outcome, Detail: u.Detail, Body: u}
}

// malformed alerts about what came from Event Grid and could not be read.
func (f *functions) malformed(ctx context.Context, function, reason string) {
	s, err := f.system(ctx)
	if err != nil {
		return
	}
	a := alert.Alert{
		Type: alert.EventUndecodable, Subject: function, Time: time.Now(), Dedup: "malformed/" + function + "/" + reason + "/" + hour(time.Now()),
		Level: alert.Warning, Text: "an event could not be read: " + reason,
		Hint: "look at the Event Grid subscription: it should carry Key Vault secret events only",
	}
	if err := s.alerts.Send(ctx, a); err != nil {
		f.log.WarnContext(ctx, "alert not delivered", "error", err.Error())
	}
}

// hour makes alerts of the same kind one an hour: what goes on for longer is told again.
func hour(t time.Time) string { return t.UTC().Format("2006-01-02T15") }

// logReport leaves a line for every secret that needs somebody, and one for the run.
func (f *functions) logReport(ctx context.Context, r *vaultsync.Report) {
	for _, i := range r.Items {
		level := slog.LevelInfo
		switch i.Verb {
		case vaultsync.Conflict:
			level = slog.LevelWarn
		case vaultsync.Failed:
			level = slog.LevelError
		}
		f.log.Log(ctx, level, "secret", "verb", i.Verb, "name", i.Name, "source", i.Source, "reason", i.Reason, "text", i.Text)
	}
	if r.Total() > 0 {
		f.log.InfoContext(ctx, "sync", "complete", r.Complete, "counts", r.Counts, "took", r.Took, "config", r.Config)
	}
}

func outcome(r *vaultsync.Report) string {
	switch {
	case !r.Complete:
		return "incomplete"
	case r.Counts[vaultsync.Failed] > 0:
		return "partial"
	case r.Changes() == 0:
		return "unchanged"
	}
	return "synced"
}

// vaultName is the name of the Key Vault, as its events say it; "" for an emulator on this machine, whose address
// holds no name.
func vaultName(keyVaultURL string) string {
	u, err := url.Parse(keyVaultURL)
	if err != nil || config.Loopback(keyVaultURL) {
		return ""
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	return name
}
