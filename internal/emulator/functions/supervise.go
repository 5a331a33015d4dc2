package functions

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	errorWindow = 30 * time.Minute // an error later than that after the previous one starts the count anew
	errorLimit  = 3
	exitRestart = 200 // exit code by which a handler asks for a restart that is no error
)

// supervise keeps one handler running until ctx ends or the handler has failed too often (section 1.4).
func (h *Host) supervise(ctx context.Context) {
	count, last := 0, time.Time{}
	for ctx.Err() == nil {
		err := h.live(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		now := h.opts.Now()
		if now.Sub(last) > errorWindow {
			count = 0
		}
		count, last = count+1, now
		h.logf("handler failed (%d of %d): %v", count, errorLimit, err)
		if count == errorLimit {
			h.logf("Exceeded http worker restart retry count. Shutting down Functions Host")
			h.mu.Lock()
			h.set(failed, nil)
			h.mu.Unlock()
			return
		}
	}
}

// live carries one handler process from its start to its end. nil means: start the next one, nothing to count.
func (h *Host) live(ctx context.Context) error {
	h.mu.Lock()
	h.set(starting, nil)
	h.mu.Unlock()
	w, err := h.launch(ctx)
	if err != nil {
		return err
	}
	defer close(w.left)
	// Known from here on, so that Kill and Restart reach a handler that is still on its way up.
	h.mu.Lock()
	h.set(starting, w)
	h.mu.Unlock()
	err = w.awaitReady(ctx, h.opts.Transport, h.app.initTimeout)
	if err != nil {
		w.kill()
		<-w.ended.Done()
		if w.isReplaced() {
			return nil
		}
		return fmt.Errorf("initialize handler: %w", err)
	}
	h.mu.Lock()
	if !w.isReplaced() {
		h.set(ready, w)
	}
	h.mu.Unlock()
	select {
	case <-w.ended.Done():
	case <-ctx.Done():
		w.kill()
		<-w.ended.Done()
	}
	if w.isReplaced() || ctx.Err() != nil {
		return nil
	}
	switch code := w.exitCode(); code {
	case 0:
		// Nobody restarts it: invocations go on to a port where nothing listens.
		h.logf("handler left with exit code 0 and is not restarted")
		select {
		case <-w.replaced:
		case <-ctx.Done():
		}
		return nil
	case exitRestart:
		h.logf("handler asked for a restart")
		return nil
	default:
		return errors.Join(fmt.Errorf("exit code %d", code), w.lastWords())
	}
}
