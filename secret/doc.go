// Package secret is the vocabulary of Keyferry: the type that guards a secret value, what Key Vault tells of a
// secret without its value, every tag Keyferry writes with its codec, the keyed hash by which values are compared
// without being read, and the one table of errors.
//
// Everything else imports this package and it imports nothing of Keyferry.
package secret
