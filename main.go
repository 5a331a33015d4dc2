// Keyferry moves static secrets from HashiCorp Vault KV to Azure Key Vault and keeps them rotated there.
package main

import (
	"embed"
	"os"

	"github.com/keyferry/keyferry/cli"
	"github.com/keyferry/keyferry/rotators"
)

// app is what the Functions host reads: dev hands it to its own host, so that both read the same files.
//
//go:embed host.json */function.json
var app embed.FS

func main() {
	os.Exit(cli.Main(cli.Process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
		App: app, Kinds: rotators.All(),
	}))
}
