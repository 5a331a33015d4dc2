package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keyferry/keyferry/alert"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/rotators"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// rotationRuns is how many events are answered: an odd number has a median, and few enough that none of them waits for
// the write budget of the vault.
const rotationRuns = 9

// rotationCalls is what an event's rotation of a PostgreSQL password asks of Key Vault, at its worst.
func rotationCalls() figure {
	return figure{
		name: "rotate_kv_calls", unit: "calls", aim: "<= 6",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			r, err := l.rotated(ctx)
			if err != nil {
				return 0, "", err
			}
			return float64(slices.Max(r.calls)), fmt.Sprintf("most of %d events, %d to PostgreSQL; a new process adds one, for the challenge", rotationRuns, slices.Max(r.logins)), nil
		},
	}
}

// rotationOverhead is what such a rotation takes beside its external calls.
func rotationOverhead() figure {
	return figure{
		name: "rotate_overhead_ms", unit: "ms", aim: "< 30",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			r, err := l.rotated(ctx)
			if err != nil {
				return 0, "", err
			}
			slices.Sort(r.overhead)
			slices.Sort(r.wall)
			return ms(r.overhead[rotationRuns/2]), fmt.Sprintf("median of %d events, %.1f to %.1f, of %.0f ms in all",
				rotationRuns, ms(r.overhead[0]), ms(r.overhead[rotationRuns-1]), ms(r.wall[rotationRuns/2])), nil
		},
	}
}

// rotations is what was seen of each event.
type rotations struct {
	calls, logins  []int
	wall, overhead []time.Duration
}

// rotated answers the events, once: passwords of the own account, no write-back, the real PostgreSQL, Key Vault emulated
// and at a distance.
func (l *lab) rotated(ctx context.Context) (*rotations, error) {
	if l.rotations != nil {
		return l.rotations, nil
	}
	server, err := url.Parse(os.Getenv("KEYFERRY_TEST_POSTGRES"))
	if err != nil || server.Host == "" {
		return nil, errors.New("no PostgreSQL: KEYFERRY_TEST_POSTGRES is not set to its address")
	}
	watch := &stopwatch{}
	vault := emulator.New(emulator.Options{})
	engine, err := passwords(ctx, server, watch, vault)
	if err != nil {
		return nil, err
	}
	r := &rotations{}
	for i := range rotationRuns {
		if err := r.measure(ctx, engine, server, watch, vault, fmt.Sprintf("bench-%d-%s", i, strings.ToLower(rand.Text()))); err != nil {
			return nil, err
		}
	}
	l.rotations = r
	return r, nil
}

// measure makes an account whose password is due, and answers the event.
func (r *rotations) measure(ctx context.Context, engine *rotation.Engine, server *url.URL, watch *stopwatch, vault *emulator.Vault, name string) error {
	password := rand.Text()
	if err := administer(ctx, server, fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD '%s'", name, password)); err != nil {
		return err
	}
	defer func() { _ = administer(context.WithoutCancel(ctx), server, fmt.Sprintf("DROP ROLE %q", name)) }()
	value := (&url.URL{Scheme: "postgres", User: url.UserPassword(name, password), Host: server.Host, Path: server.Path}).String()
	if err := vault.Seed(emulator.Secret{Name: name, Versions: []emulator.Version{{
		Value: value, ContentType: "text/plain", Created: time.Now().Add(-70 * 24 * time.Hour), Expires: time.Now().Add(20 * 24 * time.Hour),
		Tags: map[string]string{secret.TagRotationType: "database-password"},
	}}}); err != nil {
		return err
	}
	seeded, _ := vault.Secret(name)
	watch.reset()
	begin := time.Now()
	done, err := engine.Rotate(ctx, rotation.Request{Name: name, Version: seeded.Current, Cause: rotation.CauseNearExpiry})
	wall := time.Since(begin)
	if err != nil {
		return err
	}
	if done.Verdict != rotation.Rotated {
		return fmt.Errorf("rotate: %s: %s", done.Verdict, done.Text)
	}
	outside, requests, dials := watch.read()
	r.calls, r.logins = append(r.calls, requests), append(r.logins, dials)
	r.wall, r.overhead = append(r.wall, wall), append(r.overhead, wall-outside)
	return nil
}

// passwords is an engine for passwords of PostgreSQL whose way to the outside is watched. Its client of Key Vault has
// had its challenge.
func passwords(ctx context.Context, server *url.URL, watch *stopwatch, vault *emulator.Vault) (*rotation.Engine, error) {
	keys, err := newClient(watch.transport(distant{faults.Transport(vault), keyVaultDelay}))
	if err != nil {
		return nil, err
	}
	if _, err := keys.Versions(ctx, "nothing-there"); err != nil {
		return nil, fmt.Errorf("open the emulated Key Vault: %w", err)
	}
	port, err := strconv.Atoi(server.Port())
	if err != nil {
		return nil, errors.New("the address of PostgreSQL has no port")
	}
	records := state.NewMemory(time.Now)
	return rotation.New(rotation.Options{
		Secrets: keys, Records: records, Alerts: nobody{}, Kinds: rotators.All(),
		Lock: func(ctx context.Context, name string, fn func(context.Context) error) error {
			return state.Hold(ctx, records, name, "bench", fn)
		},
		Settings: rotation.Settings{Targets: []rotation.Target{{
			Name: "database", Type: "database-password", Secrets: []string{"bench-*"}, Format: "url", Outage: true,
			Params: map[string]any{"engine": "postgres", "host": server.Hostname(), "port": port, "database": strings.Trim(server.Path, "/"), "tls": "off"},
		}}},
		Deps: rotation.Deps{Dial: watch.dial((&net.Dialer{}).DialContext), Now: time.Now},
	})
}

// administer runs a statement as the administrator.
func administer(ctx context.Context, server *url.URL, statement string) error {
	conn, err := pgconn.Connect(ctx, server.String())
	if err != nil {
		return errors.New("log in to PostgreSQL as its administrator") // the driver's words hold the address
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement).ReadAll(); err != nil {
		return errors.New("make or drop an account of PostgreSQL")
	}
	return nil
}

// nobody takes every alert.
type nobody struct{}

// Send implements alert.Sink.
func (nobody) Send(context.Context, alert.Alert) error { return nil }

// newClient speaks to the emulated Key Vault over that road.
func newClient(road http.RoundTripper) (*keyvault.Client, error) {
	return keyvault.New(keyvault.Options{URL: "https://kv1.vault.azure.net", Credential: token{}, Transport: road})
}

// keyVaultDelay is how far away the rotation's Key Vault is.
const keyVaultDelay = 20 * time.Millisecond

// distant is a server that is some time away.
type distant struct {
	http.RoundTripper
	delay time.Duration
}

func (d distant) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.delay):
		return d.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
