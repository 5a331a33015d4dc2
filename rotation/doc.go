// Package rotation replaces the values of Key Vault secrets before they expire.
//
// An event, a person or a timer asks Engine.Rotate about one secret. What is done follows from the secret's current
// state in Key Vault alone, by a pure function (decide.go); the asking is only a hint. A secret that is due is handed
// to the rotator that its rotation-type tag names, aimed at a target that the operator's settings allow for that
// secret, and published as one new version that carries value, tags, content type and expiry in a single call.
//
// A rotator is written against the contract in rotator.go and declared with Define.
package rotation
