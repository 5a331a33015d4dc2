package rotation

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// keyVaultNotice is how long before expiry Key Vault sends its one near-expiry event (facts/rotation.md 0.3).
const keyVaultNotice = 30 * day

// due says whether a version is to be replaced, and why.
type due struct {
	yes    bool
	reason Reason // when yes
	text   string // begins a sentence about the secret
}

func dueOf(meta secret.Meta, now time.Time, validity, rotateBefore time.Duration) due {
	if meta.Expires.IsZero() {
		age := ageOf(meta, now)
		if age >= validity {
			return due{true, ReasonAge, fmt.Sprintf("it is %s old and valid for %s", inDays(age), inDays(validity))}
		}
		return due{text: fmt.Sprintf("it has no expiry and is %s old of %s", inDays(age), inDays(validity))}
	}
	remaining, before := meta.Expires.Sub(now), notice(validity, rotateBefore)
	switch {
	case remaining <= 0:
		return due{true, ReasonExpired, "it has expired"}
	case remaining <= before:
		return due{true, ReasonNearExpiry, "it expires in " + inDays(remaining)}
	}
	return due{text: fmt.Sprintf("it expires in %s and is due %s before", inDays(remaining), inDays(before))}
}

// notice is how long before expiry a secret is due: as the settings say, but at most a third of its validity, so that
// no new version is born due and rotates for ever. From 60 days of validity on the whole 30 days of Key Vault's notice
// may be used: the event comes once, and Microsoft's own convention is 60 days with the event at 30.
func notice(validity, rotateBefore time.Duration) time.Duration {
	limit := validity / 3
	if validity >= 2*keyVaultNotice {
		limit = max(limit, keyVaultNotice)
	}
	return min(rotateBefore, limit)
}

// ageOf is the age of the version; 0 when Key Vault did not say when it was made.
func ageOf(meta secret.Meta, now time.Time) time.Duration {
	if meta.Created.IsZero() {
		return 0
	}
	return now.Sub(meta.Created)
}

var wholeDays = regexp.MustCompile(`^[1-9][0-9]{0,3}$`)

// validityOf is how long the next version is to live: as the tag says, or Microsoft's where the target declares its
// resource; else the target, else the settings.
func validityOf(tags map[string]string, target Target, s Settings) (time.Duration, error) {
	if tag, ok := tags[secret.TagRotationDays]; ok {
		return validityTag(secret.TagRotationDays, tag)
	}
	if tag, ok := tags[secret.TagValidityDays]; ok && target.declares(tags[secret.TagProviderAddress]) {
		return validityTag(secret.TagValidityDays, tag)
	}
	if target.Validity != 0 {
		return target.Validity, nil
	}
	return s.Validity, nil
}

// inDays writes a duration as people say it.
func inDays(d time.Duration) string {
	if d >= 2*day || d <= -2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Minute).String()
}

func validityTag(name, tag string) (time.Duration, error) {
	days, err := strconv.Atoi(tag)
	if err != nil || !wholeDays.MatchString(tag) || !validValidity(time.Duration(days)*day) {
		return 0, errors.New("the tag " + name + " is " + quoted(tag) + ", not a number from 1 to 3650")
	}
	return time.Duration(days) * day, nil
}
