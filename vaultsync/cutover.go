package vaultsync

import (
	"context"
	"errors"
	"fmt"
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
	work := r.asked(q.Names)
	err = r.each(ctx, work, func(ctx context.Context, entry Entry) (Decision, error) {
		return r.cutOne(ctx, entry, q.Undo)
	})
	if err == nil && (len(report.errs) > 0 || report.Counts[Conflict] > 0) {
		err = fmt.Errorf("cut over %d secrets: %w", len(work), secret.ErrPartial)
	}
	return err
}

// asked are the entries of these names, or all of the scope without names. A name that nobody has is a failure; of those
// who want one name it is the holder who is meant.
func (r *run) asked(names []string) []Entry {
	found := map[string]bool{}
	for _, name := range names {
		found[secret.FoldName(name)] = false
	}
	var work []Entry
	for _, refused := range []bool{false, true} {
		for _, entry := range r.entries {
			fold := secret.FoldName(entry.Name)
			taken, named := found[fold]
			if (entry.Fault != "") != refused || !r.scope.holds(entry) || len(names) > 0 && (!named || taken && refused) {
				continue
			}
			work = append(work, entry)
			if named {
				found[fold] = true
			}
		}
	}
	for _, name := range names {
		if !found[secret.FoldName(name)] {
			r.report.fail(Item{Name: name}, fmt.Errorf("find the source of %q: %w", name, secret.ErrNotFound))
		}
	}
	return work
}

// cutOne reads both values and, when they are equal, patches the authority.
func (r *run) cutOne(ctx context.Context, entry Entry, undo bool) (Decision, error) {
	k := knowledge{now: r.Now(), entry: entry, hasher: r.hasher, full: true, row: r.rows.row(entry.Name)}
	switch {
	case entry.Fault != "":
		return verdict(Conflict, entry.Fault), nil
	case k.row == nil:
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
	d.seen = k.seen
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
	case k.row.path == "":
		return verdict(Conflict, ReasonForeign)
	case k.row.id() != k.entry.id():
		return verdict(Conflict, ReasonOtherPath)
	case k.row.authority == to:
		return verdict(Unchanged, ReasonSame)
	case k.row.authority != from:
		return verdict(Conflict, ReasonBadTag)
	case k.state.Gone(k.now):
		return verdict(Conflict, ReasonSourceDeleted)
	case k.value.fault != "":
		return verdict(Conflict, k.value.fault)
	case !k.have.Equal(k.value.value):
		return verdict(Conflict, ReasonValuesDiffer)
	}
	d := verdict(Cutover, ReasonEqualValue)
	d.patch, d.Dropped = k.patch(k.stamp(k.row.migrated))
	d.patch.Tags[secret.TagAuthority] = to
	if expires := wantExpiry(k.entry, *k.state, k.row.expires, k.now); expires.Before(k.now) { // a home of its own wants a real expiry
		expires = k.now.Add(rotationDays * day).UTC().Truncate(time.Second)
		d.patch.Expires = &expires
	}
	return d
}
