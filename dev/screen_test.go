package dev

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/secret"
)

func TestAStepShowsWhatItSaw(t *testing.T) {
	long := "! " + strings.Repeat("é", 200)
	for _, c := range []struct {
		name string
		seen saw
		err  error
		want string
	}{
		{"good", saw{text: "9 created"}, nil, "1. first sync                           ok  9 created\n"},
		{"good, with items", saw{"1 created", []string{"o a  empty"}}, nil, "1. first sync                           ok  1 created\n   o a  empty\n"},
		{"failed", saw{text: "hoped for"}, errors.New("2 created, not 9"), "1. first sync                           FAILED  2 created, not 9\n"},
		{"failed, with an item in full", saw{items: []string{long}}, errors.New("x"), "1. first sync                           FAILED  x\n   " + long + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			screen{w: &out}.step(1, "first sync", c.seen, c.err)
			if out.String() != c.want {
				t.Errorf("got  %q\nwant %q", out.String(), c.want)
			}
		})
	}
}

func TestLongItemsAreCutBetweenCharacters(t *testing.T) {
	for n := range 200 {
		line := strings.Repeat("x", n%2) + strings.Repeat("é", n)
		got := cut(line)
		if !utf8.ValidString(got) || len(got) > 104 || len(line) <= 104 && got != line {
			t.Errorf("%q became %q", line, got)
		}
	}
}

func TestManyRefusalsFitOnTheScreen(t *testing.T) {
	var r report
	for range 500 {
		r.Items = append(r.Items, struct{ Verb, Name, Source, Reason, Text string }{Verb: "conflict", Source: "secret/a", Reason: "foreign"})
	}
	lines := r.refused()
	if len(lines) != 7 || lines[6] != "and 494 more; keyferry plan shows each" {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestEventsGoToTheFunctionsThatSubscribe(t *testing.T) {
	for kind, want := range map[keyvault.EventType]string{
		keyvault.SecretNearExpiry: "SecretNearExpiry", keyvault.SecretExpired: "SecretExpired", keyvault.SecretNewVersionCreated: "",
	} {
		if got := functionOf(keyvault.Event{Type: kind}); got != want {
			t.Errorf("%s goes to %q, not %q", kind, got, want)
		}
	}
}

func TestARealVaultNeedsATokenAndAnAddress(t *testing.T) {
	for name, o := range map[string]Options{
		"no token":   {Vault: "https://vault.example.com", LookupEnv: func(string) (string, bool) { return "", false }},
		"no address": {Vault: "vault", LookupEnv: func(string) (string, bool) { return "fake", true }},
	} {
		if err := Run(t.Context(), o); !errors.Is(err, secret.ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
