package rotation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// chooseTarget finds where the rotator of this type may act for the secret, and the type when only Microsoft's tags say
// it. The settings decide: a target serves only the secrets it lists, and tags choose among those (facts/rotation.md
// 6.12). The secret of another rotator's admin must be listed by its name: no glob reaches it.
func chooseTarget(name string, tags map[string]string, targets []Target) (Target, string, *decision) {
	typ, tag, resource := strings.TrimSpace(tags[secret.TagRotationType]), tags[secret.TagRotationTarget], tags[secret.TagProviderAddress]
	refuse := func(r Reason, format string, args ...any) (Target, string, *decision) {
		return Target{}, typ, &decision{verdict: Failed, reason: r, text: fmt.Sprintf(format, args...)}
	}
	listing := slices.DeleteFunc(slices.Clone(targets), func(t Target) bool { return !t.Lists(name) })
	if guarded := isAdmin(name, targets); guarded && len(listing) > 0 {
		listing = slices.DeleteFunc(listing, func(t Target) bool { return !t.names(name) })
		if len(listing) == 0 {
			return refuse(ReasonAdminSecret, "it is the admin secret of a target, and no target lists it by its name")
		}
	}
	if typ == "" && resource != "" {
		at := slices.IndexFunc(listing, func(t Target) bool { return t.declares(resource) })
		if at < 0 {
			return refuse(ReasonTargetRefused, "its tag %s names a resource that no target which lists this secret declares", secret.TagProviderAddress)
		}
		typ = listing[at].Type
	}
	if tag != "" {
		at := slices.IndexFunc(listing, func(t Target) bool { return t.Name == tag })
		switch {
		case at < 0:
			return refuse(ReasonTargetRefused, "its tag %s is %s, no target that lists this secret", secret.TagRotationTarget, quoted(tag))
		case listing[at].Type != typ:
			return refuse(ReasonTargetRefused, "its target %s is for rotators of type %s, not %s", tag, listing[at].Type, quoted(typ))
		case !listing[at].admits(resource):
			return refuse(ReasonTargetRefused, "its target %s is for another resource than its tag %s", tag, secret.TagProviderAddress)
		}
		return listing[at], typ, nil
	}
	fitting := slices.DeleteFunc(slices.Clone(listing), func(t Target) bool { return t.Type != typ || !t.admits(resource) })
	switch {
	case len(listing) == 0:
		return refuse(ReasonNoTarget, "no target in rotation.targets lists this secret")
	case len(fitting) == 0:
		return refuse(ReasonTargetRefused, "no target of type %s for its resource lists this secret", quoted(typ))
	case len(fitting) > 1:
		var names []string
		for _, t := range fitting {
			names = append(names, t.Name)
		}
		return refuse(ReasonTargetAmbiguous, "several targets list this secret (%s): choose one by the tag %s",
			strings.Join(names, ", "), secret.TagRotationTarget)
	}
	return fitting[0], typ, nil
}

// declares reports whether the target is for that resource. Azure ignores the case of ids.
func (t Target) declares(resource string) bool {
	return t.Resource != "" && strings.EqualFold(strings.Trim(t.Resource, "/"), strings.Trim(resource, "/"))
}

// admits reports whether a secret with that ProviderAddress, or none, may use the target.
func (t Target) admits(resource string) bool {
	return resource == "" || t.Resource == "" || t.declares(resource)
}

func isAdmin(name string, targets []Target) bool {
	return slices.ContainsFunc(targets, func(t Target) bool { return t.Admin.Secret != "" && secret.SameName(t.Admin.Secret, name) })
}

// aim identifies where a target points: a rotation under way never goes on somewhere else.
func (t Target) aim() string {
	text, _ := json.Marshal([]any{t.Type, t.User, t.Format, t.Admin, t.Resource, t.Params}) // Check marshalled the same
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
