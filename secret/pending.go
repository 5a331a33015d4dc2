package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// PendingType is the content type of a staging secret.
const PendingType = "application/vnd.keyferry.pending"

// Tags that only staging secrets carry.
const (
	tagPendingFor   = "pending-for"   // name of the secret whose rotation is under way
	tagPendingUser  = "pending-user"  // account the candidate belongs to
	tagPendingOwes  = "pending-owes"  // "write-back": the secret was a copy from Vault
	tagPendingState = "pending-state" // "intent": there is no candidate yet, only the will to have one made
)

const pendingPrefix = ownPrefix + "pending--"

// PendingName is the staging secret that holds the candidate of a rotation of the named secret. It is the same for all
// spellings of the name; what would be too long for Key Vault is cut and ends in a hash.
func PendingName(name string) string {
	full := pendingPrefix + FoldName(name)
	if len(full) <= MaxName {
		return full
	}
	sum := sha256.Sum256([]byte(FoldName(name)))
	end := "-" + hex.EncodeToString(sum[:8])
	return full[:MaxName-len(end)] + end
}

// IsPending reports whether the name is one of a staging secret.
func IsPending(name string) bool { return strings.HasPrefix(FoldName(name), pendingPrefix) }

// Pending is what the tags of a staging secret tell, so that a rotation can go on when everything else is lost. None of
// it is secret.
type Pending struct {
	For       string        // the secret; empty: nothing of ours
	State     RotationState // the rotation; Credential is the candidate's id at the target
	User      string        // the account of the candidate, if it has one
	Intent    bool          // the value is none: a credential was about to be made by the target
	WriteBack bool          // the secret was a copy from Vault and is to be written back
}

// Tags encodes p. An id or a user that is too long for a tag is ErrTooLarge: cut, it would be another.
func (p Pending) Tags() (map[string]string, error) {
	tags := map[string]string{tagPendingFor: p.For, TagRotationState: p.State.String()}
	if p.User != "" {
		tags[tagPendingUser] = p.User
	}
	if p.Intent {
		tags[tagPendingState] = "intent"
	}
	if p.WriteBack {
		tags[tagPendingOwes] = "write-back"
	}
	for name, value := range tags {
		if len(value) > MaxTagValue {
			return nil, fmt.Errorf("tag %s of %q: %w", name, p.For, ErrTooLarge)
		}
	}
	return tags, nil
}

// ParsePending decodes the tags of a staging secret. Anything a person may have made of them is ErrInvalid.
func ParsePending(tags map[string]string) (Pending, error) {
	p := Pending{
		For: tags[tagPendingFor], User: tags[tagPendingUser],
		Intent: tags[tagPendingState] == "intent", WriteBack: tags[tagPendingOwes] == "write-back",
	}
	var err error
	if p.State, err = ParseRotationState(tags[TagRotationState]); err != nil {
		return Pending{}, err
	}
	if !ValidName(p.For) || tags[tagPendingState] != "" && !p.Intent {
		return Pending{}, fmt.Errorf("%w: the tags of a staging secret are not ours", ErrInvalid)
	}
	return p, nil
}
