// Package rotators holds the rotators that come with Keyferry, one file each. A rotator implements the contract of
// package rotation and is declared with rotation.Define; a new one is a file here and a line in All.
package rotators

import (
	"crypto/rand"

	"github.com/keyferry/keyferry/rotation"
)

// All lists every rotator.
func All() []rotation.Kind {
	return []rotation.Kind{
		generatedKind(),
		databasePasswordKind(rand.Reader),
		rabbitmqUserKind(rand.Reader),
		redisACLKind(),
	}
}
