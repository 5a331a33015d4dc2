package functions

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Section 1.3: the host asks GET / every 25 ms, and any answer counts as ready.
const probeInterval = 25 * time.Millisecond

// exitKilled is what a host on Linux sees of a process that SIGKILL ended.
const exitKilled = 128 + int(syscall.SIGKILL)

// worker is one life of the handler.
type worker struct {
	base  string // http://127.0.0.1:port
	cmd   *exec.Cmd
	ended context.Context // done when the process is gone
	end   context.CancelCauseFunc
	reach context.Context // ends the requests to a handler that is no process; a process takes its connections along
	left  chan struct{}   // the supervisor has finished with it

	replaceOnce sync.Once
	replaced    chan struct{} // its end is wanted by the host: restart, no error

	stderr *lines
}

var errEnded = errors.New("the handler process ended")

// launch hands over a free port and starts the process, or adopts the handler at Options.URL. The end of ctx kills it.
func (h *Host) launch(ctx context.Context) (*worker, error) {
	w := &worker{base: strings.TrimSuffix(h.opts.URL, "/"), left: make(chan struct{}), replaced: make(chan struct{})}
	w.ended, w.end = context.WithCancelCause(context.Background())
	w.reach = context.Background()
	if w.base != "" {
		w.reach = w.ended
		return w, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	w.base = "http://127.0.0.1:" + port
	cmd := exec.CommandContext(ctx, h.executable(), h.app.arguments...)
	cmd.Dir = h.opts.Dir
	if h.app.directory != "" {
		cmd.Dir = filepath.Join(h.opts.Dir, filepath.FromSlash(h.app.directory))
	}
	id := rand.Text()
	cmd.Env = append(append([]string(nil), h.env...),
		"FUNCTIONS_CUSTOMHANDLER_PORT="+port, "FUNCTIONS_HTTPWORKER_PORT="+port,
		"FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+id, "FUNCTIONS_HTTPWORKER_ID="+id,
		"FUNCTIONS_APP_ROOT_PATH="+h.opts.Dir)
	stdout := &lines{to: func(line string) { h.log(StreamStdout, line) }}
	w.stderr = &lines{to: func(line string) { h.log(StreamStderr, line) }}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdout, w.stderr, time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start handler: %w", err)
	}
	w.cmd = cmd
	h.work.Go(func() {
		err := cmd.Wait()
		stdout.flush()
		w.stderr.flush()
		w.end(errors.Join(errEnded, err))
	})
	return w, nil
}

func (h *Host) executable() string {
	if h.opts.Executable != "" {
		return h.opts.Executable
	}
	inside := filepath.Join(h.opts.Dir, filepath.FromSlash(h.app.executable))
	if _, err := os.Stat(inside); err == nil {
		if abs, err := filepath.Abs(inside); err == nil {
			return abs
		}
	}
	return h.app.executable
}

// freePort binds, reads and closes, as the host does; somebody else may take the port before the handler listens.
func freePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return strconv.Itoa(port), l.Close()
}

// awaitReady probes until something answers. A process that leaves with a code other than 0 ends the wait; one that leaves
// with 0 goes unnoticed until the time is up.
func (w *worker) awaitReady(ctx context.Context, transport http.RoundTripper, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("initializing HttpWorker timed out"))
	defer cancel()
	if transport == nil {
		transport = &http.Transport{DisableKeepAlives: true}
	}
	client := &http.Client{Transport: transport}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	ended := w.ended.Done()
	for {
		if probe(ctx, client, w.base) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ended:
			if w.exitCode() != 0 {
				return errors.Join(fmt.Errorf("exit code %d", w.exitCode()), w.lastWords())
			}
			ended = nil
		case <-tick.C:
		}
	}
}

func probe(ctx context.Context, client *http.Client, base string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil
}

// kill sends SIGKILL, and does not wait.
func (w *worker) kill() {
	if w.cmd == nil {
		w.end(errEnded)
		return
	}
	_ = w.cmd.Process.Kill() // fails only when the process has ended, which is what is wanted
}

func (w *worker) isReplaced() bool {
	select {
	case <-w.replaced:
		return true
	default:
		return false
	}
}

// exitCode is valid once ended is done.
func (w *worker) exitCode() int {
	if w.cmd == nil {
		return exitKilled
	}
	if status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return w.cmd.ProcessState.ExitCode()
}

// lastWords is what the host puts into its message: the last three lines of stderr.
func (w *worker) lastWords() error {
	if w.stderr == nil || len(w.stderr.tail) == 0 {
		return nil
	}
	return errors.New(strings.Join(w.stderr.tail, " | "))
}

// lines cuts a stream into lines. exec.Cmd writes from one goroutine and ends before Wait returns.
type lines struct {
	to   func(string)
	part []byte
	tail []string
}

const longestLine = 64 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	for {
		at := bytes.IndexByte(l.part, '\n')
		if at < 0 && len(l.part) < longestLine {
			return len(p), nil
		}
		end := at
		if at < 0 {
			at, end = longestLine-1, longestLine
		}
		l.emit(string(l.part[:end]))
		l.part = l.part[at+1:]
	}
}

func (l *lines) flush() {
	if len(l.part) > 0 {
		l.emit(string(l.part))
		l.part = nil
	}
}

func (l *lines) emit(line string) {
	line = strings.TrimSuffix(line, "\r")
	l.tail = append(l.tail, line)
	if len(l.tail) > 3 {
		l.tail = l.tail[1:]
	}
	l.to(line)
}
