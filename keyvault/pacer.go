package keyvault

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/sethvargo/go-retry"
	"golang.org/x/time/rate"

	"github.com/keyferry/keyferry/secret"
)

// How often a call is repeated. The pauses double from firstPause, a fifth more or less; those after a 429 are the
// gate's.
const (
	faultRepeats    = 4
	throttleRepeats = 5
	firstPause      = 500 * time.Millisecond
)

// pacer is the policy that decides when a call starts and whether it is repeated. It stands in the pipeline, and not
// around the methods of the SDK, because a pager does not survive a failed page.
type pacer struct {
	creates *rate.Limiter
	others  *rate.Limiter // every call that makes no version
	gate    gate
}

// maxOthers is how many calls that make no version Key Vault takes in ten seconds (facts/keyvault.md 2).
const maxOthers = 4000

func newPacer(creates int) *pacer {
	if creates == 0 {
		creates = defaultCreates
	}
	return &pacer{creates: spread(creates), others: spread(maxOthers)}
}

// spread lets n calls start in ten seconds: a small burst, and the rest evenly, so that no window of ten seconds holds
// more than n. What may burst is lost to the rate, so a large burst would leave much of the limit unused.
func spread(n int) *rate.Limiter {
	burst := max(1, n/60)
	return rate.NewLimiter(rate.Limit(float64(n-burst)/10), burst)
}

// Do implements policy.Policy.
func (p *pacer) Do(req *policy.Request) (*http.Response, error) {
	var (
		ctx       = req.Raw().Context()
		method    = req.Raw().Method
		resp      *http.Response
		throttled bool
		throttles int
		fault     = pauses(faultRepeats)
		met       = "nothing" // what the last try met, for a context that ends before the next
	)
	pause := retry.BackoffFunc(func() (time.Duration, bool) {
		if throttled {
			throttles++
			return 0, throttles > throttleRepeats
		}
		return fault.Next()
	})
	err := retry.Do(ctx, pause, func(ctx context.Context) error {
		if err := p.admit(ctx, method); err != nil {
			return err
		}
		if err := req.RewindBody(); err != nil {
			return err
		}
		began, err := time.Now(), error(nil)
		if resp, err = req.Clone(ctx).Next(); err != nil {
			if ctx.Err() != nil {
				return &failure{kind: context.Cause(ctx), why: "waiting for the answer"}
			}
			throttled = false
			f := explain(err)
			if met = f.why; repeatFailure(method, f) {
				return retry.RetryableError(err)
			}
			return err
		}
		if throttled = resp.StatusCode == http.StatusTooManyRequests; throttled {
			p.gate.shut(began, time.Now(), retryAfter(resp.Header, time.Now()))
		}
		if met = strconv.Itoa(resp.StatusCode); repeatStatus(method, resp.StatusCode) {
			return retry.RetryableError(errAnswered)
		}
		return nil
	})
	var f *failure
	switch {
	case err == nil, errors.Is(err, errAnswered):
		return resp, nil
	case errors.As(err, &f):
		return nil, err
	case ctx.Err() != nil:
		return nil, &failure{kind: context.Cause(ctx), why: "before the next try, after " + met, known: true}
	}
	return nil, err
}

// errAnswered stands for an answer that asks for another try: when there is none left, the answer is the result.
var errAnswered = errors.New("answered")

// admit waits until a call of this method may start.
func (p *pacer) admit(ctx context.Context, method string) error {
	budget := p.others
	if method == http.MethodPut {
		budget = p.creates
	}
	if err := budget.Wait(ctx); err != nil {
		return held(ctx, "the budget of calls is spent for longer than there is time")
	}
	return p.gate.wait(ctx)
}

// held is the failure of a call that was never made.
func held(ctx context.Context, why string) error {
	if ctx.Err() != nil {
		return &failure{kind: context.Cause(ctx), why: "before the call", known: true}
	}
	return &failure{kind: secret.ErrThrottled, why: why, known: true}
}

// repeatStatus reports whether an answer is worth another try. A PUT makes a new version each time, so it is repeated
// here only when it surely did nothing; all else sends absolute values.
func repeatStatus(method string, status int) bool {
	if status == http.StatusTooManyRequests {
		return true
	}
	return method != http.MethodPut && answerLost(status)
}

// repeatFailure is repeatStatus for a call without an answer.
func repeatFailure(method string, f *failure) bool {
	return errors.Is(f, secret.ErrUnavailable) && (f.known || method != http.MethodPut)
}

// pauses is the back-off after a fault: n pauses that double.
func pauses(n uint64) retry.Backoff {
	return retry.WithMaxRetries(n, retry.WithJitterPercent(20, retry.NewExponential(firstPause)))
}

// retryAfter reads the header of RFC 9110 section 10.2.3, seconds or a date. 0: none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(min(n, int(maxHold/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
