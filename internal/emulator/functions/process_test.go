package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is its own stand-in for a handler: with this variable set it listens instead of testing.
const standIn = "EMULATOR_TEST_STAND_IN"

func TestMain(m *testing.M) {
	if mode := os.Getenv(standIn); mode != "" {
		handle(mode)
	}
	os.Exit(m.Run())
}

// handle is a handler whose every invocation is told by the id of the event what to do.
func handle(mode string) {
	switch mode {
	case "crash":
		fmt.Fprintln(os.Stderr, "cannot start: out of luck")
		os.Exit(3)
	case "mute":
		select {}
	}
	fmt.Println("args", strings.Join(os.Args[1:], " "), "root", os.Getenv("FUNCTIONS_APP_ROOT_PATH"), "same", os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT") == os.Getenv("FUNCTIONS_HTTPWORKER_PORT"))
	http.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var e struct {
			Data struct {
				Event struct{ ID string }
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&e)
		w.Header().Set("Content-Type", "application/json")
		switch do := e.Data.Event.ID; do {
		case "pid":
			fmt.Fprintf(w, `{"Logs":["pid %d"]}`, os.Getpid())
		case "exit0", "exit1", "exit200":
			var code int
			_, _ = fmt.Sscanf(do, "exit%d", &code)
			fmt.Fprintln(os.Stderr, "leaving")
			os.Exit(code)
		case "hang":
			fmt.Println("hanging")
			select {}
		case "empty":
			fmt.Println("answering nothing")
		case "null":
			_, _ = io.WriteString(w, "null")
		case "204":
			w.WriteHeader(http.StatusNoContent)
		}
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), nil))
	os.Exit(1)
}

// journal collects what a host logs and lets a test wait for a line.
type journal struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func (j *journal) log(stream, line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, stream+": "+line)
	close(j.more)
	j.more = make(chan struct{})
}

// wait returns when a line holds text for the nth time.
func (j *journal) wait(t *testing.T, text string, nth int) {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		j.mu.Lock()
		n, more, all := 0, j.more, slices.Clone(j.lines)
		j.mu.Unlock()
		for _, line := range all {
			if strings.Contains(line, text) {
				n++
			}
		}
		if n >= nth {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no line %q (%d times) in:\n%s", text, nth, strings.Join(all, "\n"))
		}
	}
}

func newChild(t *testing.T, mode string, hostFile ...string) (*Host, *journal) {
	t.Helper()
	j := &journal{more: make(chan struct{})}
	opts := Options{App: appFS(), Executable: os.Args[0], Dir: t.TempDir(), Env: []string{standIn + "=" + mode}, Log: j.log}
	for _, text := range hostFile {
		opts.App = appFS("host.json", text)
	}
	h, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h, j
}

func startChild(t *testing.T, hostFile ...string) (*Host, *journal) {
	t.Helper()
	h, j := newChild(t, "obey", hostFile...)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, j
}

func do(t *testing.T, h *Host, what string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return h.Deliver(ctx, "Near", []byte(`{"id":"`+what+`"}`))
}

func pid(t *testing.T, h *Host) string {
	t.Helper()
	r := do(t, h, "pid")
	if r.Err != nil || len(r.Logs) != 1 {
		t.Fatalf("result = %+v", r)
	}
	return r.Logs[0]
}

func shortTimeout(d string) string { return strings.Replace(hostJSON, "00:10:00", d, 1) }

func TestHandlerIsStartedWithItsContract(t *testing.T) {
	t.Parallel()
	h, j := startChild(t)
	first := pid(t, h)
	if second := pid(t, h); first != second {
		t.Errorf("%s, then %s", first, second)
	}
	j.wait(t, "stdout: args serve root /", 1)
	j.wait(t, "same true", 1)
	j.wait(t, "host: Executed 'Functions.Near' (Succeeded", 2)
	h.Stop()
	h.Stop()
	if r := do(t, h, "pid"); !errors.Is(r.Err, ErrNotRunning) {
		t.Errorf("after Stop: %v", r.Err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatalf("start again: %v", err)
	}
	if again := pid(t, h); again == first {
		t.Errorf("the same process after Stop: %s", again)
	}
}

func TestExitCodes(t *testing.T) {
	t.Run("1 is restarted and counted", func(t *testing.T) {
		h, j := startChild(t)
		if r := do(t, h, "exit1"); !errors.Is(r.Err, ErrFailed) {
			t.Errorf("the interrupted invocation: %v", r.Err)
		}
		j.wait(t, "host: handler failed (1 of 3): exit code 1", 1)
		j.wait(t, "stderr: leaving", 1)
		pid(t, h)
	})
	t.Run("200 is restarted and not counted", func(t *testing.T) {
		h, j := startChild(t)
		for n := range 4 {
			do(t, h, "exit200")
			j.wait(t, "asked for a restart", n+1)
			pid(t, h)
		}
	})
	t.Run("0 is not restarted", func(t *testing.T) {
		h, j := startChild(t)
		do(t, h, "exit0")
		j.wait(t, "exit code 0 and is not restarted", 1)
		if r := do(t, h, "pid"); !errors.Is(r.Err, ErrFailed) || !strings.Contains(r.Err.Error(), "refused") {
			t.Errorf("later invocation: %v", r.Err)
		}
		if err := h.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		pid(t, h)
	})
	t.Run("the third error stops the host", func(t *testing.T) {
		h, j := startChild(t)
		for n := range 3 {
			if n > 0 {
				pid(t, h)
			}
			h.Kill()
			j.wait(t, "exit code 137", n+1)
		}
		j.wait(t, "Shutting down Functions Host", 1)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/api/status", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("front end = %d", w.Code)
		}
	})
}

func TestHandlerThatCannotStart(t *testing.T) {
	t.Parallel()
	h, j := newChild(t, "crash")
	if err := h.Start(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("start: %v", err)
	}
	j.wait(t, "(3 of 3): initialize handler: exit code 3", 1)
	j.wait(t, "out of luck", 3)
}

func TestHandlerThatNeverListens(t *testing.T) {
	t.Parallel()
	h, j := newChild(t, "mute", strings.Replace(hostJSON, `"enableProxying`, `"initializationTimeout":"00:00:00.2","enableProxying`, 1))
	if err := h.Start(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("start: %v", err)
	}
	j.wait(t, "initializing HttpWorker timed out", 3)
}

func TestAnswerThatHangsKillsTheHandler(t *testing.T) {
	for _, what := range []string{"empty", "null", "204", "hang"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h, _ := startChild(t, shortTimeout("00:00:02"))
			before := pid(t, h)
			if r := do(t, h, what); !errors.Is(r.Err, ErrTimeout) {
				t.Fatalf("result: %v", r.Err)
			}
			if after := pid(t, h); after == before {
				t.Errorf("still the same process, %s", after)
			}
		})
	}
}

func TestTimeoutTakesEverythingInFlightAlong(t *testing.T) {
	t.Parallel()
	h, j := startChild(t, shortTimeout("00:00:03"))
	results := make(chan error)
	go func() { results <- do(t, h, "empty").Err }() // due first
	j.wait(t, "answering nothing", 1)
	time.AfterFunc(1500*time.Millisecond, func() { results <- do(t, h, "hang").Err })
	first, second := <-results, <-results
	if !errors.Is(errors.Join(first, second), ErrTimeout) || !errors.Is(errors.Join(first, second), ErrFailed) {
		t.Errorf("results: %v; %v", first, second)
	}
}

func TestKillInTheMiddleOfAnInvocation(t *testing.T) {
	t.Parallel()
	h, j := startChild(t)
	result := make(chan error)
	go func() { result <- do(t, h, "hang").Err }()
	j.wait(t, "stdout: hanging", 1)
	h.Kill()
	if err := <-result; !errors.Is(err, ErrFailed) {
		t.Errorf("result: %v", err)
	}
	j.wait(t, "exit code 137", 1)
	pid(t, h)
}

func TestCallerWhoLeavesDoesNotEndTheInvocation(t *testing.T) {
	t.Parallel()
	h, j := startChild(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- h.Deliver(ctx, "Near", []byte(`{"id":"hang"}`)).Err }()
	j.wait(t, "stdout: hanging", 1)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("result: %v", err)
	}
	h.Stop() // SIGKILL ends what the caller left behind
	j.wait(t, "Executed 'Functions.Near' (Failed", 1)
}

func TestAnswersAreJudged(t *testing.T) {
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		want                    string // in the error; "" = success
	}{
		{"object", "application/json", `{}`, 200, ""},
		{"charset", "application/json; charset=utf-8", `{"Logs":["a"]}`, 202, ""},
		{"lower-case names", "application/json", `{"logs":["a"],"unknown":1}`, 200, ""},
		{"no content type", "", `{}`, 200, "text/plain"},
		{"text", "text/plain", `{}`, 200, "text/plain"},
		{"problem type", "application/problem+json", `{}`, 200, "not JSON"},
		{"array", "application/json", `[]`, 200, "invalid HttpResponseMessage"},
		{"broken", "application/json", `{`, 200, "invalid HttpResponseMessage"},
		{"500", "application/json", `{"Logs":["lost"]}`, 500, "500"},
		{"404", "application/json", `{}`, 404, "404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := attach(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.contentType != "" {
					w.Header().Set("Content-Type", c.contentType)
				}
				w.WriteHeader(c.status)
				_, _ = io.Copy(w, bytes.NewReader([]byte(c.body)))
			}))
			r := h.Deliver(t.Context(), "Near", []byte(`{}`))
			switch {
			case c.want == "" && r.Err != nil:
				t.Errorf("failed: %v", r.Err)
			case c.want != "" && (!errors.Is(r.Err, ErrFailed) || !strings.Contains(r.Err.Error(), c.want)):
				t.Errorf("error %v, want %q in it", r.Err, c.want)
			case c.want != "" && len(r.Logs) > 0:
				t.Errorf("logs of a failed answer survived: %v", r.Logs)
			}
		})
	}
}

func TestProxyWaitsForAHandlerThatComesBack(t *testing.T) {
	t.Parallel()
	h, j := startChild(t)
	do(t, h, "exit1")
	j.wait(t, "exit code 1", 1)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/status", nil))
	if w.Code != http.StatusNotFound { // the stand-in's own answer to GET
		t.Errorf("status %d", w.Code)
	}
}

func TestLongAndUnfinishedLinesAreLogged(t *testing.T) {
	var got []int
	l := &lines{to: func(s string) { got = append(got, len(s)) }}
	for _, s := range []string{"a\nbc", "d\r\n", strings.Repeat("x", longestLine+10), "\ntail"} {
		_, _ = io.WriteString(l, s)
	}
	l.flush()
	if !slices.Equal(got, []int{1, 3, longestLine, 10, 4}) {
		t.Errorf("lines of %v bytes", got)
	}
}
