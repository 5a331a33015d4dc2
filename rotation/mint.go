package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// minting is for targets that make credentials and show them once. The label follows from what is rotated, so that a
// credential whose value was lost is found again, whatever else was lost.
type minting struct{ minter Minter }

// maxLabel is the size limit of a label in bytes.
const maxLabel = 64

// labelOf is the label of the credentials made to replace a version of a secret.
func labelOf(name, source string) string {
	sum := sha256.Sum256([]byte(secret.FoldName(name) + "\x00" + source))
	end := "-" + hex.EncodeToString(sum[:8])
	start := "keyferry-" + secret.FoldName(name)
	return strings.TrimRight(start[:min(len(start), maxLabel-len(end))], "-") + end
}

func (minting) prepare(ctx context.Context, r *run, f *flight) error {
	f.Label = labelOf(r.entry.Secret, f.Source)
	return r.stage(ctx, f, Credential{})
}

// apply mints one, after it has taken away what earlier attempts left behind.
func (m minting) apply(ctx context.Context, r *run, f *flight) error {
	live, err := m.minted(ctx, r, f)
	if err != nil {
		return err
	}
	if !r.fresh {
		if done, err := m.inquire(ctx, r, f, live); done || err != nil {
			return err
		}
	}
	if err := m.clear(ctx, r, f, live); err != nil {
		return err
	}
	if !r.atSource(f) {
		return stop(Nothing, ReasonSuperseded, "it was changed before the target was")
	}
	return m.mint(ctx, r, f)
}

// inquire finds out what became of an earlier attempt. done: its credential is kept and works.
func (m minting) inquire(ctx context.Context, r *run, f *flight, live []string) (done bool, err error) {
	p, ok, err := r.readStaging(ctx, f.Pending)
	if err != nil {
		return false, err
	}
	if ok && !p.Intent && p.State.ID == f.ID {
		r.next = p.credential()
		if !slices.Contains(live, r.next.ID) {
			return false, nil // gone from the target: make another
		}
		return true, m.proven(ctx, r)
	}
	return false, nil
}

// clear takes away what earlier attempts left behind. It claims the record first, so that the next write of an executor
// which is about to publish one of them fails, and looks once more for one that is published already.
func (m minting) clear(ctx context.Context, r *run, f *flight, live []string) error {
	if len(live) == 0 {
		return nil
	}
	f.Credential = ""
	r.entry.Claims++
	if err := r.entry.save(ctx); err != nil {
		return err
	}
	if err := r.look(ctx); err != nil {
		return keep(err)
	}
	if !r.facts.missing && !r.facts.disabled {
		if err := r.learn(); err != nil {
			return err
		}
	}
	return m.discard(ctx, r, live)
}

// mint makes a credential and keeps it at once. One that cannot be kept is taken away again.
func (m minting) mint(ctx context.Context, r *run, f *flight) error {
	var next Credential
	err := r.touch(ctx, "mint at target "+quoted(r.target.Name), func(ctx context.Context) (err error) {
		next, err = m.minter.Mint(ctx, f.Label)
		return err
	})
	switch {
	case final(err):
		return stop(Failed, ReasonTargetFailed, "the target %s made no credential: %v", r.target.Name, err)
	case err != nil:
		return err
	case next.ID == "" || next.Secret.Len() == 0:
		return fmt.Errorf("mint at target %s: a credential without id or value", quoted(r.target.Name))
	}
	r.knows(next)
	if next.User == "" {
		next.User = r.current.User
	}
	err = r.stage(ctx, f, next)
	if err == nil {
		err = r.entry.save(ctx)
	}
	if err != nil {
		// Without this the label finds it, but later.
		return errors.Join(err, m.discard(context.WithoutCancel(ctx), r, []string{next.ID}))
	}
	r.next = next
	return m.proven(ctx, r)
}

// proven is nil when the target accepts the new credential. One that it denies may be too new.
func (minting) proven(ctx context.Context, r *run) error {
	switch p, err := r.prove(ctx, r.next); p {
	case proven:
		return nil
	case denied:
		return fmt.Errorf("%w: the target %s denies the credential that it made", errNotVerified, quoted(r.target.Name))
	default:
		return err
	}
}

func (m minting) minted(ctx context.Context, r *run, f *flight) (live []string, err error) {
	err = r.touch(ctx, "list what was minted at target "+quoted(r.target.Name), func(ctx context.Context) (err error) {
		live, err = m.minter.Minted(ctx, f.Label)
		return err
	})
	return live, err
}

// discard takes credentials away of which nobody has the value. The one that readers use is never among them.
func (m minting) discard(ctx context.Context, r *run, ids []string) error {
	for _, id := range ids {
		if id == r.current.ID {
			continue
		}
		err := r.touch(ctx, "discard a credential at target "+quoted(r.target.Name), func(ctx context.Context) error {
			return m.minter.Retire(ctx, Credential{ID: id}, r.current)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recall reads the credential from its version of the staging secret.
func (minting) recall(ctx context.Context, r *run, f *flight) error {
	return setting{}.recall(ctx, r, f)
}

// tidy takes away what other executors minted for the same version and could not keep.
func (m minting) tidy(ctx context.Context, r *run, f *flight) (bool, error) {
	live, err := m.minted(ctx, r, f)
	if err != nil {
		return false, err
	}
	live = slices.DeleteFunc(live, func(id string) bool { return id == f.Credential })
	return false, m.discard(ctx, r, live)
}

// reverse takes away what was minted.
func (m minting) reverse(ctx context.Context, r *run, f *flight, _ bool) error {
	live, err := m.minted(ctx, r, f)
	if err != nil {
		return err
	}
	return m.discard(ctx, r, live)
}
