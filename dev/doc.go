// Package dev runs the whole of Keyferry on one machine: emulators of everything it speaks to, a Functions host that
// reads the app's own host.json and function.json, and `keyferry serve` as its child. It shows the main job on one
// screen and then stays up to be played with.
//
// Everything listens on loopback, has random credentials of this run, and is forgotten at the end.
package dev
