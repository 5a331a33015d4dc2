package vault

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/secret"
)

func refusal(status int, texts ...string) reply {
	return reply{status: status, body: `{"errors":["` + strings.Join(texts, `","`) + `"]}`}
}

func retryAfterReply(status int, after string) reply {
	r := refusal(status, "slow down")
	r.header = http.Header{"Retry-After": {after}}
	return r
}

func TestCallsAreRepeatedOnlyWhenThatMayHelp(t *testing.T) {
	ok := reply{status: 200, body: plainSecret}
	reset := reply{err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}
	tests := []struct {
		name    string
		replies []reply
		calls   int
		atLeast time.Duration
		atMost  time.Duration
		want    error
	}{
		{"at once", []reply{ok}, 1, 0, 0, nil},
		{"reset, then fine", []reply{reset, ok}, 2, firstWait / 2, firstWait * 2, nil},
		{"reset for ever", []reply{reset}, maxRetries + 1, 15 * firstWait / 2, 30 * firstWait, secret.ErrUnavailable},
		{"500, then fine", []reply{refusal(500, "internal error"), ok}, 2, firstWait / 2, firstWait * 2, nil},
		{"503 overloaded", []reply{refusal(503, "too many requests in flight"), ok}, 2, firstWait / 2, firstWait * 2, nil},
		{"503 sealed", []reply{refusal(503, "Vault is sealed"), ok}, 1, 0, 0, secret.ErrUnavailable},
		{"501", []reply{refusal(501, "Vault is not initialized"), ok}, 1, 0, 0, secret.ErrUnavailable},
		{"412 not caught up", []reply{refusal(412, "required index state not present"), ok}, 2, firstWait / 2, firstWait * 2, nil},
		{"being upgraded", []reply{refusal(400, "Upgrading from non-versioned to versioned data. This backend will be unavailable"), ok}, 2, firstWait / 2, firstWait * 2, nil},
		{"400", []reply{refusal(400, "bad"), ok}, 1, 0, 0, secret.ErrInvalid},
		{"405", []reply{refusal(405, "unsupported operation"), ok}, 1, 0, 0, secret.ErrUnsupported},
		{"429 without a wish", []reply{refusal(429, "rate limit"), ok}, 2, firstWait / 2, firstWait * 2, nil},
		{"429 with seconds", []reply{retryAfterReply(429, "7"), ok}, 2, 7 * time.Second, 7 * time.Second, nil},
		{"429 with a date", []reply{retryAfterReply(429, "Sat, 01 Jan 2000 00:00:09 GMT"), ok}, 2, 9 * time.Second, 9 * time.Second, nil},
		{"429 with nonsense", []reply{retryAfterReply(429, "-3 or so"), ok}, 2, firstWait / 2, firstWait * 2, nil},
		{"429 with an hour", []reply{retryAfterReply(429, "3600"), ok}, 1, 0, 0, secret.ErrThrottled},
		{"429 for ever", []reply{refusal(429, "rate limit")}, maxRetries + 1, 15 * firstWait / 2, 30 * firstWait, secret.ErrThrottled},
		{"denied", []reply{refusal(403, "permission denied"), ok}, 1, 0, 0, secret.ErrForbidden},
		{"401 of a gateway", []reply{refusal(401, "who are you"), ok}, 1, 0, 0, secret.ErrUnauthorized},
		{"redirect", []reply{{status: 307, header: http.Header{"Location": {"https://elsewhere.test/"}}}, ok}, 1, 0, 0, secret.ErrUnavailable},
		{"204", []reply{{status: 204}, ok}, 1, 0, 0, secret.ErrPermanent},
		{"200 with a page", []reply{{status: 200, body: "<html>"}, ok}, 1, 0, 0, secret.ErrUnavailable},
		{"404 with a page", []reply{{status: 404, body: "<html>"}, ok}, 1, 0, 0, secret.ErrUnavailable},
		{"404 with other errors", []reply{refusal(404, "what"), ok}, 1, 0, 0, secret.ErrUnavailable},
		{"404 with nothing", []reply{{status: 404, body: "{}"}, ok}, 1, 0, 0, secret.ErrUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls []time.Time
				c := newClient(t, inTurn(&calls, test.replies...))
				start := time.Now()
				err := read(t.Context(), c)
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if errors.Is(err, secret.ErrNotFound) {
					t.Errorf("error %q claims that absence is proven", err)
				}
				if len(calls) != test.calls {
					t.Errorf("%d calls, want %d", len(calls), test.calls)
				}
				if took := time.Since(start); took < test.atLeast || took > test.atMost {
					t.Errorf("took %v, want %v to %v", took, test.atLeast, test.atMost)
				}
			})
		})
	}
}

func TestWaitsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []time.Time
		c := newClient(t, inTurn(&calls, retryAfterReply(429, "20")))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(secret.ErrLeaseLost) })
		start := time.Now()
		if err := read(ctx, c); !errors.Is(err, secret.ErrLeaseLost) {
			t.Errorf("error %v, want the cause of the context", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
	})
}

// hang never answers.
type hang struct{}

func (hang) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestACallWithoutAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, hang{}, func(o *Options) { o.Timeout = 5 * time.Second })
		start := time.Now()
		if err := read(t.Context(), c); !errors.Is(err, secret.ErrUnavailable) || !strings.Contains(err.Error(), "in time") {
			t.Errorf("error %v", err)
		}
		if took, most := time.Since(start), (maxRetries+1)*5*time.Second+30*firstWait; took > most {
			t.Errorf("took %v, want at most %v", took, most)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, hang{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := read(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline of the caller", err)
		}
	})
}

func TestErrorsQuoteNothingForeign(t *testing.T) {
	const planted = "planted-value-of-the-test"
	for _, r := range []reply{
		refusal(400, planted), refusal(403, planted), refusal(404, planted), refusal(500, planted), refusal(503, "sealed "+planted),
		{status: 200, body: `{"data":"` + planted + `"}`}, {status: 200, body: planted}, {status: 200, body: `{"data":{"a":"` + planted + `"}`},
		{status: 418, body: planted}, {status: 302, header: http.Header{"Location": {"https://" + planted}}},
		{err: errors.New(planted)},
	} {
		synctest.Test(t, func(t *testing.T) {
			var calls []time.Time
			c := newClient(t, inTurn(&calls, r))
			err := read(t.Context(), c)
			if err == nil {
				t.Fatalf("no error for %+v", r)
			}
			for _, bad := range []string{planted, testToken, "vault.test", "/v1/"} {
				if strings.Contains(err.Error(), bad) {
					t.Errorf("error %q holds %q", err, bad)
				}
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), planted) {
					t.Errorf("error wraps %q", e)
				}
			}
		})
	}
}

func TestAnswersAreLimited(t *testing.T) {
	big := `{"data":{"a":"` + strings.Repeat("x", maxSecret) + `"}}`
	synctest.Test(t, func(t *testing.T) {
		var calls []time.Time
		if err := read(t.Context(), newClient(t, inTurn(&calls, reply{status: 200, body: big}))); !errors.Is(err, secret.ErrTooLarge) {
			t.Errorf("a secret over the limit: %v", err)
		}
		calls = nil
		if err := read(t.Context(), newClient(t, inTurn(&calls, reply{status: 404, body: big}))); !errors.Is(err, secret.ErrTooLarge) {
			t.Errorf("a refusal over the limit: %v", err)
		}
		calls = nil
		value := strings.Repeat("<", 1<<20)
		escaped := `{"data":{"a":"` + strings.ReplaceAll(value, "<", `\u003c`) + `"}}`
		if err := read(t.Context(), newClient(t, inTurn(&calls, reply{status: 200, body: escaped}))); err != nil {
			t.Errorf("1 MiB of escaped text: %v", err)
		}
		calls = nil
		names := `{"data":{"keys":["n"` + strings.Repeat(`,"`+strings.Repeat("n", 80)+`"`, 100_000) + `]}}`
		got, err := newClient(t, inTurn(&calls, reply{status: 200, body: names})).List(t.Context(), plainMount, "")
		if err != nil || len(got) != 100_001 {
			t.Errorf("a listing of 100,001 names: %d, %v", len(got), err)
		}
	})
}
