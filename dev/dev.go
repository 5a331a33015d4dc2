package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// Options says what to run and where to show it.
type Options struct {
	App       fs.FS     // host.json and the function.json folders
	Out       io.Writer // the screen
	Colour    bool
	Exit      bool   // end after the story
	Vault     string // a real Vault to read; empty: the emulated one
	Mount     string // KV mount to read there
	LookupEnv func(string) (string, bool)
	Binary    string // what to run as the custom handler; empty: this executable
}

// Run starts everything, tells the story and, unless Exit is set, stays up until ctx ends. The error wraps
// secret.ErrPermanent when a step of the story did not come out as it should.
func Run(ctx context.Context, o Options) error {
	if o.Vault != "" {
		if token, _ := o.LookupEnv("VAULT_TOKEN"); token == "" {
			return fmt.Errorf("%w: --vault needs the app setting VAULT_TOKEN", secret.ErrUsage)
		}
		if u, err := url.Parse(o.Vault); err != nil || u.Host == "" {
			return fmt.Errorf("%w: --vault is an address like https://vault.example.com:8200", secret.ErrUsage)
		}
	}
	s, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	screen := screen{w: o.Out, colour: o.Colour}
	s.welcome(screen)
	if err := s.tell(ctx, screen); err != nil {
		return err
	}
	if o.Exit {
		return nil
	}
	s.invite(screen)
	s.live(ctx, screen)
	return nil
}

// How often the stage does what Azure would do by itself.
const (
	syncEvery  = 30 * time.Second
	sweepEvery = 2 * time.Minute // as SweepRotations/function.json says
	eventEvery = 2 * time.Second
)

// live plays the clock of Azure: the two timers, and events for what comes near its expiry.
func (s *stage) live(ctx context.Context, out screen) {
	syncs, sweeps, events := time.NewTicker(syncEvery), time.NewTicker(sweepEvery), time.NewTicker(eventEvery)
	defer syncs.Stop()
	defer sweeps.Stop()
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-syncs.C:
			s.tick(ctx, out, "SyncFromVault")
		case <-sweeps.C:
			s.tick(ctx, out, "SweepRotations")
		case <-events.C:
			s.keyVault.Tick()
			for _, e := range s.takeEvents() {
				function := functionOf(e)
				if function == "" {
					continue
				}
				done := s.host.Deliver(ctx, function, e.EventGrid(spelling))
				out.happened(function, done.Logs, done.Err)
			}
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return
		}
	}
}

// tick lets a timer's time come.
func (s *stage) tick(ctx context.Context, out screen, function string) {
	done := s.host.Tick(ctx, function)
	out.happened(function, done.Logs, done.Err)
}
