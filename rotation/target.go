package rotation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keyferry/keyferry/secret"
)

// chooseTarget finds where the rotator of this type may act for the secret. The settings decide: a target serves only
// the secrets it lists, and the tag rotation-target only chooses among those (facts/rotation.md 6.12).
func chooseTarget(name, typ, tag string, targets []Target) (Target, *decision) {
	refuse := func(r Reason, format string, args ...any) (Target, *decision) {
		return Target{}, &decision{verdict: Failed, reason: r, text: fmt.Sprintf(format, args...)}
	}
	var listing, fitting []Target
	for _, t := range targets {
		if !t.Lists(name) {
			continue
		}
		listing = append(listing, t)
		if t.Type == typ {
			fitting = append(fitting, t)
		}
	}
	if tag != "" {
		at := slices.IndexFunc(listing, func(t Target) bool { return t.Name == tag })
		switch {
		case at < 0:
			return refuse(ReasonTargetRefused, "its tag %s is %s, no target that lists this secret", secret.TagRotationTarget, quoted(tag))
		case listing[at].Type != typ:
			return refuse(ReasonTargetRefused, "its target %s is for rotators of type %s, not %s", tag, listing[at].Type, quoted(typ))
		}
		return listing[at], nil
	}
	switch {
	case len(listing) == 0:
		return refuse(ReasonNoTarget, "no target in rotation.targets lists this secret")
	case len(fitting) == 0:
		return refuse(ReasonTargetRefused, "no target of type %s lists this secret", quoted(typ))
	case len(fitting) > 1:
		var names []string
		for _, t := range fitting {
			names = append(names, t.Name)
		}
		return refuse(ReasonTargetAmbiguous, "several targets list this secret (%s): choose one by the tag %s",
			strings.Join(names, ", "), secret.TagRotationTarget)
	}
	return fitting[0], nil
}
