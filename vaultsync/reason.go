package vaultsync

// Verb is what happens to a secret in the destination.
type Verb string

const (
	Create    Verb = "create"    // first version
	Update    Verb = "update"    // new version with the source's value
	Retag     Verb = "retag"     // tags, content type or expiry patched; no new version
	Adopt     Verb = "adopt"     // a secret of somebody else with the same value becomes the copy
	Cutover   Verb = "cutover"   // its authority changed; by command only
	Enable    Verb = "enable"    // we disabled it, and the source is back
	Recover   Verb = "recover"   // we deleted it, and the source is back
	Disable   Verb = "disable"   // the source is gone
	Delete    Verb = "delete"    // the source is gone; soft delete, never purged
	Unchanged Verb = "unchanged" //
	Skip      Verb = "skip"      // nothing to do, and nothing is wrong
	Conflict  Verb = "conflict"  // somebody has to decide
	Failed    Verb = "failed"    // it was tried
)

// Sigil is the character that begins the line of a change in a report.
func (v Verb) Sigil() string {
	switch v {
	case Create:
		return "+"
	case Update:
		return "~"
	case Retag:
		return "#"
	case Unchanged:
		return "="
	case Adopt, Cutover:
		return "@"
	case Enable, Recover:
		return "^"
	case Disable, Delete:
		return "-"
	case Skip:
		return "o"
	case Conflict:
		return "!"
	}
	return "x"
}

// changes reports whether the verb writes to the destination.
func (v Verb) changes() bool {
	switch v {
	case Unchanged, Skip, Conflict, Failed:
		return false
	}
	return true
}

// removes reports whether the verb takes something away, and so goes through the fuse.
func (v Verb) removes() bool { return v == Disable || v == Delete }

// Reason is the stable code that says why a verb was chosen. For Failed it is the code of the error.
type Reason string

const (
	ReasonNew           Reason = "new"
	ReasonSourceChanged Reason = "source-changed"
	ReasonSame          Reason = "same"
	ReasonTags          Reason = "tags"
	ReasonExpiryLow     Reason = "expiry"
	ReasonEqualValue    Reason = "equal-value"

	ReasonSourceDeleted   Reason = "source-deleted"
	ReasonSourceDestroyed Reason = "source-destroyed"
	ReasonNeverWritten    Reason = "never-written"
	ReasonEmpty           Reason = "empty"
	ReasonSeveralFields   Reason = "several-fields"
	ReasonCertificate     Reason = "belongs-in-certificates"
	ReasonManaged         Reason = "managed"
	ReasonAuthority       Reason = "authority-keyvault"
	ReasonLateWrite       Reason = "late-write"
	ReasonVanished        Reason = "vanished"
	ReasonSourceBack      Reason = "source-back"
	ReasonRemoved         Reason = "removed"
	ReasonDestinationKept Reason = "destination-kept"
	ReasonUnselected      Reason = "unselected"
	ReasonMountRemade     Reason = "mount-remade"
	ReasonUnproven        Reason = "absence-unproven"
	ReasonRotating        Reason = "rotating"
	ReasonRenamed         Reason = "renamed"
	ReasonNotPlanned      Reason = "not-in-plan"
	ReasonNotJSON         Reason = "not-json"

	ReasonBroughtBack    Reason = "brought-back"
	ReasonMountEmptied   Reason = "mount-emptied"
	ReasonSourceRestored Reason = "source-restored"

	ReasonTooLarge            Reason = "too-large"
	ReasonNameCollision       Reason = "name-collision"
	ReasonNameEmpty           Reason = "name-empty"
	ReasonForeign             Reason = "foreign"
	ReasonOtherPath           Reason = "other-path"
	ReasonOtherSource         Reason = "other-source"
	ReasonDestinationDisabled Reason = "destination-disabled"
	ReasonDestinationDeleted  Reason = "destination-deleted"
	ReasonDestinationChanged  Reason = "destination-changed"
	ReasonBothChanged         Reason = "both-changed"
	ReasonShapeChanged        Reason = "shape-changed"
	ReasonRegressed           Reason = "regressed"
	ReasonBadTag              Reason = "bad-tag"
	ReasonFuse                Reason = "fuse"
	ReasonMovedSincePlan      Reason = "moved-since-plan"
	ReasonValuesDiffer        Reason = "values-differ"
	ReasonNotCopied           Reason = "not-copied"
	ReasonDestinationUnproven Reason = "destination-unproven"
)

// meanings says in a sentence what a reason means and, where there is something to do, what.
var meanings = map[Reason]string{
	ReasonNew:           "not in Key Vault yet",
	ReasonSourceChanged: "Vault holds another version than the one copied",
	ReasonSame:          "nothing moved",
	ReasonTags:          "tags or content type differ from what the rules say",
	ReasonExpiryLow:     "the expiry date moves",
	ReasonEqualValue:    "Vault moved on but holds the same value; only tags are written",

	ReasonSourceDeleted:   "deleted in Vault",
	ReasonSourceDestroyed: "destroyed in Vault",
	ReasonNeverWritten:    "Vault has metadata for it but no version",
	ReasonEmpty:           "empty in Vault: no fields, null or an empty string",
	ReasonSeveralFields:   "has several fields and the rule says as: value; use as: json",
	ReasonCertificate:     "is a PEM or PFX: import it as a Key Vault certificate, or set pem: true on the rule",
	ReasonManaged:         "the name belongs to a Key Vault certificate",
	ReasonAuthority:       "Key Vault is its home now (authority=keyvault)",
	ReasonLateWrite:       "Key Vault is its home now, and somebody still wrote to Vault",
	ReasonVanished:        "was listed and is gone now; the next run looks again",

	ReasonSourceBack:      "we removed it, and Vault has it again",
	ReasonRemoved:         "removed by an earlier run",
	ReasonDestinationKept: "somebody changed the value in Key Vault, and the rule says onConflict: keyvault",
	ReasonUnselected:      "copied once, and no rule selects its path any more; it is kept",
	ReasonMountRemade:     "its mount was deleted and made anew in Vault; it is kept",
	ReasonUnproven:        "not seen in Vault, but its folder could not be read; it is kept",
	ReasonRenamed:         "its source is copied under another name now; this copy is kept",
	ReasonNotPlanned:      "came up after the plan was made",
	ReasonNotJSON:         "Vault sent a field that is not JSON",
	ReasonRotating:        "a rotation of it is under way, or was while this run looked; the next run looks again",

	ReasonTooLarge:            "over 25,600 bytes, which Key Vault does not hold",
	ReasonNameCollision:       "several Vault paths want this name: map one of them, or set onCollision: suffix",
	ReasonNameEmpty:           "no letter or digit in the path: give it a name with map",
	ReasonForeign:             "somebody else made this secret in Key Vault: rename one of them",
	ReasonOtherPath:           "the secret in Key Vault was copied from another Vault path",
	ReasonOtherSource:         "the secret in Key Vault was copied from another source",
	ReasonDestinationDisabled: "disabled in Key Vault by somebody: enable it there when that was a mistake",
	ReasonDestinationDeleted:  "deleted in Key Vault by somebody: recover it there when that was a mistake",
	ReasonDestinationChanged:  "somebody changed the value in Key Vault; Vault did not move",
	ReasonBothChanged:         "Vault and Key Vault both changed since the last copy",
	ReasonShapeChanged:        "the number of fields changed and with it the shape of the value: pin it with as:",
	ReasonRegressed:           "Vault holds an older version than the one copied (restored snapshot, or made anew)",
	ReasonMovedSincePlan:      "is not as it was when the plan was made: plan again",
	ReasonValuesDiffer:        "Vault and Key Vault hold different values: sync first, or decide whose counts",
	ReasonNotCopied:           "not in Key Vault yet: sync first",
	ReasonBroughtBack:         "gone from Vault and removed by us, and somebody brought it back in Key Vault; it is kept",
	ReasonMountEmptied:        "its whole mount is empty now, which is rarely meant: look, then release this run with --allow-removals",
	ReasonSourceRestored:      "not in Vault, but other secrets there went back in time, as after a restored snapshot: look, then release this run with --allow-removals",
	ReasonFuse:                "too many removals at once are held: look, then release this run with --allow-removals",
	ReasonDestinationUnproven: "gone from Vault, but its hash was made with a lost key, so nobody knows whether it was edited; it is kept",
	ReasonBadTag:              "a tag of Keyferry was edited and cannot be read",
}

// held reports whether the reason is one of those for which removals wait for --allow-removals.
func (r Reason) held() bool {
	return r == ReasonFuse || r == ReasonMountEmptied || r == ReasonSourceRestored
}

// Meaning explains the reason in a sentence, or is "" for the code of an error.
func (r Reason) Meaning() string { return meanings[r] }
