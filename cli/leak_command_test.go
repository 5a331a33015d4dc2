package cli

import "testing"

func commandsKeepSilent(t *testing.T) {}
