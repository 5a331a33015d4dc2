package main

import (
	"context"
	"os/exec"
	"strings"
)

// compiler is the C compiler that the race detector links with. It is no server,
// but missing just the same.
func compiler() server {
	return server{name: "gcc", start: func(ctx context.Context, m *machine) (ready, error) {
		name := "gcc"
		if out, err := exec.CommandContext(ctx, "go", "env", "CC").Output(); err == nil && len(strings.Fields(string(out))) > 0 {
			name = strings.Fields(string(out))[0]
		}
		path, err := m.program(ctx, name, "gcc", "libc6-dev")
		return ready{detail: path}, err
	}}
}
