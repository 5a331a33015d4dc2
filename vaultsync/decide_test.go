package vaultsync

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	testKey = secret.NewHasher("0123", secret.New("a key for tests"))
)

// copyOf is the knowledge of a copy in step with its source; edits bend it.
func copyOf(version int, edits ...func(*knowledge)) knowledge {
	m := Mount{Path: "secret", Version: version, ID: "uuid-1"}
	rule := &Rule{Name: "all", Mount: "secret"}
	s := State{}
	if version == 2 {
		s = State{Version: 3, Created: noon.Add(-48 * time.Hour)}
	}
	e := Entry{Rule: rule, Mount: m, Path: "db", Ref: secret.EncodePath("secret", "db", ""), Name: "db"}
	v := secret.New("x")
	written := noon.Add(-24 * time.Hour)
	tags, _ := wantTags(e, stamp{
		field: "password", version: s.Version, hash: testKey.Sum(v), migrated: "2026-02-28",
		state: secret.State{Print: fingerprint(m, s, noon), Written: written},
	}, nil, nil)
	k := knowledge{
		now: noon, entry: e, hasher: testKey, state: &s,
		row: newRow(secret.Meta{
			Name: "db", Enabled: true, ContentType: contentText, Tags: tags,
			Created: written, Expires: noon.Add(200 * day),
		}),
	}
	for _, edit := range edits {
		edit(&k)
	}
	return k
}

func source(v string) func(*knowledge) {
	return func(k *knowledge) {
		r, err := render(fields("password", strconv.Quote(v)), k.entry.Rule.As, false)
		if err != nil {
			panic(err)
		}
		k.value = &r
	}
}

func destination(v string) func(*knowledge) {
	return func(k *knowledge) {
		s := secret.New(v)
		k.have = &s
		k.row.tags = map[string]string{} // a read by itself brings them
	}
}

func inState(edit func(*State)) func(*knowledge) {
	return func(k *knowledge) { s := *k.state; edit(&s); k.state = &s }
}

func have(edit func(*row)) func(*knowledge)  { return func(k *knowledge) { edit(k.row) } }
func rule(edit func(*Rule)) func(*knowledge) { return func(k *knowledge) { edit(k.entry.Rule) } }
func absentRow(k *knowledge)                 { k.row, k.deleted = nil, &row{} }
func unread(k *knowledge)                    { k.state = nil }
func full(k *knowledge)                      { k.full = true }
func moved(k *knowledge)                     { inState(func(s *State) { s.Version++; s.Created = noon })(k) }
func editedLater(k *knowledge)               { k.row.created = k.row.created.Add(time.Hour) }
func otherKey(k *knowledge)                  { k.hasher = secret.NewHasher("4567", secret.New("another key")) }
func earlierPath(p string) func(k *knowledge) {
	return func(k *knowledge) { k.earlier = &row{path: p, source: DefaultSource} }
}
func overwritten(k *knowledge) { k.earlier, k.row = k.row, &row{created: noon} }

func deletedCopy(removed string) func(*knowledge) {
	return func(k *knowledge) {
		k.deleted = &row{name: "db", path: "secret/db", source: DefaultSource, removed: removed, migrated: "2026-02-01"}
	}
}

func adopting(k *knowledge) {
	k.entry.Rule.Adopt, k.earlier, k.row = true, &row{}, &row{name: "db", created: noon}
}

func gonePath(k *knowledge) { k.absent, k.state = true, nil }
func state0(deleted time.Time) func(*knowledge) {
	return inState(func(s *State) { s.Deletion = deleted })
}
func onDelete(o OnDelete) func(*knowledge)     { return rule(func(r *Rule) { r.OnDelete = o }) }
func onConflict(o OnConflict) func(*knowledge) { return rule(func(r *Rule) { r.OnConflict = o }) }

func TestDecide(t *testing.T) {
	later := noon.Add(30 * day)
	for _, c := range []struct {
		what   string
		k      knowledge
		verb   Verb
		reason Reason
		need   need
	}{
		// a name nobody has
		{"new: ask for the source", copyOf(2, absentRow, unread), "", "", needState},
		{"new: ask for the value", copyOf(2, absentRow), "", "", needValue},
		{"new: ask whether a deleted secret holds the name", copyOf(2, absentRow, source("x"), func(k *knowledge) { k.deleted = nil }), "", "", needDeleted},
		{"new, but deleted by somebody", copyOf(2, absentRow, source("x"), deletedCopy("")), Conflict, ReasonDestinationDeleted, 0},
		{"new, and deleted by us", copyOf(2, absentRow, source("x"), deletedCopy("2026-02-01")), Recover, ReasonSourceBack, 0},
		{"new, deleted by somebody, the rule says recover", copyOf(2, absentRow, source("x"), deletedCopy(""), rule(func(r *Rule) { r.OnDestinationRemoved = RemovedRecover })), Recover, ReasonSourceBack, 0},
		{"new, a deleted secret of somebody else", copyOf(2, absentRow, source("x"), func(k *knowledge) { k.deleted = &row{name: "db"} }), Conflict, ReasonDestinationDeleted, 0},
		{"new", copyOf(2, absentRow, source("x")), Create, ReasonNew, 0},
		{"new on v1", copyOf(1, absentRow, source("x")), Create, ReasonNew, 0},
		{"new but empty", copyOf(2, absentRow, source("")), Skip, ReasonEmpty, 0},
		{"new but deleted", copyOf(2, absentRow, inState(func(s *State) { s.Deletion = noon })), Skip, ReasonSourceDeleted, 0},
		{"new but destroyed", copyOf(2, absentRow, inState(func(s *State) { s.Destroyed = true })), Skip, ReasonSourceDestroyed, 0},
		{"new but never written", copyOf(2, absentRow, inState(func(s *State) { *s = State{} })), Skip, ReasonNeverWritten, 0},
		{"new with a deletion to come is alive", copyOf(2, absentRow, source("x"), inState(func(s *State) { s.Deletion = later })), Create, ReasonNew, 0},
		{"the name collides", copyOf(2, absentRow, func(k *knowledge) { k.entry.Fault = ReasonNameCollision }), Conflict, ReasonNameCollision, 0},

		// whose is it
		{"certificate", copyOf(2, have(func(r *row) { r.managed = true })), Skip, ReasonManaged, 0},
		{"no tags: ask for earlier versions", copyOf(2, have(func(r *row) { *r = row{created: noon} })), "", "", needEarlier},
		{"no tags, ever: foreign", copyOf(2, have(func(r *row) { *r = row{created: noon} }), earlierPath("")), Conflict, ReasonForeign, 0},
		{"no tags now, ours before: a person wrote it", copyOf(2, have(func(r *row) { *r = row{created: noon} }), earlierPath("secret/db")), Conflict, ReasonDestinationChanged, 0},
		{"a person wrote over it: ask whether Vault moved", copyOf(2, overwritten, unread), "", "", needState},
		{"a person wrote over it", copyOf(2, overwritten), Conflict, ReasonDestinationChanged, 0},
		{"a person wrote over it, Vault moved too", copyOf(2, overwritten, moved), Conflict, ReasonBothChanged, 0},
		{"a person wrote over it on v1: ask", copyOf(1, overwritten), "", "", needValue},
		{"a person wrote over it on v1", copyOf(1, overwritten, source("x")), Conflict, ReasonDestinationChanged, 0},
		{"a person wrote over it on v1, Vault moved too", copyOf(1, overwritten, source("y")), Conflict, ReasonBothChanged, 0},
		{"another path", copyOf(2, have(func(r *row) { r.path = "secret/else" })), Conflict, ReasonOtherPath, 0},
		{"another source", copyOf(2, have(func(r *row) { r.source = "old-vault" })), Conflict, ReasonOtherSource, 0},
		{"disabled by somebody, the rule says recover", copyOf(2, source("x"), rule(func(r *Rule) { r.OnDestinationRemoved = RemovedRecover }), have(func(r *row) { r.disabled = true })), Enable, ReasonSourceBack, 0},
		{"disabled by us: ask for the value", copyOf(2, have(func(r *row) { r.disabled, r.removed = true, "2026-02-01" })), "", "", needValue},
		{"disabled by us, the source is back", copyOf(2, source("x"), have(func(r *row) { r.disabled, r.removed = true, "2026-02-01" })), Enable, ReasonSourceBack, 0},
		{"disabled by us, the source is back with another value", copyOf(2, moved, source("y"), have(func(r *row) { r.disabled, r.removed = true, "2026-02-01" })), Update, ReasonSourceBack, 0},
		{"foreign, adopt, equal", copyOf(2, adopting, source("x"), destination("x")), Adopt, ReasonEqualValue, 0},
		{"foreign, adopt, not equal", copyOf(2, adopting, source("x"), destination("y")), Conflict, ReasonForeign, 0},
		{"foreign, adopt: ask", copyOf(2, adopting), "", "", needValue},
		{"another path, proven gone", copyOf(2, source("x"), destination("x"), func(k *knowledge) { k.row.path, k.row.print, k.pathGone = "secret/else", [16]byte{}, true }), Retag, ReasonTags, 0},
		{"another path, proven gone, another value", copyOf(2, source("y"), destination("x"), func(k *knowledge) { k.row.path, k.pathGone = "secret/else", true }), Update, ReasonSourceChanged, 0},

		// gone from the source
		{"gone, keep", copyOf(2, gonePath), Skip, ReasonSourceDeleted, 0},
		{"gone, disable: look first", copyOf(2, gonePath, onDelete(DeleteDisable)), "", "", needHave},
		{"gone, disable", copyOf(2, gonePath, onDelete(DeleteDisable), destination("x")), Disable, ReasonSourceDeleted, 0},
		{"gone, delete", copyOf(2, gonePath, onDelete(DeleteDelete), destination("x")), Delete, ReasonSourceDeleted, 0},
		{"soft-deleted, delete", copyOf(2, state0(noon), onDelete(DeleteDelete), destination("x")), Delete, ReasonSourceDeleted, 0},
		{"destroyed, disable", copyOf(2, inState(func(s *State) { s.Destroyed = true }), onDelete(DeleteDisable), destination("x")), Disable, ReasonSourceDestroyed, 0},
		{"never written is not gone", copyOf(2, inState(func(s *State) { *s = State{} }), onDelete(DeleteDelete), destination("x")), Skip, ReasonNeverWritten, 0},
		{"gone, but somebody edited the copy", copyOf(2, gonePath, onDelete(DeleteDelete), destination("y")), Conflict, ReasonBothChanged, 0},
		{"gone, and the hash says nothing", copyOf(2, gonePath, otherKey, onDelete(DeleteDelete), destination("x")), Conflict, ReasonDestinationUnproven, 0},
		{"gone, and removed before", copyOf(2, gonePath, onDelete(DeleteDisable), have(func(r *row) { r.disabled, r.removed = true, "2026-02-01" })), Skip, ReasonRemoved, 0},
		{"gone, and disabled by somebody", copyOf(2, gonePath, onDelete(DeleteDisable), have(func(r *row) { r.disabled = true })), Conflict, ReasonDestinationDisabled, 0},
		{"gone after the cutover", copyOf(2, gonePath, onDelete(DeleteDelete), have(func(r *row) { r.authority = secret.AuthorityKeyVault })), Skip, ReasonAuthority, 0},

		// whose word counts
		{"both changed, Vault's word: ask nothing more", copyOf(2, moved, source("y"), destination("z"), onConflict(DriftVault)), Update, ReasonBothChanged, 0},
		{"both changed, Key Vault's word", copyOf(2, moved, source("y"), destination("z"), onConflict(DriftKeyVault)), Skip, ReasonDestinationKept, 0},
		{"destination changed, Vault's word: ask", copyOf(2, editedLater, destination("y"), onConflict(DriftVault)), "", "", needValue},
		{"destination changed, Vault's word", copyOf(2, editedLater, source("x"), destination("y"), onConflict(DriftVault)), Update, ReasonDestinationChanged, 0},
		{"destination changed, Key Vault's word", copyOf(2, editedLater, destination("y"), onConflict(DriftKeyVault)), Skip, ReasonDestinationKept, 0},
		{"disabled by somebody", copyOf(2, have(func(r *row) { r.disabled = true })), Conflict, ReasonDestinationDisabled, 0},
		{"state tag edited", copyOf(2, have(func(r *row) { r.state = "?" })), Conflict, ReasonBadTag, 0},
		{"authority tag edited", copyOf(2, have(func(r *row) { r.authority = "me" })), Conflict, ReasonBadTag, 0},

		// Key Vault is its home
		{"cut over: ask whether Vault moved", copyOf(2, unread, have(func(r *row) { r.authority = secret.AuthorityKeyVault })), "", "", needState},
		{"cut over", copyOf(2, have(func(r *row) { r.authority = secret.AuthorityKeyVault })), Skip, ReasonAuthority, 0},
		{"cut over, late write", copyOf(2, moved, have(func(r *row) { r.authority = secret.AuthorityKeyVault })), Skip, ReasonLateWrite, 0},
		{"cut over on v1", copyOf(1, have(func(r *row) { r.authority = secret.AuthorityKeyVault })), Skip, ReasonAuthority, 0},

		// nothing moved
		{"ask for metadata", copyOf(2, unread), "", "", needState},
		{"unchanged without a value read", copyOf(2), Unchanged, ReasonSame, 0},
		{"v1 must read", copyOf(1), "", "", needValue},
		{"v1 unchanged", copyOf(1, source("x")), Unchanged, ReasonSame, 0},
		{"full reads the source", copyOf(2, full), "", "", needValue},
		{"full reads the destination", copyOf(2, full, source("x")), "", "", needHave},
		{"full unchanged", copyOf(2, full, source("x"), destination("x")), Unchanged, ReasonSame, 0},
		{"made later than our write: look", copyOf(2, editedLater), "", "", needHave},
		{"made later, equal: note the time", copyOf(2, editedLater, destination("x")), Retag, ReasonTags, 0},
		{"made later, other value", copyOf(2, editedLater, destination("y")), Conflict, ReasonDestinationChanged, 0},
		{"full finds an edit that kept the time", copyOf(2, full, source("x"), destination("y")), Conflict, ReasonDestinationChanged, 0},
		{"foreign tag is no change", copyOf(2, have(func(r *row) {
			*r = *newRow(secret.Meta{Name: "db", Enabled: true, ContentType: contentText, Created: r.created, Expires: r.expires, Tags: withTag(copyTags(), "team", "blue")})
		})), Unchanged, ReasonSame, 0},
		{"metadata to copy", copyOf(2, rule(func(r *Rule) { r.Metadata = []string{"owner"} }), inState(func(s *State) { s.Custom = map[string]string{"owner": "ann"} })), Retag, ReasonTags, 0},
		{"rotation type newly on the rule", copyOf(2, rule(func(r *Rule) { r.Rotation.Type = "generated" })), Retag, ReasonTags, 0},
		{"expiry runs low", copyOf(2, have(func(r *row) { r.expires = noon.Add(20 * day) })), Retag, ReasonExpiryLow, 0},
		{"a deletion to come is the expiry", copyOf(2, inState(func(s *State) { s.Deletion = later })), Retag, ReasonExpiryLow, 0},

		// the source moved
		{"ask for the value", copyOf(2, moved), "", "", needValue},
		{"ask for what is there", copyOf(2, moved, source("y")), "", "", needHave},
		{"update", copyOf(2, moved, source("y"), destination("x")), Update, ReasonSourceChanged, 0},
		{"v1 update", copyOf(1, source("y"), destination("x")), Update, ReasonSourceChanged, 0},
		{"moved to an equal value", copyOf(2, moved, source("x"), destination("x")), Retag, ReasonEqualValue, 0},
		{"both moved to one value", copyOf(2, moved, source("z"), destination("z")), Retag, ReasonEqualValue, 0},
		{"both changed", copyOf(2, moved, source("y"), destination("z")), Conflict, ReasonBothChanged, 0},
		{"deleted after the copy", copyOf(2, inState(func(s *State) { s.Deletion = noon })), Skip, ReasonSourceDeleted, 0},
		{"emptied after the copy", copyOf(2, moved, source("")), Skip, ReasonEmpty, 0},
		{"grew too large", copyOf(2, moved, source(strings.Repeat("x", 25601))), Conflict, ReasonTooLarge, 0},
		{"older than the copy", copyOf(2, inState(func(s *State) { s.Version = 2 })), Conflict, ReasonRegressed, 0},
		{"a lower version, made after the copy: a new secret", copyOf(2, inState(func(s *State) { s.Version, s.Created = 1, noon })), "", "", needValue},
		{"the mount was made anew", copyOf(2, func(k *knowledge) { k.entry.Mount.ID = "uuid-2" }), "", "", needValue},
		{"a second field", copyOf(2, moved, destination("x"), func(k *knowledge) {
			r, _ := render(fields("password", `"x"`, "user", `"u"`), ShapeAuto, false)
			k.value = &r
		}), Conflict, ReasonShapeChanged, 0},
		{"the rule pins another shape", copyOf(2, rule(func(r *Rule) { r.As = ShapeJSON })), "", "", needValue},
		{"and is obeyed", copyOf(2, destination("x"), rule(func(r *Rule) { r.As = ShapeJSON }), source("x")), Update, ReasonSourceChanged, 0},

		// the hash key is another one
		{"unknown hash: read both", copyOf(2, otherKey), "", "", needValue},
		{"unknown hash, equal values: hash anew", copyOf(2, otherKey, source("x"), destination("x")), Retag, ReasonTags, 0},
		{"unknown hash, source still, other values", copyOf(2, otherKey, source("y"), destination("x")), Conflict, ReasonBothChanged, 0},
		{"unknown hash, source moved", copyOf(2, otherKey, moved, source("y"), destination("x")), Update, ReasonSourceChanged, 0},
		{"unknown hash, source moved, made later", copyOf(2, otherKey, moved, editedLater, source("y"), destination("x")), Conflict, ReasonBothChanged, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := decide(c.k)
			if d.Verb != c.verb || d.Reason != c.reason || d.need != c.need {
				t.Errorf("got %q %q need %d, want %q %q need %d", d.Verb, d.Reason, d.need, c.verb, c.reason, c.need)
			}
			if d.Verb != "" && d.Reason.Meaning() == "" {
				t.Errorf("reason %q has no meaning", d.Reason)
			}
		})
	}
}

// copyTags are the tags of copyOf(2).
func copyTags() map[string]string {
	k := copyOf(2)
	tags, _ := wantTags(k.entry, stamp{
		field: k.row.field, version: 3, hash: k.row.hash, migrated: k.row.migrated,
		state: secret.State{Print: fingerprint(k.entry.Mount, *k.state, noon), Written: noon.Add(-24 * time.Hour)},
	}, nil, nil)
	return tags
}

func withTag(tags map[string]string, k, v string) map[string]string {
	tags[k] = v
	return tags
}

// What a decision writes is what the next run finds in order.
func TestDecisionsSettle(t *testing.T) {
	for what, k := range map[string]knowledge{
		"create":           copyOf(2, absentRow, source("x")),
		"create on v1":     copyOf(1, absentRow, source("x")),
		"update":           copyOf(2, moved, source("y"), destination("x")),
		"equal value":      copyOf(2, moved, editedLater, source("y"), destination("y")),
		"made later":       copyOf(2, editedLater, destination("x")),
		"metadata":         copyOf(2, rule(func(r *Rule) { r.Metadata = []string{"owner"} }), inState(func(s *State) { s.Custom = map[string]string{"owner": "ann"} })),
		"expiry":           copyOf(2, have(func(r *row) { r.expires = noon.Add(20 * day) })),
		"rotation":         copyOf(2, rule(func(r *Rule) { r.Rotation = Rotation{Type: "generated", Days: 30} })),
		"new hash key":     copyOf(2, otherKey, source("x"), destination("x")),
		"pinned shape":     copyOf(2, destination("x"), rule(func(r *Rule) { r.As = ShapeJSON }), source("x")),
		"deletion to come": copyOf(2, inState(func(s *State) { s.Deletion = noon.Add(9 * day) })),
	} {
		t.Run(what, func(t *testing.T) {
			d := decide(k)
			m := secret.Meta{Name: "db", Enabled: true, Created: k.now}
			switch d.Verb {
			case Create, Update:
				m.ContentType, m.Expires, m.Tags = d.draft.ContentType, d.draft.Expires, d.draft.Tags
			case Retag:
				m.ContentType, m.Created, m.Expires, m.Tags = k.row.contentType(), k.row.created, k.row.expires, d.patch.Tags
				if d.patch.Tags == nil {
					m.Tags = copyTags()
				}
				if d.patch.Expires != nil {
					m.Expires = *d.patch.Expires
				}
			default:
				t.Fatalf("verb %q reason %q", d.Verb, d.Reason)
			}
			k.row, k.have = newRow(m), nil
			if k.entry.Mount.Version == 2 {
				k.value = nil
			}
			k.now = k.now.Add(time.Minute)
			if d := decide(k); d.Verb != Unchanged {
				t.Errorf("the next run says %q %q need %d", d.Verb, d.Reason, d.need)
			}
			if len(m.Tags) > secret.MaxTags {
				t.Errorf("%d tags", len(m.Tags))
			}
		})
	}
}
