//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup makes cmd the leader of a process group when it starts.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup sends sig to the group cmd leads. A group that is gone is no error.
func signalGroup(cmd *exec.Cmd, sig os.Signal) {
	if s, ok := sig.(syscall.Signal); ok && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, s)
	}
}

// killGroup kills the group cmd leads, also when cmd itself has ended.
func killGroup(cmd *exec.Cmd) { signalGroup(cmd, syscall.SIGKILL) }
