package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyferry/keyferry/secret"
)

// settle asks decide, fetches what it must still know, and asks again until there is a verdict.
func (r *run) settle(ctx context.Context, k *knowledge) (Decision, error) {
	r.recall(k)
	for range maxAsked {
		d := decide(*k)
		var err error
		switch d.need {
		case needNothing:
			d.seen = k.seen
			return d, nil
		case needState, needValue:
			err = r.learnSource(ctx, k, d.need)
		case needHave:
			err = r.learnHave(ctx, k)
		case needEarlier:
			err = r.learnEarlier(ctx, k)
		case needDeleted:
			err = r.learnDeleted(ctx, k)
		}
		if errors.Is(err, errVanished) {
			return verdict(Skip, ReasonVanished), nil
		}
		if err != nil {
			return Decision{}, err
		}
	}
	return Decision{}, fmt.Errorf("settle %q: it changes faster than it can be looked at: %w", k.entry.Where(), secret.ErrConflict)
}

// maxAsked bounds the questions about one secret. Each of the five has one answer, unless the secret changes meanwhile.
const maxAsked = 20

// errVanished ends a decision whose secret went away between two calls.
var errVanished = errors.New("vanished")

// recall puts in what the run knows already.
func (r *run) recall(k *knowledge) {
	id := k.entry.whole()
	s, known := r.source.state(id)
	r.mu.Lock()
	fields, read := r.fields[id]
	r.mu.Unlock()
	switch {
	case k.entry.Mount.Version == 1:
		k.state = &State{}
	case known:
		k.state = &s
	}
	if read {
		k.value = renderFor(k.entry, fields)
	}
}

// renderFor renders the fields as the entry's rule wants them. A field that is not JSON is a fault of its own.
func renderFor(e Entry, fields Fields) *rendering {
	shape := e.Rule.As
	if e.Key != "" {
		shape = ShapeValue
		one, ok := fields[e.Key]
		if !ok {
			return &rendering{fault: ReasonEmpty}
		}
		fields = Fields{e.Key: one}
	}
	v, err := render(fields, shape, e.Rule.PEM)
	if err != nil {
		return &rendering{fault: ReasonNotJSON}
	}
	return &v
}

// learnSource reads metadata where that is enough. Where the value is sure to be needed it reads the data at once,
// which tells the state too.
func (r *run) learnSource(ctx context.Context, k *knowledge, n need) error {
	source, m, path := r.Sources[k.entry.Rule.source()], k.entry.Mount, k.entry.Path
	if n == needState && k.row != nil && !k.full {
		s, err := source.Metadata(ctx, m, path)
		if err != nil {
			return absentOr(err, "read the metadata of", k.entry)
		}
		k.state = &s
		return nil
	}
	s, fields, err := r.read(ctx, k.entry)
	if err != nil {
		return err
	}
	k.state, k.value = &s, renderFor(k.entry, fields)
	return nil
}

// read reads state and fields. A name with metadata and no version looks like nothing to a data read, so there the
// metadata is asked. errVanished when there is nothing.
func (r *run) read(ctx context.Context, e Entry) (State, Fields, error) {
	source := r.Sources[e.Rule.source()]
	s, fields, err := source.Read(ctx, e.Mount, e.Path)
	if errors.Is(err, secret.ErrNotFound) && e.Mount.Version == 2 {
		if s, err := source.Metadata(ctx, e.Mount, e.Path); err == nil && s.Version == 0 {
			return s, nil, nil
		}
	}
	if err != nil {
		return State{}, nil, absentOr(err, "read", e)
	}
	return s, fields, nil
}

// learnDeleted looks whether a deleted secret holds the name.
func (r *run) learnDeleted(ctx context.Context, k *knowledge) error {
	deleted, err := r.deleted(ctx)
	if err != nil {
		return err
	}
	if k.deleted = deleted[secret.FoldName(k.entry.Name)]; k.deleted == nil {
		k.deleted = &row{}
	}
	return nil
}

// absentOr tells a secret that was listed and is gone from one that could not be read.
func absentOr(err error, doing string, e Entry) error {
	if errors.Is(err, secret.ErrNotFound) {
		return errVanished
	}
	return fmt.Errorf("%s %q: %w", doing, e.Where(), err)
}

// learnHave reads the destination's current version, and with it everything that changed there since the listing.
func (r *run) learnHave(ctx context.Context, k *knowledge) error {
	v, m, err := r.Destination.Get(ctx, k.entry.Name)
	switch {
	case errors.Is(err, secret.ErrDisabled):
		k.row.disabled = true
		return nil
	case errors.Is(err, secret.ErrNotFound):
		return errVanished
	case err != nil:
		return fmt.Errorf("read %q in the destination: %w", k.entry.Name, err)
	}
	k.row, k.have, k.seen = newRow(m), &v, m.Version
	k.row.tags = m.Tags
	return nil
}

// learnEarlier looks whether an earlier version of a secret without our tags carries them: then a person wrote the
// newest one over a copy of ours.
func (r *run) learnEarlier(ctx context.Context, k *knowledge) error {
	versions, err := r.Destination.Versions(ctx, k.entry.Name)
	if err != nil {
		return fmt.Errorf("list the versions of %q: %w", k.entry.Name, err)
	}
	slices.SortFunc(versions, func(a, b secret.Meta) int { return b.Created.Compare(a.Created) })
	k.earlier = &row{}
	for _, m := range versions {
		if m.Tags[secret.TagVaultPath] != "" {
			k.earlier = newRow(m)
			break
		}
	}
	return nil
}
