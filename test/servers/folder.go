package main

import (
	"fmt"
	"os"
)

// folder makes an empty folder that goes with the run. It lies outside the repository, where an account without rights
// on that can reach it, and belongs to owner if one is given.
func (m *machine) folder(name, owner string) (string, error) {
	dir, err := os.MkdirTemp("", "keyferry-"+name+"-")
	if err != nil {
		return "", fmt.Errorf("make a folder for %s: %w", name, err)
	}
	m.mu.Lock()
	m.folders = append(m.folders, dir)
	m.mu.Unlock()
	return dir, give(dir, owner)
}
