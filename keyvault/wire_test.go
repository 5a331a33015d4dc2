package keyvault_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/keyvault"
	"github.com/keyferry/keyferry/secret"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What a server, or someone in its place, may send that is not Key Vault's.
func TestHostileAnswers(t *testing.T) {
	const id = `"id":"https://kv1.vault.azure.net/secrets/`
	const ok = `"attributes":{"enabled":true}`
	for _, c := range []struct {
		what string
		body string
	}{
		{"not JSON", `<html>`},
		{"no id", `{"value":"v",` + ok + `}`},
		{"an id too short for the SDK's parser", `{"value":"v","id":"https://h/secrets",` + ok + `}`},
		{"an id that is no URL", `{"value":"v","id":"%zz",` + ok + `}`},
		{"the id of a key", `{"value":"v","id":"https://h/keys/a/1",` + ok + `}`},
		{"another secret", `{"value":"v",` + id + `b/1",` + ok + `}`},
		{"no version", `{"value":"v",` + id + `a",` + ok + `}`},
		{"a version that is none", `{"value":"v",` + id + `a/..",` + ok + `}`},
		{"no attributes", `{"value":"v",` + id + `a/1"}`},
		{"wrong types", `{"value":7,` + id + `a/1",` + ok + `}`},
		{"nothing", ``},
		{"null", `null`},
		{"more than a page can hold", `{"value":"` + strings.Repeat("x", 5<<20) + `",` + id + `a/1",` + ok + `}`},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _, road := rig(t, emulator.Options{})
				road.meet(func(*http.Request) faults.Fault { return reply(c.body) })
				if _, _, err := client.Get(t.Context(), "a"); !errors.Is(err, secret.ErrUnavailable) {
					t.Errorf("get: %v, want unavailable", err)
				}
				if _, err := client.Set(t.Context(), "a", draft("v")); !errors.Is(err, secret.ErrAmbiguous) {
					t.Errorf("set: %v, want ambiguous", err)
				}
			})
		})
	}
	t.Run("no value", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, _, road := rig(t, emulator.Options{})
			road.meet(func(*http.Request) faults.Fault { return reply(`{` + id + `a/1",` + ok + `}`) })
			if _, _, err := client.Get(t.Context(), "a"); !errors.Is(err, secret.ErrUnavailable) {
				t.Errorf("get: %v, want unavailable", err)
			}
		})
	})
	for _, c := range []struct {
		what string
		body string
	}{
		{"an item that is null", `{"value":[null]}`},
		{"an item without attributes", `{"value":[{` + id + `a"}]}`},
		{"an item with a bad id", `{"value":[{"id":"https://h/secrets",` + ok + `}]}`},
	} {
		t.Run("a listing with "+c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _, road := rig(t, emulator.Options{})
				road.meet(func(*http.Request) faults.Fault { return reply(c.body) })
				if got, err := names(t.Context(), client); len(got) != 0 || !errors.Is(err, secret.ErrUnavailable) {
					t.Errorf("%q, %v; want an error", got, err)
				}
				if got, err := client.Versions(t.Context(), "a"); len(got) != 0 || !errors.Is(err, secret.ErrUnavailable) {
					t.Errorf("%v, %v; want an error", got, err)
				}
			})
		})
	}
}

func TestAListingThatLinksToItselfEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _, road := rig(t, emulator.Options{})
		road.meet(func(*http.Request) faults.Fault {
			return reply(`{"value":[],"nextLink":"` + vaultURL + `/secrets?$skiptoken=x"}`)
		})
		if _, err := names(t.Context(), client); !errors.Is(err, secret.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
		if _, err := client.Versions(t.Context(), "a"); !errors.Is(err, secret.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
	})
}

func TestTheTokenGoesToOneHost(t *testing.T) {
	for what, link := range map[string]string{
		"another host": "https://example.invalid/secrets",
		"plain http":   "http://kv1.vault.azure.net/secrets",
		"another port": "https://kv1.vault.azure.net:8443/secrets",
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _, road := rig(t, emulator.Options{})
				road.meet(func(r *http.Request) faults.Fault {
					if r.Host != "kv1.vault.azure.net" || r.TLS == nil {
						t.Errorf("a request with a token went to %s", r.Host)
					}
					return reply(`{"value":[],"nextLink":"` + link + `"}`)
				})
				if _, err := names(t.Context(), client); err == nil || errors.Is(err, secret.ErrUnavailable) {
					t.Errorf("got %v, want a refusal to follow the link", err)
				}
			})
		})
	}
}

func TestBadChallengesAreRefusals(t *testing.T) {
	for _, challenge := range []string{
		"", "Bearer", `Bearer authorization="x", resource="https://vault.azure.net"`, `Bearer authorization=x/y/z`,
		`Bearer authorization="https://login.example.invalid/t", resource="https://example.invalid"`,
		`Bearer authorization="https://login.example.invalid/t"`,
		`Bearer authorization="https://l/t" authorization=x resource="https://vault.azure.net"`,
		`Bearer realm="", error="insufficient_claims", claims="!"`,
	} {
		t.Run(challenge, func(t *testing.T) {
			client, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: token("made-up"),
				Transport: faults.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Authorization") != "" {
						t.Error("a token was sent")
					}
					w.Header().Set("WWW-Authenticate", challenge)
					w.WriteHeader(http.StatusUnauthorized)
				}))})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := client.Get(t.Context(), "a"); !errors.Is(err, secret.ErrUnauthorized) {
				t.Errorf("got %v, want unauthorized", err)
			}
		})
	}
}

// A call that never had a connection did nothing, so there is no doubt about a write.
func TestAnUnreachableVaultIsNotAmbiguous(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		text string
	}{
		"refused":  {&net.OpError{Op: "dial", Err: errors.New("10.0.0.1:443")}, "the connection failed"},
		"no name":  {&net.DNSError{Err: "no such host", Name: "kv1.vault.azure.net"}, "the host name is not known"},
		"no route": {context.DeadlineExceeded, "no answer in time"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				vault, puts := emulator.New(emulator.Options{}), 0
				client, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: token("made-up"),
					Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						if r.Header.Get("Authorization") == "" {
							return faults.Transport(vault).RoundTrip(r)
						}
						puts++
						httptrace.ContextClientTrace(r.Context()).GetConn("kv1.vault.azure.net:443")
						return nil, c.err
					})})
				if err != nil {
					t.Fatal(err)
				}
				_, err = client.Set(t.Context(), "a", draft("v"))
				if !errors.Is(err, secret.ErrUnavailable) || errors.Is(err, secret.ErrAmbiguous) || puts != 5 {
					t.Errorf("%v after %d PUTs, want unavailable after 5", err, puts)
				}
				if !strings.Contains(err.Error(), c.text) {
					t.Errorf("%v does not say %q", err, c.text)
				}
				if versions(vault, "a") != 0 {
					t.Error("there is a version")
				}
			})
		})
	}
}

// The first call of a Client goes out without token and without body, only to be challenged.
func TestALostChallengeIsNotAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := keyvault.New(keyvault.Options{URL: vaultURL, Credential: token("made-up"),
			Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Set(t.Context(), "a", draft("v"))
		if !errors.Is(err, secret.ErrUnavailable) || errors.Is(err, secret.ErrAmbiguous) {
			t.Errorf("got %v, want unavailable and no doubt", err)
		}
	})
}

func TestOverTLSOnLoopback(t *testing.T) {
	server := httptest.NewTLSServer(emulator.New(emulator.Options{}))
	defer server.Close()
	client, err := keyvault.New(keyvault.Options{URL: server.URL, Credential: token("made-up"),
		Transport: server.Client().Transport, DisableChallengeCheck: true, AttemptTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	together(t, 8, 30, set(client)) // the first eight of them without a token
	if got, err := names(t.Context(), client); err != nil || len(got) != 30 {
		t.Errorf("%d secrets, %v; want 30", len(got), err)
	}
}
