// Package rotation replaces the values of Key Vault secrets before they expire.
//
// An event, a person or a timer asks Engine.Rotate about one secret. What is done follows from the secret's current
// state in Key Vault, by a pure function (decide.go); the asking is only a hint. A secret that is due is handed to the
// rotator that its rotation-type tag names, aimed at a target that the operator's settings allow for that secret.
//
// # The protocol
//
// A rotation can be stopped after any call, and be gone on with by anybody:
//
//   - prepare: the candidate is made durable in the staging secret, and the rotation in a record. Nothing outside of Key
//     Vault was touched, and Key Vault is known to be writable.
//   - apply: the target is told, and a new connection proves it. Once the target may have been told, it is asked before
//     it is told again.
//   - publish: one call writes value, tags, content type and expiry. It is preceded by a look: only the version that was
//     rotated is replaced.
//   - end: write-back to Vault, grace, the end of the old credential, and of the staging secret.
//
// The lease keeps two runs apart, the compare-and-swap of the record stops the slower one where it did not, and the
// tags of the secret and of its staging secret tell enough to finish when the record is lost. The record exists only
// while something is owed: a step, a grace, an alert, a reminder. Engine.Sweep goes on with what is owed.
//
// A rotator is written against the contract in rotator.go, declared with Define and tested with rotatortest.
package rotation
