package format

import (
	"fmt"
	"slices"
)

// pair is a key with its value in a connection string.
type pair struct {
	key   string // in the form in which the format compares keys
	value place
}

// keys are the names under which a format knows a password and a user. Most are synonyms of each other in some
// driver, so any two of one kind in a value contradict each other.
type keys struct{ password, user []string }

// layout chooses the credential among the pairs.
func (k keys) layout(pairs []pair) (layout, error) {
	var l layout
	var passwords, users int
	for _, p := range pairs {
		switch {
		case slices.Contains(k.password, p.key):
			if passwords++; passwords > 1 {
				return layout{}, fmt.Errorf("the password is given at byte %d and again at byte %d", l.password.from, p.value.from)
			}
			l.password = p.value
		case slices.Contains(k.user, p.key):
			if users++; users > 1 {
				return layout{}, fmt.Errorf("the user is given at byte %d and again at byte %d", l.user.from, p.value.from)
			}
			l.user = p.value
		default:
			l.rest = append(l.rest, p.value)
		}
	}
	return l, nil
}
