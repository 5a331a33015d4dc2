package alert

import (
	"context"
	"errors"
	"sync"
)

// All is a sink that sends to every one of the sinks at once and joins their errors. When one of them fails, sending
// again reaches the others twice; they tell by the ID. Without sinks alerts go nowhere.
func All(sinks ...Sink) Sink { return all(sinks) }

type all []Sink

func (s all) Send(ctx context.Context, a Alert) error {
	errs := make([]error, len(s))
	var sent sync.WaitGroup
	for i, sink := range s {
		sent.Go(func() { errs[i] = sink.Send(ctx, a) })
	}
	sent.Wait()
	return errors.Join(errs...)
}
