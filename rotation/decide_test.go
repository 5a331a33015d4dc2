package rotation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/secret"
)

var (
	now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

	testKinds = map[string]Kind{"generated": {Type: "generated"}, "database-password": {Type: "database-password"}, "azure-key": {Type: "azure-key"}}

	resourceA = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/a"

	testTargets = []Target{
		{Name: "random", Type: "generated", Secrets: []string{"app-*", "Cookie"}},
		{Name: "orders-db", Type: "database-password", Secrets: []string{"orders-password"}, Validity: 45 * day},
		{Name: "spare-a", Type: "generated", Secrets: []string{"two-*"}},
		{Name: "spare-b", Type: "generated", Secrets: []string{"two-*"}},
		{Name: "app-db", Type: "database-password", Secrets: []string{"db-*"}, Admin: Admin{Secret: "db-admin"}, Format: "url"},
		{Name: "own-admin", Type: "database-password", Secrets: []string{"crm-*", "CRM-Admin"}, Admin: Admin{Secret: "crm-admin"}},
		{Name: "key-a", Type: "azure-key", Secrets: []string{"storage-*"}, Resource: resourceA, Validity: 45 * day},
		{Name: "key-b", Type: "azure-key", Secrets: []string{"storage-*"}, Resource: resourceA + "b"},
		{Name: "night", Type: "generated", Secrets: []string{"night-*"}, Window: "22:00-04:00"},
		{Name: "mirrored", Type: "generated", Secrets: []string{"mirrored-*"}, WriteBack: true},
		{Name: "early", Type: "generated", Secrets: []string{"early-*"}, BeforeCutover: true},
	}
)

// due90 is a secret of ours that is due: it expires in 29 of its 90 days.
func due90(change ...func(*facts)) facts {
	f := facts{now: now, request: Request{Name: "app-key", Version: "v2", Cause: CauseNearExpiry}, meta: secret.Meta{
		Name: "app-key", Version: "v2", Enabled: true, Created: now.Add(-61 * day), Expires: now.Add(29 * day),
		Tags: map[string]string{secret.TagRotationType: "generated"},
	}}
	for _, c := range change {
		c(&f)
	}
	return f
}

func tag(name, value string) func(*facts) {
	return func(f *facts) {
		if value == "" {
			delete(f.meta.Tags, name)
		} else {
			f.meta.Tags[name] = value
		}
	}
}

func named(name string) func(*facts) {
	return func(f *facts) { f.request.Name, f.meta.Name = name, name }
}

func expiresIn(d time.Duration) func(*facts) { return func(f *facts) { f.meta.Expires = now.Add(d) } }
func aged(d time.Duration) func(*facts)      { return func(f *facts) { f.meta.Created = now.Add(-d) } }
func noExpiry(f *facts)                      { f.meta.Expires = time.Time{} }
func force(f *facts)                         { f.request.Force = true }
func asks(version string) func(*facts)       { return func(f *facts) { f.request.Version = version } }
func contentType(s string) func(*facts)      { return func(f *facts) { f.meta.ContentType = s } }
func tags(n int) func(*facts) {
	return func(f *facts) {
		for i := len(f.meta.Tags); i < n; i++ {
			f.meta.Tags[fmt.Sprintf("foreign-%d", i)] = "x"
		}
	}
}

func TestDecide(t *testing.T) {
	const address, msDays = secret.TagProviderAddress, secret.TagValidityDays
	const authority, typ, target, days = secret.TagAuthority, secret.TagRotationType, secret.TagRotationTarget, secret.TagRotationDays
	rotated := secret.RotationState{ID: "id1", From: "v1", At: now.Add(-day)}.String()
	paused := Settings{Paused: true, Targets: testTargets}
	usual := Settings{Targets: testTargets}
	for _, c := range []struct {
		name     string
		facts    facts
		settings Settings
		verdict  Verdict
		reason   Reason
	}{
		// What is not looked at.
		{"a secret of ours", due90(named("keyferry--hash-key")), usual, Nothing, ReasonOwn},
		{"a secret of ours, whatever its case and by force", due90(named("Keyferry--pending--x"), force), usual, Nothing, ReasonOwn},
		{"missing", due90(func(f *facts) { f.missing = true }), usual, Nothing, ReasonNotFound},
		{"managed", due90(func(f *facts) { f.meta.Managed = true }), usual, Nothing, ReasonManaged},
		{"disabled, told by the read", due90(func(f *facts) { f.disabled = true }), usual, Nothing, ReasonDisabled},
		{"disabled, told by its properties", due90(func(f *facts) { f.meta.Enabled = false }), usual, Nothing, ReasonDisabled},
		{"managed and forced", due90(func(f *facts) { f.meta.Managed = true }, force), usual, Nothing, ReasonManaged},
		{"paused", due90(), paused, Nothing, ReasonPaused},
		{"paused and forced", due90(force), paused, Nothing, ReasonPaused},
		{"paused raises no alert either", due90(tag(typ, "manual")), paused, Nothing, ReasonPaused},

		// Events about another version than the current one.
		{"superseded", due90(asks("v1")), usual, Nothing, ReasonSuperseded},
		{"superseded and forced", due90(asks("v1"), force), usual, Nothing, ReasonSuperseded},
		{"already rotated from that version", due90(asks("v1"), tag(secret.TagRotationState, rotated)), usual, Nothing, ReasonAlreadyRotated},
		{"rotated from another version", due90(asks("v0"), tag(secret.TagRotationState, rotated)), usual, Nothing, ReasonSuperseded},
		{"a rotation state somebody typed", due90(asks("v1"), tag(secret.TagRotationState, "v1")), usual, Nothing, ReasonSuperseded},
		{"a version that came of a rotation is rotated in its turn", due90(tag(secret.TagRotationState, rotated)), usual, Rotated, ReasonNearExpiry},
		{"no version asked for means the current one", due90(asks("")), usual, Rotated, ReasonNearExpiry},

		// Due or not.
		{"29 days left", due90(), usual, Rotated, ReasonNearExpiry},
		{"30 days left", due90(expiresIn(30 * day)), usual, Rotated, ReasonNearExpiry},
		{"a second more than 30 days left", due90(expiresIn(30*day + time.Second)), usual, Nothing, ReasonNotDue},
		{"not due but forced", due90(expiresIn(80*day), force), usual, Rotated, ReasonForced},
		{"expired", due90(expiresIn(-time.Second)), usual, Rotated, ReasonExpired},
		{"expires this instant", due90(expiresIn(0)), usual, Rotated, ReasonExpired},
		{"forced and due keeps the reason", due90(force), usual, Rotated, ReasonNearExpiry},
		{"valid for 60 days, event at 30", due90(expiresIn(30*day), tag(days, "60")), usual, Rotated, ReasonNearExpiry},
		{"valid for 59 days, event at 30", due90(expiresIn(30*day), tag(days, "59")), usual, Nothing, ReasonNotDue},
		{"valid for 59 days, a third left", due90(expiresIn(19*day), tag(days, "59")), usual, Rotated, ReasonNearExpiry},
		{"valid for 365 days, 30 left", due90(expiresIn(30*day), tag(days, "365")), usual, Rotated, ReasonNearExpiry},
		{"valid for 365 days, 31 left", due90(expiresIn(31*day), tag(days, "365")), usual, Nothing, ReasonNotDue},
		{"rotateBefore 7 days, 8 left", due90(expiresIn(8 * day)), Settings{RotateBefore: 7 * day, Targets: testTargets}, Nothing, ReasonNotDue},
		{"rotateBefore 7 days, 7 left", due90(expiresIn(7 * day)), Settings{RotateBefore: 7 * day, Targets: testTargets}, Rotated, ReasonNearExpiry},
		{"rotateBefore 60 days of 120, 40 left", due90(expiresIn(40*day), tag(days, "120")), Settings{RotateBefore: 60 * day, Targets: testTargets}, Rotated, ReasonNearExpiry},
		{"rotateBefore 60 days of 120, 41 left", due90(expiresIn(41*day), tag(days, "120")), Settings{RotateBefore: 60 * day, Targets: testTargets}, Nothing, ReasonNotDue},
		{"valid for 30 days, just made: no loop", due90(expiresIn(30*day), aged(0), tag(days, "30")), usual, Nothing, ReasonNotDue},
		{"valid for 30 days, 10 left", due90(expiresIn(10*day), tag(days, "30")), usual, Rotated, ReasonNearExpiry},
		{"valid for one day, just made: no loop", due90(expiresIn(day), aged(0), tag(days, "1")), usual, Nothing, ReasonNotDue},
		{"no expiry, young", due90(noExpiry, aged(89*day)), usual, Nothing, ReasonNotDue},
		{"no expiry, as old as its validity", due90(noExpiry, aged(90*day)), usual, Rotated, ReasonAge},
		{"no expiry and no time of its making", due90(noExpiry, func(f *facts) { f.meta.Created = time.Time{} }), usual, Nothing, ReasonNotDue},
		{"validity of the target without a tag", due90(named("orders-password"), tag(typ, "database-password"), expiresIn(16*day)), usual, Nothing, ReasonNotDue},
		{"validity of the tag over that of the target", due90(named("orders-password"), tag(typ, "database-password"), tag(days, "90"), expiresIn(16*day)), usual, Rotated, ReasonNearExpiry},

		// Young versions.
		{"younger than an hour", due90(aged(59 * time.Minute)), usual, Nothing, ReasonTooYoung},
		{"an hour old", due90(aged(time.Hour)), usual, Rotated, ReasonNearExpiry},
		{"younger than an hour and expired", due90(aged(time.Minute), expiresIn(-time.Second)), usual, Nothing, ReasonTooYoung},
		{"younger than an hour but forced", due90(aged(0), force), usual, Rotated, ReasonNearExpiry},
		{"made in the future by another clock", due90(aged(-time.Minute)), usual, Nothing, ReasonTooYoung},
		{"an alert waits for no age", due90(aged(0), tag(typ, "manual")), usual, Manual, ReasonManual},

		// Who owns the value.
		{"Vault is the authority", due90(tag(authority, "vault")), usual, Manual, ReasonNotCutOver},
		{"Vault is the authority, by force", due90(tag(authority, "vault"), force), usual, Manual, ReasonNotCutOver},
		{"Vault is the authority, not due", due90(tag(authority, "vault"), expiresIn(80*day)), usual, Nothing, ReasonNotDue},
		{"Vault is the authority, the type unknown", due90(tag(authority, "vault"), tag(typ, "telepathy")), usual, Manual, ReasonNotCutOver},
		{"synced, no rotation-type: the sync renews it", due90(tag(authority, "vault"), tag(typ, "")), usual, Nothing, ReasonSynced},
		{"synced, no rotation-type, expired", due90(tag(authority, "vault"), tag(typ, ""), expiresIn(-day)), usual, Nothing, ReasonSynced},
		{"a copy whose authority tag was lost", due90(tag(secret.TagVaultPath, "secret/app/key")), usual, Manual, ReasonNotCutOver},
		{"cut over", due90(tag(authority, "keyvault"), tag(secret.TagVaultPath, "secret/app/key")), usual, Rotated, ReasonNearExpiry},
		{"an authority nobody knows", due90(tag(authority, "Vault")), usual, Failed, ReasonInvalidTag},

		// Who rotates it.
		{"by hand", due90(tag(typ, "manual")), usual, Manual, ReasonManual},
		{"by hand, and listed nowhere", due90(tag(typ, "manual"), named("elsewhere")), usual, Manual, ReasonManual},
		{"by hand, not due", due90(tag(typ, "manual"), expiresIn(80*day)), usual, Nothing, ReasonNotDue},
		{"nobody said", due90(tag(typ, "")), usual, Manual, ReasonNoType},
		{"a type nobody knows", due90(tag(typ, "telepathy")), usual, Manual, ReasonUnknownType},
		{"a type in capitals is not known", due90(tag(typ, "Generated")), usual, Manual, ReasonUnknownType},
		{"spaces around a type", due90(tag(typ, " generated ")), usual, Rotated, ReasonNearExpiry},

		// Where it may act.
		{"no target lists it", due90(named("elsewhere")), usual, Failed, ReasonNoTarget},
		{"no targets at all", due90(), Settings{}, Failed, ReasonNoTarget},
		{"a glob lists it", due90(named("app-other")), usual, Rotated, ReasonNearExpiry},
		{"a name lists it, whatever the case", due90(named("COOKIE")), usual, Rotated, ReasonNearExpiry},
		{"only a target of another type lists it", due90(named("orders-password")), usual, Failed, ReasonTargetRefused},
		{"the tag names the target that lists it", due90(tag(target, "random")), usual, Rotated, ReasonNearExpiry},
		{"the tag names a target that does not list it", due90(tag(target, "spare-a")), usual, Failed, ReasonTargetRefused},
		{"the tag names no target", due90(tag(target, "https://evil.example")), usual, Failed, ReasonTargetRefused},
		{"the tag names a target of another type", due90(named("orders-password"), tag(target, "orders-db")), usual, Failed, ReasonTargetRefused},
		{"several list it", due90(named("two-faced")), usual, Failed, ReasonTargetAmbiguous},
		{"several list it and the tag chooses", due90(named("two-faced"), tag(target, "spare-b")), usual, Rotated, ReasonNearExpiry},
		{"a refused target is told only when due", due90(named("elsewhere"), expiresIn(80*day)), usual, Nothing, ReasonNotDue},

		// The secrets of administrators.
		{"the admin secret of a target that lists it by a glob", due90(named("db-admin"), tag(typ, "database-password")), usual, Failed, ReasonAdminSecret},
		{"the same, aimed by the tag", due90(named("DB-admin"), tag(typ, "database-password"), tag(target, "app-db")), usual, Failed, ReasonAdminSecret},
		{"an admin secret that its target lists by name", due90(named("crm-admin"), tag(typ, "database-password")), usual, Rotated, ReasonNearExpiry},
		{"a neighbour of an admin secret", due90(named("db-orders"), tag(typ, "database-password")), usual, Rotated, ReasonNearExpiry},

		// Microsoft's tags.
		{"the resource chooses the target", due90(named("storage-1"), tag(typ, ""), tag(address, strings.ToUpper(resourceA))), usual, Nothing, ReasonNotDue},
		{"the resource chooses the target, and it is due", due90(named("storage-1"), tag(typ, ""), tag(address, resourceA), expiresIn(15*day)), usual, Rotated, ReasonNearExpiry},
		{"its validity counts where the resource is declared", due90(named("storage-1"), tag(typ, ""), tag(address, resourceA), tag(msDays, "90")), usual, Rotated, ReasonNearExpiry},
		{"its validity means nothing elsewhere", due90(tag(msDays, "soon"), tag(address, resourceA)), usual, Rotated, ReasonNearExpiry},
		{"a validity that is none", due90(named("storage-1"), tag(typ, ""), tag(address, resourceA), tag(msDays, "")), usual, Nothing, ReasonNotDue},
		{"a resource nobody declared", due90(named("storage-1"), tag(typ, ""), tag(address, resourceA+"c")), usual, Failed, ReasonTargetRefused},
		{"a resource declared for other secrets", due90(tag(typ, ""), tag(address, resourceA)), usual, Failed, ReasonTargetRefused},
		{"type and resource agree", due90(named("storage-1"), tag(typ, "azure-key"), tag(address, resourceA+"b")), usual, Rotated, ReasonNearExpiry},
		{"type without resource is ambiguous", due90(named("storage-1"), tag(typ, "azure-key")), usual, Failed, ReasonTargetAmbiguous},
		{"target and resource disagree", due90(named("storage-1"), tag(typ, "azure-key"), tag(target, "key-b"), tag(address, resourceA), expiresIn(day)), usual, Failed, ReasonTargetRefused},

		// Windows, and what Vault still owns.
		{"the window is closed", due90(named("night-1")), usual, Nothing, ReasonWindow},
		{"force does not open it", due90(named("night-1"), force), usual, Nothing, ReasonWindow},
		{"the window is open", due90(named("night-1"), func(f *facts) { f.now = now.Add(11 * time.Hour) }), usual, Rotated, ReasonNearExpiry},
		{"expired beats the window", due90(named("night-1"), expiresIn(-time.Second)), usual, Rotated, ReasonExpired},
		{"before cutover, with write-back", due90(named("mirrored-1"), tag(authority, "vault")), usual, Rotated, ReasonNearExpiry},
		{"before cutover, accepted", due90(named("early-1"), tag(authority, "vault")), usual, Rotated, ReasonNearExpiry},
		{"before cutover, with write-back and no target of its type", due90(named("mirrored-1"), tag(authority, "vault"), tag(typ, "azure-key")), usual, Manual, ReasonNotCutOver},
		{"its type vanished", due90(tag(typ, ""), expiresIn(80*day), func(f *facts) { f.vanished = true }), usual, Manual, ReasonTypeVanished},
		{"its type vanished, and it is a copy from Vault", due90(tag(typ, ""), tag(authority, "vault"), func(f *facts) { f.vanished = true }), usual, Nothing, ReasonSynced},

		// Tags and content that forbid it.
		{"validity of no days", due90(tag(days, "0")), usual, Failed, ReasonInvalidTag},
		{"validity of 3650 days", due90(tag(days, "3650")), usual, Rotated, ReasonNearExpiry},
		{"validity of 3651 days", due90(tag(days, "3651")), usual, Failed, ReasonInvalidTag},
		{"validity with a sign", due90(tag(days, "+90")), usual, Failed, ReasonInvalidTag},
		{"validity with a leading zero", due90(tag(days, "090")), usual, Failed, ReasonInvalidTag},
		{"validity with a unit", due90(tag(days, "90d")), usual, Failed, ReasonInvalidTag},
		{"validity beyond any number", due90(tag(days, strings.Repeat("9", 30))), usual, Failed, ReasonInvalidTag},
		{"validity left empty", due90(func(f *facts) { f.meta.Tags[days] = "" }), usual, Failed, ReasonInvalidTag},
		{"a bad validity of what sync owns is sync's concern", due90(tag(authority, "vault"), tag(typ, ""), tag(days, "x")), usual, Nothing, ReasonSynced},
		{"13 tags leave room for two more", due90(tags(13)), usual, Rotated, ReasonNearExpiry},
		{"14 tags leave room for one", due90(tags(14)), usual, Failed, ReasonTagsFull},
		{"15 tags with ours among them", due90(tag(authority, "keyvault"), tag(secret.TagRotationState, rotated), tags(15)), usual, Rotated, ReasonNearExpiry},
		{"a tag of 256 characters", due90(tag("note", strings.Repeat("ü", 256))), usual, Rotated, ReasonNearExpiry},
		{"a tag of 257 characters", due90(tag("note", strings.Repeat("ü", 257))), usual, Failed, ReasonTagsFull},
		{"plain text", due90(contentType("text/plain; charset=utf-8")), usual, Rotated, ReasonNearExpiry},
		{"a content type that is a remark", due90(contentType("password of the shop")), usual, Rotated, ReasonNearExpiry},
		{"JSON", due90(contentType("application/json")), usual, Failed, ReasonFormat},
		{"a dialect of JSON", due90(contentType("Application/vnd.acme+JSON; v=1")), usual, Failed, ReasonFormat},
		{"a certificate", due90(contentType("application/x-pkcs12")), usual, Failed, ReasonFormat},
		{"a target that knows where the password is", due90(named("db-orders"), tag(typ, "database-password"), contentType("application/json")), usual, Rotated, ReasonNearExpiry},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := decide(c.facts, c.settings.withDefaults(), testKinds)
			if d.verdict != c.verdict || d.reason != c.reason {
				t.Errorf("got %s (%s: %s), want %s (%s)", d.verdict, d.reason, d.text, c.verdict, c.reason)
			}
			if d.text == "" {
				t.Error("the decision gives no reason in words")
			}
			if d.verdict == Rotated && (c.facts.meta.Tags[typ] != "" && d.target.Type != strings.TrimSpace(c.facts.meta.Tags[typ]) || !d.target.Lists(c.facts.meta.Name) || d.validity < day) {
				t.Errorf("target %q of type %q, validity %v", d.target.Name, d.target.Type, d.validity)
			}
		})
	}
}

// TestNoValidityLoops drives versions of every validity through years of daily events: a new version must never be due
// at once, and none may expire.
func TestNoValidityLoops(t *testing.T) {
	for _, before := range []time.Duration{time.Hour, 7 * day, 30 * day, 400 * day} {
		s := Settings{RotateBefore: before, Targets: testTargets}.withDefaults()
		for _, days := range []int{1, 2, 3, 7, 15, 29, 30, 31, 59, 60, 61, 90, 120, 365} {
			f := due90(tag(secret.TagRotationDays, fmt.Sprint(days)), aged(0), expiresIn(time.Duration(days)*day), asks(""))
			made := 0
			for hour := range 24 * 2 * days {
				f.now = now.Add(time.Duration(hour) * time.Hour)
				if f.now.After(f.meta.Expires) {
					t.Fatalf("validity %d days, rotateBefore %v: expired unnoticed", days, before)
				}
				if d := decide(f, s, testKinds); d.verdict == Rotated {
					made++
					f.meta.Created, f.meta.Expires = f.now, f.now.Add(d.validity)
				}
			}
			if made < 1 || made > 4 {
				t.Errorf("validity %d days, rotateBefore %v: %d versions in twice the validity", days, before, made)
			}
		}
	}
}

func TestValidityOrder(t *testing.T) {
	s := Settings{Validity: 10 * day}
	for _, c := range []struct {
		name   string
		tags   map[string]string
		target Target
		want   time.Duration
	}{
		{"settings", nil, Target{}, 10 * day},
		{"target over settings", nil, Target{Validity: 20 * day}, 20 * day},
		{"tag over target", map[string]string{secret.TagRotationDays: "30"}, Target{Validity: 20 * day}, 30 * day},
	} {
		if got, err := validityOf(c.tags, c.target, s); got != c.want || err != nil {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func FuzzValidityTag(f *testing.F) {
	for _, seed := range []string{"90", "0", "3650", "3651", "-1", "٣", "1e3", " 1", "0x10"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := validityOf(map[string]string{secret.TagRotationDays: text}, Target{}, Settings{})
		if err == nil && (got < minValidity || got > maxValidity || fmt.Sprint(int(got/day)) != text) {
			t.Fatalf("%q is taken for %v", text, got)
		}
	})
}

func TestSuccessorKeepsWhatIsNotOfTheOldValue(t *testing.T) {
	made := secret.RotationState{ID: "id2", From: "v2", At: now}
	old := map[string]string{"owner": "shop", secret.TagVaultPath: "secret/a", secret.TagVaultState: "p.1", secret.TagVaultHash: "old",
		secret.TagAuthority: "keyvault", secret.TagRotationState: "x.v1.1", secret.TagRotationType: "generated"}
	for _, c := range []struct {
		name, hash, want string
		tags             int
	}{
		{"hash known", "k.new", "k.new", 7},
		{"hash unknown", "", "", 7},
		{"hash known but no room", "k.new", "", 16},
	} {
		before := map[string]string{}
		for k, v := range old {
			before[k] = v
		}
		for i := len(before); i < c.tags; i++ {
			before[fmt.Sprint("foreign", i)] = "x"
		}
		got := successorTags(before, made, c.hash)
		if got[secret.TagVaultHash] != c.want || got["owner"] != "shop" || got[secret.TagVaultPath] != "secret/a" ||
			got[secret.TagVaultState] != "p.1" || got[secret.TagAuthority] != "keyvault" || got[secret.TagRotationState] != made.String() {
			t.Errorf("%s: %v", c.name, got)
		}
		if before[secret.TagVaultHash] != "old" {
			t.Errorf("%s: the old tags were changed in place", c.name)
		}
	}
	if got := successorTags(nil, made, "k.new"); len(got) != 2 {
		t.Errorf("a secret that never was in Vault gets %v", got)
	}
}
