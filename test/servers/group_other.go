//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: process groups are a Unix idea.
func ownGroup(*exec.Cmd) {}

// signalGroup can only kill, and only cmd itself.
func signalGroup(cmd *exec.Cmd, _ os.Signal) { killGroup(cmd) }

// killGroup kills cmd.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = cmd.Process.Kill()
	}
}
