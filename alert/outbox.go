package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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

// Send keeps the alert and tries to deliver it. Nil when it is kept, delivered or not: Drain tries again. When it
// cannot even be kept the error is that of the delivery.
func (o Outbox) Send(ctx context.Context, a Alert) error {
	if err := a.check(); err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("keep an alert: %w", secret.ErrInvalid)
	}
	key := outboxPrefix + a.ID()
	etag, err := o.Records.Put(ctx, key, data, "")
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

// Drain sends what is kept. It does all it can and joins the errors.
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
			err = json.Unmarshal(record.Data, &a)
		}
		if err == nil {
			err = o.Sink.Send(ctx, a)
		}
		if err == nil || errors.Is(err, secret.ErrInvalid) { // what cannot be an alert never will be
			err = errors.Join(err, o.Records.Delete(ctx, key, record.ETag))
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("deliver alert %q: %w", key, err))
		}
	}
	return errors.Join(faults...)
}
