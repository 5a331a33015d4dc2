package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// CutoverRequest says which copies change their home. Names and Rule narrow it together; one of them must be given.
type CutoverRequest struct {
	Names []string // in Key Vault
	Rule  string
	Undo  bool // back to Vault; refused unless the values are equal
}

// Cutover makes Key Vault the home of copies (authority=keyvault): from then on sync leaves them alone and rotation may
// have them. A copy is cut over only when its value is proven equal to Vault's at that moment, and it gets a real
// expiry. Undo makes Vault the home again under the same condition. Every copy asked for is in the report; the error is
// secret.ErrPartial when some failed or were refused.
func (e *Engine) Cutover(ctx context.Context, q CutoverRequest) (*Report, error) {
	report := e.newReport(false)
	if len(q.Names) == 0 && q.Rule == "" {
		return report, fmt.Errorf("%w: name the secrets, or a rule", secret.ErrUsage)
	}
	if err := e.check(Scope{Rule: q.Rule}); err != nil {
		return report, err
	}
	err := e.Lock(ctx, "sync", func(ctx context.Context) error {
		hasher, err := e.hasher(ctx)
		if err != nil {
			return err
		}
		return e.cutover(ctx, q, hasher, report)
	})
	return report, err
}

func (e *Engine) cutover(ctx context.Context, q CutoverRequest, hasher secret.Hasher, report *Report) error {
	defer func() { report.close(e.Now()) }()
	g, err := e.gather(ctx, Scope{Rule: q.Rule}, report)
	if err != nil {
		return err
	}
	r := e.newRun(g, Scope{Rule: q.Rule, Full: true}, hasher, nil, report)
	if err := r.name(ctx); err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, name := range q.Names {
		asked[secret.FoldName(name)] = true
	}
	var work []Entry
	for _, entry := range g.entries {
		if named := asked[secret.FoldName(entry.Name)]; r.scope.holds(entry) && (named || len(asked) == 0) {
			work = append(work, entry)
			delete(asked, secret.FoldName(entry.Name))
		}
	}
	for name := range asked {
		report.fail(Item{Name: name}, fmt.Errorf("find the source of %q: %w", name, secret.ErrNotFound))
	}
	err = r.each(ctx, work, func(ctx context.Context, entry Entry) (Decision, error) {
		return r.cutOne(ctx, entry, q.Undo)
	})
	if err == nil && (len(report.errs) > 0 || report.Counts[Conflict] > 0) {
		err = fmt.Errorf("cut over %d secrets: %w", len(work), secret.ErrPartial)
	}
	return err
}

// cutOne reads both values and, when they are equal, patches the authority.
func (r *run) cutOne(ctx context.Context, entry Entry, undo bool) (Decision, error) {
	k := knowledge{now: r.Now(), entry: entry, hasher: r.hasher, full: true, row: r.rows[secret.FoldName(entry.Name)]}
	if k.row == nil {
		return verdict(Conflict, ReasonNotCopied), nil
	}
	r.recall(&k)
	for k.value == nil || k.have == nil {
		var err error
		if k.value == nil {
			err = r.learnSource(ctx, &k, needValue)
		} else {
			err = r.learnHave(ctx, &k)
		}
		if errors.Is(err, errVanished) {
			return verdict(Conflict, ReasonVanished), nil
		}
		if err != nil {
			return Decision{}, err
		}
		if k.row.disabled {
			return verdict(Conflict, ReasonDestinationDisabled), nil
		}
	}
	d := decideCutover(k, undo)
	if !d.Verb.changes() {
		return d, nil
	}
	return r.apply(ctx, k, d)
}

// decideCutover judges one copy whose two values are known.
func decideCutover(k knowledge, undo bool) Decision {
	from, to := secret.AuthorityVault, secret.AuthorityKeyVault
	if undo {
		from, to = to, from
	}
	switch {
	case k.row.managed:
		return verdict(Skip, ReasonManaged)
	case k.row.path != k.entry.Ref || k.row.source != k.entry.Rule.source():
		return verdict(Conflict, ReasonOtherPath)
	case k.row.authority == to:
		return verdict(Unchanged, ReasonSame)
	case k.row.authority != from:
		return verdict(Conflict, ReasonBadTag)
	case k.value.fault != "":
		return verdict(Conflict, k.value.fault)
	case k.state.Gone(k.now):
		return verdict(Conflict, ReasonSourceDeleted)
	case !k.have.Equal(k.value.value):
		return verdict(Conflict, ReasonValuesDiffer)
	}
	expires := wantExpiry(k.entry, *k.state, k.row.expires, k.now)
	draft, dropped := k.draft(k.row.migrated, expires, k.row.foreign)
	draft.Tags[secret.TagAuthority] = to
	if expires.IsZero() || expires.Before(k.now) { // a home of its own wants a real expiry
		draft.Expires = k.now.Add(rotationDays * day).UTC().Truncate(time.Second)
	}
	d := verdict(Cutover, ReasonEqualValue)
	d.Dropped = slices.Clone(dropped)
	d.patch = secret.Patch{ContentType: &draft.ContentType, Expires: &draft.Expires, Tags: draft.Tags}
	return d
}
