package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// Records is where an Outbox keeps what is not delivered yet. state.Blob and state.Memory implement it.
type Records interface {
	Get(ctx context.Context, key string) (state.Record, error)
	Put(ctx context.Context, key string, data []byte, etag string) (string, error)
	Delete(ctx context.Context, key, etag string) error
}

// Outbox is a sink that loses nothing: an alert is kept before it is sent, and until it was taken. The same alert, by
// type and dedup key, is kept once.
type Outbox struct {
	Sink    Sink
	Records Records
	List    func(ctx context.Context, prefix string) ([]string, error) // of the same store
}

const outboxPrefix = "alerts/"

// keepTime bounds the keeping of one alert.
const keepTime = 5 * time.Second

// Send keeps the alert and tries to deliver it. Nil when it is kept, delivered or not: Drain tries again. It is kept
// also when ctx is over, because those sent before it may have used up the time. When it cannot even be kept the error
// is that of the delivery.
func (o Outbox) Send(ctx context.Context, a Alert) error {
	if err := a.check(); err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("keep an alert: %w", secret.ErrInvalid)
	}
	key := outboxPrefix + a.ID()
	keeping, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	etag, err := o.Records.Put(keeping, key, data, "")
	if errors.Is(err, secret.ErrConflict) {
		return nil // kept already, and Drain has it
	}
	sent := o.Sink.Send(ctx, a)
	switch {
	case err != nil:
		return sent
	case sent != nil:
		return nil
	}
	_ = o.Records.Delete(ctx, key, etag) // else it is sent once more, under the same ID
	return nil
}

// Drain sends what is kept and joins the errors. It ends with the first alert that could not be sent for a reason that
// may pass: the others would wait for the same sink, and take the time of what comes after Drain.
func (o Outbox) Drain(ctx context.Context) error {
	keys, err := o.List(ctx, outboxPrefix)
	if err != nil {
		return fmt.Errorf("list undelivered alerts: %w", err)
	}
	var faults []error
	for _, key := range keys {
		if ctx.Err() != nil {
			return errors.Join(append(faults, context.Cause(ctx))...)
		}
		record, err := o.Records.Get(ctx, key)
		if errors.Is(err, secret.ErrNotFound) {
			continue
		}
		var a Alert
		if err == nil {
			a, err = decode(record.Data)
		}
		if err == nil {
			err = o.Sink.Send(ctx, a)
		}
		wait := secret.IsTransient(err)
		if err == nil || errors.Is(err, secret.ErrInvalid) { // what cannot be an alert never will be
			err = errors.Join(err, o.Records.Delete(ctx, key, record.ETag))
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("deliver alert %q: %w", key, err))
		}
		if wait {
			break
		}
	}
	return errors.Join(faults...)
}

// decode reads a kept alert; secret.ErrInvalid.
func decode(data []byte) (Alert, error) {
	var a Alert
	if err := json.Unmarshal(data, &a); err != nil {
		return Alert{}, fmt.Errorf("%w: not an alert", secret.ErrInvalid)
	}
	return a, a.check()
}
