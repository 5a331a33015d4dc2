package keyvault

import (
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	clk := newClock()
	v := New(Options{Now: clk.Now, CreateLimit: 2, TransactionLimit: 3, RetryAfter: true})
	count := func(method, path, body string, n int) (passed int, last answer) {
		for range n {
			last = send(t, v, method, path, body)
			if last.status == 200 {
				passed++
			}
		}
		return passed, last
	}
	clk.advance(4 * time.Second)
	if n, last := count("PUT", "/secrets/a", `{"value":"v"}`, 4); n != 2 || last.failed() != "Too Many Requests Throttled" {
		t.Errorf("%d creates, then %s", n, last.failed())
	}
	clk.advance(2500 * time.Millisecond)
	n, last := count("GET", "/secrets", "", 5)
	if n != 3 {
		t.Errorf("%d transactions beside the creates", n)
	}
	if ra := last.header.Get("Retry-After"); ra != "10" {
		t.Errorf("Retry-After %q", ra)
	}
	if _, last := count("PUT", "/secrets/a", `{"value":"v"}`, 1); last.header.Get("Retry-After") != "8" {
		t.Errorf("Retry-After %q after 2.5 s of the window", last.header.Get("Retry-After"))
	}
	clk.advance(7500 * time.Millisecond)
	if n, _ := count("PUT", "/secrets/a", `{"value":"v"}`, 3); n != 2 {
		t.Errorf("%d creates in the next window", n)
	}
}

func TestThrottleWithoutRetryAfter(t *testing.T) {
	v := New(Options{Now: newClock().Now, TransactionLimit: 1})
	send(t, v, "GET", "/secrets", "")
	got := send(t, v, "GET", "/secrets", "")
	if got.status != 429 || got.header.Get("Retry-After") != "" {
		t.Errorf("%d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if n := v.Calls()[OpList]; n != 2 {
		t.Errorf("counted %d calls", n)
	}
}
