package functions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// What callers branch on. Every one reaches the caller of Start, Deliver and Tick wrapped.
var (
	ErrNotRunning      = errors.New("the host is not running")
	ErrUnknownFunction = errors.New("no such function, or it is disabled")
	ErrTimeout         = errors.New("functionTimeout exceeded; the handler was killed")
	ErrFailed          = errors.New("the handler failed the invocation")
)

// Streams that Options.Log names. StreamHost carries the host's own lines and the Logs of an answer.
const (
	StreamStdout = "stdout"
	StreamStderr = "stderr"
	StreamHost   = "host"
)

// Options says which app the host runs and how. App is required, and one of Executable, Dir or URL must lead to a handler.
type Options struct {
	App fs.FS // holds host.json and <Function>/function.json at its root

	// Executable is the handler's file. Empty: host.json's defaultExecutablePath inside Dir, or else looked up in PATH.
	Executable string
	// Dir is the app root on disk: the child's working directory and FUNCTIONS_APP_ROOT_PATH. Empty: the current one.
	Dir string
	// Env is the child's environment, and at the same time the app settings; nil: that of this process. The host's own
	// FUNCTIONS_* variables are added to it.
	Env []string
	// URL is the base of a handler that listens already. Then no process is started, and killing it means that
	// everything in flight is cut off.
	URL string
	// Transport carries the requests to URL, so that host and handler can share a process without sockets between them.
	// nil: one of the host's own.
	Transport http.RoundTripper

	Keys Keys
	Now  func() time.Time // nil: time.Now

	// Log receives each line the child writes, and the host's own. Calls do not overlap. nil: dropped.
	Log func(stream, line string)
}

// Keys are the access keys of the app. An empty key is not asked for, as with Core Tools on a developer's machine.
type Keys struct {
	Function string // of functions with authLevel function; x-functions-key or ?code=
	System   string // of /runtime/webhooks/eventgrid
	Master   string // of /admin and authLevel admin; opens everything else too
}

// Host is one Functions host with one handler process. It is safe for concurrent use.
type Host struct {
	opts   Options
	app    *app
	env    []string
	client *http.Client
	timers timers

	logging sync.Mutex

	mu      sync.Mutex
	state   state
	worker  *worker
	changed chan struct{} // closed and replaced at every change of state
	cancel  context.CancelFunc
	running context.Context // ends at Stop
	work    sync.WaitGroup  // supervisor and invocations
}

type state int

const (
	stopped  state = iota
	starting       // invocations wait
	ready
	failed // third error of the handler: the platform would have to start the host anew
)

// New reads and validates the app; every fault of host.json and of the function.json files is in the error.
func New(opts Options) (*Host, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = func(string, string) {}
	}
	h := &Host{opts: opts, env: opts.Env, changed: make(chan struct{}), client: &http.Client{Transport: opts.Transport}}
	if opts.Transport == nil {
		h.client.Transport = &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	}
	if h.env == nil {
		h.env = os.Environ()
	}
	var err error
	if h.app, err = readApp(opts.App, h.setting); err != nil {
		return nil, err
	}
	return h, nil
}

// Functions lists the enabled functions of the app by name.
func (h *Host) Functions() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(h.app.functions)), func(name string) bool { return h.app.functions[name].disabled })
}

// setting looks an app setting up; the last of two wins, as in exec.Cmd.
func (h *Host) setting(name string) (string, bool) {
	for _, pair := range slices.Backward(h.env) {
		if k, v, _ := strings.Cut(pair, "="); k == name {
			return v, true
		}
	}
	return "", false
}

// Start starts the handler and waits until it answers. It fails when the handler failed three times or ctx ended; Stop cleans
// up in either case. A host can be started again after Stop.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	if h.state != stopped {
		h.mu.Unlock()
		return errors.New("start host: already started")
	}
	h.running, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	h.set(starting, nil)
	running := h.running
	h.work.Go(func() { h.supervise(running) })
	h.mu.Unlock()
	if _, err := h.await(ctx); err != nil {
		return fmt.Errorf("start host: %w", err)
	}
	return nil
}

// Stop kills the handler with SIGKILL, as the host does at scale-in, and waits until nothing of it is left. Invocations in
// flight fail. It is idempotent.
func (h *Host) Stop() {
	h.mu.Lock()
	if h.cancel != nil {
		h.cancel()
	}
	h.mu.Unlock()
	h.work.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set(stopped, nil)
	h.client.CloseIdleConnections()
}

// Kill sends SIGKILL to the handler as the kernel's out-of-memory killer would: the host sees exit code 137, counts an error
// and starts the handler again; the third such error stops the host (section 1.4).
func (h *Host) Kill() {
	if w := h.current(); w != nil {
		w.kill()
	}
}

// Restart kills the handler with SIGKILL and starts it again without counting an error, as the host does with a new
// deployment, and waits until it answers. It also revives a handler that left with exit code 0.
func (h *Host) Restart(ctx context.Context) error {
	if w := h.current(); w != nil {
		h.replace(w)
		select {
		case <-w.left:
		case <-ctx.Done():
		}
	}
	if _, err := h.await(ctx); err != nil {
		return fmt.Errorf("restart handler: %w", err)
	}
	return nil
}

func (h *Host) current() *worker {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.worker
}

// replace ends a worker and makes the supervisor start the next one. Invocations wait for that one from now on.
func (h *Host) replace(w *worker) {
	h.mu.Lock()
	if h.worker == w && h.state == ready {
		h.set(starting, w)
	}
	h.mu.Unlock()
	w.replaceOnce.Do(func() { close(w.replaced) })
	w.kill()
}

// set changes the state; h.mu is held.
func (h *Host) set(s state, w *worker) {
	h.state, h.worker = s, w
	close(h.changed)
	h.changed = make(chan struct{})
}

// await returns the worker once it is ready.
func (h *Host) await(ctx context.Context) (*worker, error) {
	for {
		h.mu.Lock()
		s, w, changed := h.state, h.worker, h.changed
		h.mu.Unlock()
		switch s {
		case ready:
			return w, nil
		case stopped, failed:
			return nil, ErrNotRunning
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the handler: %w", context.Cause(ctx))
		}
	}
}

func (h *Host) log(stream, line string) {
	h.logging.Lock()
	defer h.logging.Unlock()
	h.opts.Log(stream, line)
}

func (h *Host) logf(format string, args ...any) { h.log(StreamHost, fmt.Sprintf(format, args...)) }
