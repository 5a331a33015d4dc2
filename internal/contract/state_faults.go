package contract

import (
	"context"
	"errors"
	"testing"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

func (s StateSubject) endedContext(t *testing.T) {
	etag := s.put(t, "a", "one", "")
	l := s.acquire(t, "sync", "run 1")
	why := errors.New("the reason")
	ctx, end := context.WithCancelCause(t.Context())
	end(why)
	_, err := s.Store.Get(ctx, "a")
	wantStateErr(t, err, why)
	_, err = s.Store.Put(ctx, "a", []byte("two"), etag)
	wantStateErr(t, err, why)
	_, err = s.Store.List(ctx, "")
	wantStateErr(t, err, why)
	_, err = s.Store.Acquire(ctx, "other", "run 1")
	wantStateErr(t, err, why)
	wantStateErr(t, s.Store.Delete(ctx, "a", etag), why)
	wantStateErr(t, s.Store.Renew(ctx, l), why)
	wantStateErr(t, s.Store.Release(ctx, l), why)
	s.want(t, "a", state.Record{Data: []byte("one"), ETag: etag})
	s.acquire(t, "other", "run 2")
}

func (s StateSubject) lostAnswers(t *testing.T) {
	if s.LoseAnswer == nil {
		t.Skip("this store has no answers to lose")
	}
	s.put(t, "a", "warm up: the container is there", "")

	s.LoseAnswer()
	created := s.put(t, "b", "one", "")
	s.want(t, "b", state.Record{Data: []byte("one"), ETag: created})
	s.LoseAnswer()
	changed := s.put(t, "b", "two", created)
	s.want(t, "b", state.Record{Data: []byte("two"), ETag: changed})
	s.LoseAnswer()
	_, err := s.Store.Put(t.Context(), "b", []byte("two"), created)
	wantStateErr(t, err, secret.ErrConflict) // the same bytes, written by another
	s.LoseAnswer()
	s.want(t, "b", state.Record{Data: []byte("two"), ETag: changed})
	s.LoseAnswer()
	wantStateErr(t, s.Store.Delete(t.Context(), "b", changed), nil)
	_, err = s.Store.Get(t.Context(), "b")
	wantStateErr(t, err, secret.ErrNotFound)

	s.LoseAnswer()
	l := s.acquire(t, "sync", "run 1") // what is not heard is that the blob has yet to be made
	wantStateErr(t, s.Store.Release(t.Context(), l), nil)
	s.LoseAnswer()
	l = s.acquire(t, "sync", "run 1")
	s.LoseAnswer()
	wantStateErr(t, s.Store.Renew(t.Context(), l), nil)
	s.LoseAnswer()
	wantStateErr(t, s.Store.Release(t.Context(), l), nil)
	s.acquire(t, "sync", "run 2")
}
