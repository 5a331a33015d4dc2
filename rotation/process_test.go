package rotation_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

var (
	errStopped = errors.New("the process was killed")
	errLost    = errors.New("the answer was lost")
)

// accident is what happens at one external call.
type accident string

const (
	before    accident = "killed before it is sent"
	unheard   accident = "killed after it was sent"
	answered  accident = "killed after it was answered"
	surviving accident = "its answer is lost and the process lives on"
)

// process stands between an engine and everything outside of it. It has an accident at one of its external calls. Every
// call of a dead process fails, so that deferred clean-up cannot help.
type process struct {
	at       int // the call, from 0; -1: never
	accident accident
	pause    func() // before each call; nil: none
	watch    func(n int, call string)

	mu    sync.Mutex
	calls []string
}

func healthy() *process { return &process{at: -1} }

// call lets do take effect unless the process is dead, and says whether its answer arrives.
func (p *process) call(name string, do func()) error {
	if p.pause != nil {
		p.pause()
	}
	p.mu.Lock()
	n := len(p.calls)
	p.calls = append(p.calls, name)
	p.mu.Unlock()
	if p.watch != nil {
		p.watch(n, name)
	}
	switch {
	case p.at < 0 || n < p.at || n > p.at && p.accident == surviving:
		do()
		return nil
	case n > p.at || p.accident == before:
		return errStopped
	}
	do()
	switch p.accident {
	case answered:
		return nil
	case surviving:
		return errLost
	}
	return errStopped
}

// options puts the process between the engine and the world.
func (p *process) options(leases state.Leaser) func(*rotation.Options) {
	return func(o *rotation.Options) {
		o.Secrets = watchedSecrets{p, o.Secrets}
		o.Records = watchedRecords{p, o.Records}
		o.Alerts = watchedSink{p, o.Alerts}
		list := o.List
		o.List = func(ctx context.Context) (all iter.Seq2[secret.Meta, error]) {
			if err := p.call("list", func() { all = list(ctx) }); err != nil {
				return func(yield func(secret.Meta, error) bool) { yield(secret.Meta{}, err) }
			}
			return all
		}
		o.Lock = func(ctx context.Context, lease string, fn func(context.Context) error) error {
			return state.Hold(ctx, watchedLeaser{p, leases}, lease, "test", fn)
		}
		if o.WriteBack != nil {
			o.WriteBack = watchedWriteBack{p, o.WriteBack}
		}
	}
}

type watchedSecrets struct {
	p *process
	rotation.Secrets
}

func (s watchedSecrets) GetVersion(ctx context.Context, name, version string) (v secret.Value, m secret.Meta, err error) {
	if dead := s.p.call("get "+kindOf(name), func() { v, m, err = s.Secrets.GetVersion(ctx, name, version) }); dead != nil {
		return secret.Value{}, secret.Meta{}, dead
	}
	return v, m, err
}

func (s watchedSecrets) Set(ctx context.Context, name string, d secret.Draft) (m secret.Meta, err error) {
	if dead := s.p.call("set "+kindOf(name), func() { m, err = s.Secrets.Set(ctx, name, d) }); dead != nil {
		return secret.Meta{}, dead
	}
	return m, err
}

func (s watchedSecrets) UpdateVersion(ctx context.Context, name, version string, patch secret.Patch) (m secret.Meta, err error) {
	if dead := s.p.call("update "+kindOf(name), func() { m, err = s.Secrets.UpdateVersion(ctx, name, version, patch) }); dead != nil {
		return secret.Meta{}, dead
	}
	return m, err
}

func kindOf(name string) string {
	if secret.IsPending(name) {
		return "staging"
	}
	return "secret"
}

type watchedRecords struct {
	p *process
	rotation.Ledger
}

func (r watchedRecords) Get(ctx context.Context, key string) (got state.Record, err error) {
	if dead := r.p.call("record get", func() { got, err = r.Ledger.Get(ctx, key) }); dead != nil {
		return state.Record{}, dead
	}
	return got, err
}

func (r watchedRecords) Put(ctx context.Context, key string, data []byte, etag string) (tag string, err error) {
	if dead := r.p.call("record put", func() { tag, err = r.Ledger.Put(ctx, key, data, etag) }); dead != nil {
		return "", dead
	}
	return tag, err
}

func (r watchedRecords) Delete(ctx context.Context, key, etag string) (err error) {
	if dead := r.p.call("record delete", func() { err = r.Ledger.Delete(ctx, key, etag) }); dead != nil {
		return dead
	}
	return err
}

func (r watchedRecords) List(ctx context.Context, prefix string) (keys []string, err error) {
	if dead := r.p.call("record list", func() { keys, err = r.Ledger.List(ctx, prefix) }); dead != nil {
		return nil, dead
	}
	return keys, err
}

type watchedSink struct {
	p *process
	alert.Sink
}

func (s watchedSink) Send(ctx context.Context, a alert.Alert) (err error) {
	if dead := s.p.call("alert", func() { err = s.Sink.Send(ctx, a) }); dead != nil {
		return dead
	}
	return err
}

type watchedLeaser struct {
	p *process
	state.Leaser
}

func (l watchedLeaser) Acquire(ctx context.Context, name, holder string) (lease state.Lease, err error) {
	if dead := l.p.call("lease acquire", func() { lease, err = l.Leaser.Acquire(ctx, name, holder) }); dead != nil {
		return state.Lease{}, dead
	}
	return lease, err
}

func (l watchedLeaser) Release(ctx context.Context, lease state.Lease) (err error) {
	if dead := l.p.call("lease release", func() { err = l.Leaser.Release(ctx, lease) }); dead != nil {
		return dead
	}
	return err
}

type watchedWriteBack struct {
	p  *process
	to rotation.WriteBack
}

func (w watchedWriteBack) PreflightWriteBack(ctx context.Context, name string) (err error) {
	if dead := w.p.call("write-back preflight", func() { err = w.to.PreflightWriteBack(ctx, name) }); dead != nil {
		return dead
	}
	return err
}

func (w watchedWriteBack) WriteBack(ctx context.Context, name string) (err error) {
	if dead := w.p.call("write back", func() { err = w.to.WriteBack(ctx, name) }); dead != nil {
		return dead
	}
	return err
}

// sweepFor lets time pass, with a sweep after each step. It returns the error of the last.
func sweepFor(ctx context.Context, e *rotation.Engine, d, step time.Duration) error {
	var last error
	for ; d > 0; d -= step {
		time.Sleep(step)
		_, last = e.Sweep(ctx)
	}
	return last
}
