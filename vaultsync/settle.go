package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyferry/keyferry/secret"
)

// settle asks decide, fetches what it must still know, and asks again until there is a verdict.
func (e *Engine) settle(ctx context.Context, k knowledge) (Decision, error) {
	if k.entry.Mount.Version == 1 {
		k.state = &State{}
	}
	for {
		d := decide(k)
		var err error
		switch d.need {
		case needNothing:
			return d, nil
		case needState, needValue:
			err = e.learnSource(ctx, &k, d.need)
		case needHave:
			err = e.learnHave(ctx, &k)
		case needEarlier:
			err = e.learnEarlier(ctx, &k)
		}
		if errors.Is(err, errVanished) {
			return verdict(Skip, ReasonVanished), nil
		}
		if err != nil {
			return Decision{}, err
		}
	}
}

// errVanished ends a decision whose secret went away between two calls.
var errVanished = errors.New("vanished")

// learnSource reads metadata where that is enough. Where the value is sure to be needed it reads the data at once,
// which tells the state too.
func (e *Engine) learnSource(ctx context.Context, k *knowledge, n need) error {
	source, m, path := e.Sources[k.entry.Rule.source()], k.entry.Mount, k.entry.Path
	if n == needState && k.row != nil && !k.full {
		s, err := source.Metadata(ctx, m, path)
		if err != nil {
			return absent(err, "read the metadata of", k.entry)
		}
		k.state = &s
		return nil
	}
	s, fields, err := source.Read(ctx, m, path)
	if err != nil {
		if k.row == nil && errors.Is(err, secret.ErrNotFound) && m.Version == 2 {
			// A name with metadata and no version looks like nothing to a data read.
			if s, err := source.Metadata(ctx, m, path); err == nil && s.Version == 0 {
				k.state = &s
				return nil
			}
		}
		return absent(err, "read", k.entry)
	}
	r, err := render(fields, k.entry.Rule.As, k.entry.Rule.PEM)
	if err != nil {
		return fmt.Errorf("read %q: %w", k.entry.Where(), err)
	}
	k.state, k.value = &s, &r
	return nil
}

// absent tells a secret that was listed and is gone from one that could not be read.
func absent(err error, doing string, e Entry) error {
	if errors.Is(err, secret.ErrNotFound) {
		return errVanished
	}
	return fmt.Errorf("%s %q: %w", doing, e.Where(), err)
}

// learnHave reads the destination's current version, and with it everything that changed there since the listing.
func (e *Engine) learnHave(ctx context.Context, k *knowledge) error {
	v, m, err := e.Destination.Get(ctx, k.entry.Name)
	switch {
	case errors.Is(err, secret.ErrDisabled):
		k.row.disabled = true
		return nil
	case errors.Is(err, secret.ErrNotFound):
		return errVanished
	case err != nil:
		return fmt.Errorf("read %q in the destination: %w", k.entry.Name, err)
	}
	k.row, k.have = newRow(m), &v
	return nil
}

// learnEarlier looks whether an earlier version of a secret without our tags carries them: then a person wrote the
// newest one over a copy of ours.
func (e *Engine) learnEarlier(ctx context.Context, k *knowledge) error {
	versions, err := e.Destination.Versions(ctx, k.entry.Name)
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
