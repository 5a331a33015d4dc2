package rotation

import (
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyferry/keyferry/secret"
)

// TypeManual is the rotation-type that only raises an alert. It is a word of the engine, not a rotator.
const TypeManual = "manual"

// facts is everything a decision is made of besides the settings.
type facts struct {
	request  Request
	missing  bool        // there is no such secret
	disabled bool        // its current version is disabled, and nothing else is known of it
	meta     secret.Meta // of the current version
	now      time.Time
	vanished bool // it had a rotation-type at the last look, and has none any more
}

// decision is what to do and why. The verdict Rotated means: rotate now, at target.
type decision struct {
	verdict  Verdict
	reason   Reason
	text     string
	target   Target
	validity time.Duration
	// writeBack: the value is a copy from Vault, and the next one goes there too.
	writeBack bool
}

// decide is the policy of rotation. It looks at nothing but its arguments. Settings are complete (withDefaults).
func decide(f facts, s Settings, kinds map[string]Kind) decision {
	if d, stop := invisible(f, s); stop {
		return d
	}
	tags := f.meta.Tags
	fromVault, err := vaultOwns(tags)
	if err != nil {
		return decision{verdict: Failed, reason: ReasonInvalidTag, text: err.Error()}
	}
	target, typ, problem := chooseTarget(f.meta.Name, tags, s.Targets)
	if fromVault && typ == "" {
		return decision{verdict: Nothing, reason: ReasonSynced, text: "it is copied from Vault, and the sync renews its expiry"}
	}
	validity, err := validityOf(tags, target, s)
	if err != nil {
		return decision{verdict: Failed, reason: ReasonInvalidTag, text: err.Error()}
	}
	due := dueOf(f.meta, f.now, validity, s.RotateBefore)
	switch {
	case typ == "" && f.vanished:
		return decision{verdict: Manual, reason: ReasonTypeVanished, text: "its tag " + secret.TagRotationType + " is gone: nobody will rotate it"}
	case !due.yes && !f.request.Force:
		return decision{verdict: Nothing, reason: ReasonNotDue, text: due.text}
	case fromVault && (problem != nil || !target.WriteBack && !target.BeforeCutover):
		return decision{verdict: Manual, reason: ReasonNotCutOver,
			text: due.text + ", but Vault is still its authority: rotate it there, or cut it over"}
	}
	if problem != nil && typ == "" && tags[secret.TagProviderAddress] != "" {
		return *problem
	}
	if d, stop := manual(typ, kinds, due); stop {
		return d
	}
	if problem != nil {
		return *problem
	}
	if d, stop := unfit(f.meta, target, due); stop {
		return d
	}
	if d, stop := later(f, target, due, s); stop {
		return d
	}
	reason := due.reason
	if !due.yes {
		reason = ReasonForced
	}
	return decision{verdict: Rotated, reason: reason, text: due.text, target: target, validity: validity, writeBack: fromVault && target.WriteBack}
}

// later finds what keeps a rotation from beginning now and passes by itself.
func later(f facts, target Target, when due, s Settings) (decision, bool) {
	if age := ageOf(f.meta, f.now); age < s.MinAge && !f.request.Force {
		return decision{verdict: Nothing, reason: ReasonTooYoung,
			text: fmt.Sprintf("%s, but its version is %s old and the minimum is %s", when.text, inDays(age), inDays(s.MinAge))}, true
	}
	// A window that cannot be read was refused by Validate. Expired secrets have readers that fail already.
	if w, err := parseWindow(target.Window); err == nil && !w.open(f.now) && when.reason != ReasonExpired {
		return decision{verdict: Nothing, reason: ReasonWindow, text: when.text + ", and waits for the window " + target.Window}, true
	}
	return decision{}, false
}

// untouched finds the requests for which nothing is even read.
func untouched(r Request, s Settings) (decision, bool) {
	switch {
	case secret.Own(r.Name):
		return decision{verdict: Nothing, reason: ReasonOwn, text: "it belongs to Keyferry itself"}, true
	case s.Paused:
		return decision{verdict: Nothing, reason: ReasonPaused, text: "rotation.paused is set"}, true
	}
	return decision{}, false
}

// invisible finds the secrets that are not to be looked at further.
func invisible(f facts, s Settings) (decision, bool) {
	nothing := func(r Reason, text string) (decision, bool) {
		return decision{verdict: Nothing, reason: r, text: text}, true
	}
	if d, stop := untouched(f.request, s); stop {
		return d, true
	}
	version := f.request.Version
	switch {
	case f.missing:
		return nothing(ReasonNotFound, "there is no such secret")
	case f.disabled || !f.meta.Enabled:
		return nothing(ReasonDisabled, "its current version is disabled")
	case f.meta.Managed:
		return nothing(ReasonManaged, "it backs a certificate, which Key Vault renews itself")
	case version != "" && version != f.meta.Version:
		made, err := secret.ParseRotationState(f.meta.Tags[secret.TagRotationState])
		if err == nil && made.From == version {
			return nothing(ReasonAlreadyRotated, "the version was rotated at "+made.At.Format(time.RFC3339))
		}
		return nothing(ReasonSuperseded, "the version is no longer the current one")
	}
	return decision{}, false
}

// vaultOwns reports whether the value is a copy that sync would overwrite. A copy whose authority tag was lost still is
// one: a rotation in Key Vault alone would be undone.
func vaultOwns(tags map[string]string) (bool, error) {
	switch authority := tags[secret.TagAuthority]; authority {
	case secret.AuthorityVault:
		return true, nil
	case secret.AuthorityKeyVault:
		return false, nil
	case "":
		return tags[secret.TagVaultPath] != "", nil
	default:
		return false, fmt.Errorf("the tag %s is %s, neither vault nor keyvault", secret.TagAuthority, quoted(authority))
	}
}

// manual finds the secrets that a person rotates.
func manual(typ string, kinds map[string]Kind, when due) (decision, bool) {
	_, known := kinds[typ]
	switch {
	case typ == "":
		return decision{verdict: Manual, reason: ReasonNoType, text: when.text + ", and no tag says how to rotate it"}, true
	case typ == TypeManual:
		return decision{verdict: Manual, reason: ReasonManual, text: when.text + ", and it is rotated by hand"}, true
	case !known:
		return decision{verdict: Manual, reason: ReasonUnknownType,
			text: fmt.Sprintf("%s, and its tag %s names no rotator: %s", when.text, secret.TagRotationType, quoted(typ))}, true
	}
	return decision{}, false
}

// unfit finds what makes the publish impossible or harmful, before anything is touched.
func unfit(meta secret.Meta, target Target, when due) (decision, bool) {
	if n := len(successorTags(meta.Tags, secret.RotationState{}, "")); n > secret.MaxTags {
		return decision{verdict: Failed, reason: ReasonTagsFull, text: fmt.Sprintf(
			"%s, but with the tags of a rotation it would have %d, and Key Vault takes %d", when.text, n, secret.MaxTags)}, true
	}
	for _, name := range slices.Sorted(maps.Keys(meta.Tags)) {
		if n := utf8.RuneCountInString(meta.Tags[name]); n > secret.MaxTagValue {
			return decision{verdict: Failed, reason: ReasonTagsFull, text: fmt.Sprintf(
				"%s, but its tag %s has %d characters, and a new version takes %d", when.text, quoted(name), n, secret.MaxTagValue)}, true
		}
	}
	if !raw(target.Format) {
		return decision{}, false
	}
	media, _, err := mime.ParseMediaType(meta.ContentType)
	if err != nil {
		return decision{}, false // free text: people write what they like there
	}
	if strings.HasSuffix(media, "json") || media == "application/x-pkcs12" || media == "application/x-pem-file" {
		return decision{verdict: Failed, reason: ReasonFormat, text: when.text +
			", but its content type says that a password is only a part of it: " + quoted(media)}, true
	}
	return decision{}, false
}

// quoted shows what a person wrote into a tag.
func quoted(s string) string { return fmt.Sprintf("%q", secret.Shorten(s, 64)) }
