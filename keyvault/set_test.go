package keyvault_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
	"github.com/keyferry/keyferry/secret"
)

// What one Set makes of trouble with its PUTs, and how many versions there are afterwards.
func TestSetMakesOneVersion(t *testing.T) {
	for _, c := range []struct {
		what     string
		faults   []faults.Fault
		err      error
		versions int
		puts     int
	}{
		{"no trouble", nil, nil, 1, 1},
		{"the answer is lost after the commit", []faults.Fault{faults.ResetAfter()}, nil, 1, 1},
		{"503 after the commit", []faults.Fault{commitThen(503)}, nil, 1, 1},
		{"an answer that breaks off", []faults.Fault{faults.Truncate(0)}, nil, 1, 1},
		{"a status that says nothing", []faults.Fault{commitThen(202)}, nil, 1, 1},
		{"reset before the commit", []faults.Fault{faults.ResetBefore()}, nil, 1, 2},
		{"500 twice", times(2, status(500)), nil, 1, 3},
		{"500 and then a lost answer", []faults.Fault{status(500), status(500), faults.ResetAfter()}, nil, 1, 3},
		{"500 for good", times(9, status(500)), secret.ErrUnavailable, 0, 3},
		{"429 twice", times(2, answer(emulator.Throttled(0))), nil, 1, 3},
		{"429 with Retry-After", []faults.Fault{answer(emulator.Throttled(9 * time.Second))}, nil, 1, 2},
		{"429 for good", times(9, answer(emulator.Throttled(0))), secret.ErrThrottled, 0, 6},
		{"no permission", []faults.Fault{answer(emulator.ForbiddenByRBAC("setSecret"))}, secret.ErrForbidden, 0, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, vault, road := rig(t, emulator.Options{})
				puts := 0
				inner := queue(http.MethodPut, c.faults...)
				road.meet(func(r *http.Request) faults.Fault {
					if r.Method == http.MethodPut {
						puts++
					}
					return inner(r)
				})
				m, err := client.Set(t.Context(), "a", draft("v1"))
				if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Fatalf("got %v, want %v", err, c.err)
				}
				if got := versions(vault, "a"); got != c.versions || puts != c.puts {
					t.Errorf("%d versions after %d PUTs, want %d after %d", got, puts, c.versions, c.puts)
				}
				if s, _ := vault.Secret("a"); err == nil && m.Version != s.Current {
					t.Errorf("version %q, want the current one, %q", m.Version, s.Current)
				}
			})
		})
	}
}

// After a lost answer only a version with everything of the draft counts as written.
func TestSetReadsBackTheWholeDraft(t *testing.T) {
	for what, change := range map[string]func(*secret.Draft){
		"value":        func(d *secret.Draft) { d.Value = secret.New("old") },
		"tags":         func(d *secret.Draft) { d.Tags = map[string]string{"path": "elsewhere"} },
		"content type": func(d *secret.Draft) { d.ContentType = "application/json" },
		"expiry":       func(d *secret.Draft) { d.Expires = d.Expires.Add(time.Hour) },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, vault, road := rig(t, emulator.Options{})
				before := draft("v1")
				change(&before)
				if _, err := client.Set(t.Context(), "a", before); err != nil {
					t.Fatal(err)
				}
				road.meet(queue(http.MethodPut, faults.ResetBefore()))
				if _, err := client.Set(t.Context(), "a", draft("v1")); err != nil {
					t.Fatal(err)
				}
				if got := versions(vault, "a"); got != 2 {
					t.Errorf("%d versions, want 2: what was there is not what was to be written", got)
				}
			})
		})
	}
}

func TestSetOnADisabledSecretSurvivesALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, vault, road := rig(t, emulator.Options{})
		off := false
		if _, err := client.Set(t.Context(), "a", draft("v1")); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Update(t.Context(), "a", secret.Patch{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		road.meet(queue(http.MethodPut, faults.ResetBefore()))
		if _, err := client.Set(t.Context(), "a", draft("v2")); err != nil {
			t.Fatal(err)
		}
		if got := versions(vault, "a"); got != 2 {
			t.Errorf("%d versions, want 2", got)
		}
	})
}

func TestSetIsAmbiguousOnlyWhenNothingCanBeKnown(t *testing.T) {
	const fail = 20 * time.Second
	dead := func(r *http.Request) faults.Fault { return faults.ResetAfter() }
	for _, c := range []struct {
		what    string
		trouble func(*http.Request) faults.Fault
		before  func(cancel func())
		err     []error
		not     error
	}{
		{"the answer is lost and so is that of the reading", dead, nil, []error{secret.ErrAmbiguous}, secret.ErrUnavailable},
		{"reading is not allowed", func(r *http.Request) faults.Fault {
			if r.Method == http.MethodPut {
				return faults.ResetAfter()
			}
			return answer(emulator.AccessDenied("get"))
		}, nil, []error{secret.ErrAmbiguous}, secret.ErrForbidden},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _, road := rig(t, emulator.Options{})
				road.meet(c.trouble)
				_, err := client.Set(t.Context(), "a", draft("v1"))
				for _, want := range c.err {
					if !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
				}
				if errors.Is(err, c.not) {
					t.Errorf("%v tells of the reading, not of the write", err)
				}
			})
		})
	}
	t.Run("the context ends while the answer is awaited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, _, road := rig(t, emulator.Options{})
			ctx, cancel := context.WithCancelCause(t.Context())
			road.meet(every(http.MethodPut, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
				cancel(secret.ErrLeaseLost)
				<-r.Context().Done()
			}))
			_, err := client.Set(ctx, "a", draft("v1"))
			if !errors.Is(err, secret.ErrAmbiguous) || !errors.Is(err, secret.ErrLeaseLost) {
				t.Errorf("got %v, want ambiguous and the cause", err)
			}
		})
	})
	t.Run("the context ends before the call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, vault, road := rig(t, emulator.Options{})
			road.meet(every(http.MethodPut, answer(emulator.Throttled(0))))
			ctx, cancel := context.WithTimeout(t.Context(), fail)
			defer cancel()
			_, err := client.Set(ctx, "a", draft("v1"))
			if errors.Is(err, secret.ErrAmbiguous) || !errors.Is(err, secret.ErrThrottled) || versions(vault, "a") != 0 {
				t.Errorf("got %v, want throttled and no doubt", err)
			}
		})
	})
}

func TestSetWaitsForABusyName(t *testing.T) {
	t.Run("recovery ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, vault, road := rig(t, emulator.Options{})
			busy := emulator.Fault{Status: 409, Code: "Conflict", Inner: "ObjectIsBeingRecovered"}
			road.meet(queue(http.MethodPut, times(5, answer(busy))...))
			began := time.Now()
			if _, err := client.Set(t.Context(), "a", draft("v1")); err != nil {
				t.Fatal(err)
			}
			if versions(vault, "a") != 1 || time.Since(began) != 10*time.Second {
				t.Errorf("%d versions after %v, want 1 after 10s", versions(vault, "a"), time.Since(began))
			}
		})
	})
	t.Run("deletion ends in a deleted secret", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, _, _ := rig(t, emulator.Options{DeleteDelay: 10 * time.Second})
			if _, err := client.Set(t.Context(), "a", draft("v1")); err != nil {
				t.Fatal(err)
			}
			if err := client.Delete(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Set(t.Context(), "a", draft("v2")); !errors.Is(err, secret.ErrDeleted) {
				t.Errorf("got %v, want deleted", err)
			}
		})
	})
	t.Run("for half a minute", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, _, _ := rig(t, emulator.Options{DeleteDelay: time.Hour})
			if _, err := client.Set(t.Context(), "a", draft("v1")); err != nil {
				t.Fatal(err)
			}
			if err := client.Delete(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err := client.Set(t.Context(), "a", draft("v2"))
			if took := time.Since(began); !errors.Is(err, secret.ErrBusy) || took > 31*time.Second {
				t.Errorf("got %v after %v, want busy after half a minute", err, took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err = client.Set(ctx, "a", draft("v2"))
			if !errors.Is(err, secret.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline and what it was lost on", err)
			}
		})
	})
}
