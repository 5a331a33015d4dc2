package cli

import (
	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/dev"
)

func (p Process) dev() *cobra.Command {
	o := dev.Options{App: p.App, Out: p.Stdout, Colour: terminal(p.Stdout), LookupEnv: p.LookupEnv}
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole system on this machine, on emulators",
		Long: `Starts an emulated Key Vault, HashiCorp Vault, identity, Event Grid topic and
Functions host on loopback, runs keyferry serve under that host, and shows its
main job: first sync, second sync, one change, a near-expiry event that comes
twice, a forced resync. Then it stays up to be played with, and forgets all when
it ends.

Nothing in the environment points it at anything real. With --vault it reads a
real Vault (token in VAULT_TOKEN) and writes nothing to it; Key Vault stays
emulated.`,
		Example: `  keyferry dev
  keyferry dev --exit
  VAULT_TOKEN=... keyferry dev --vault https://vault.example.com:8200 --mount secret`,
		RunE: func(c *cobra.Command, _ []string) error { return dev.Run(c.Context(), o) },
	}
	c.Flags().BoolVar(&o.Exit, "exit", false, "end after the story, with exit code 0 or 1")
	c.Flags().StringVar(&o.Vault, "vault", "", "address of a real Vault to read instead of the emulated one")
	c.Flags().StringVar(&o.Mount, "mount", "secret", "KV mount to read there")
	return c
}
