package rotators

import (
	"context"
	"io"

	"github.com/keyferry/keyferry/rotation"
)

// generatedParams says what a new value looks like: see rotation.Policy.
type generatedParams struct {
	Length     int      `json:"length" default:"32" doc:"characters of the value, 16 to 512"`
	Classes    []string `json:"classes" doc:"the classes in use, each at least once: lower, upper, digit, symbol (- _ . ~); all when not given"`
	Characters string   `json:"characters" doc:"the characters in use, instead of classes: printable ASCII, each listed once"`
}

// Validate reports every fault at once.
func (p generatedParams) Validate() error {
	if p.Length == 0 {
		p.Length = -1 // a Policy takes 0 as "not given"; here somebody wrote it
	}
	return p.policy().Validate()
}

func (p generatedParams) policy() rotation.Policy {
	return rotation.Policy{Length: p.Length, Classes: p.Classes, Characters: p.Characters}
}

func generatedKind() rotation.Kind {
	return rotation.Define("generated", "a new random value that lives in Key Vault only: cookies, signing keys, webhooks",
		func(_ rotation.Deps, p generatedParams) (rotation.Rotator, error) {
			return generated{policy: p.policy()}, nil
		})
}

// generated rotates a secret whose only place is Key Vault: whoever uses it reads it there. It is a Chooser and nothing
// more, so that the publish makes the change.
type generated struct {
	policy rotation.Policy
}

var _ rotation.Chooser = generated{}

// Choose draws a value by the policy.
func (g generated) Choose(_ rotation.Credential, random io.Reader) (rotation.Credential, error) {
	value, err := g.policy.Choose(random)
	return rotation.Credential{Secret: value}, err
}

// Verify has nobody to ask.
func (generated) Verify(context.Context, rotation.Credential) error { return nil }
