package vaultsync

// Verb is what happens to a secret in the destination.
type Verb string

const (
	Create    Verb = "create"    // first version
	Update    Verb = "update"    // new version with the source's value
	Retag     Verb = "retag"     // tags, content type or expiry patched; no new version
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
	case Skip:
		return "o"
	case Conflict:
		return "!"
	}
	return "x"
}

// changes reports whether the verb writes to the destination.
func (v Verb) changes() bool { return v == Create || v == Update || v == Retag }

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
)

// meanings says in a sentence what a reason means and, where there is something to do, what.
var meanings = map[Reason]string{
	ReasonNew:           "not in Key Vault yet",
	ReasonSourceChanged: "Vault holds another version than the one copied",
	ReasonSame:          "nothing moved",
	ReasonTags:          "tags or content type differ from what the rules say",
	ReasonExpiryLow:     "the expiry date moves",
	ReasonEqualValue:    "Vault moved on but holds the same value; only tags are written",

	ReasonSourceDeleted:   "deleted in Vault; the copy in Key Vault is kept",
	ReasonSourceDestroyed: "destroyed in Vault; the copy in Key Vault is kept",
	ReasonNeverWritten:    "Vault has metadata for it but no version",
	ReasonEmpty:           "empty in Vault: no fields, null or an empty string",
	ReasonSeveralFields:   "has several fields and the rule says as: value; use as: json",
	ReasonCertificate:     "is a PEM or PFX: import it as a Key Vault certificate, or set pem: true on the rule",
	ReasonManaged:         "the name belongs to a Key Vault certificate",
	ReasonAuthority:       "Key Vault is its home now (authority=keyvault)",
	ReasonLateWrite:       "Key Vault is its home now, and somebody still wrote to Vault",
	ReasonVanished:        "was listed in Vault and is gone now; the next run looks again",

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
	ReasonBadTag:              "a tag of Keyferry was edited and cannot be read",
}

// Meaning explains the reason in a sentence, or is "" for the code of an error.
func (r Reason) Meaning() string { return meanings[r] }
