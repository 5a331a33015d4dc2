package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/keyferry/keyferry"

// layers says which of our packages a package may import, and why no more. A package that is not named may be imported
// by nobody and import everything: that is main and what lies under test/.
var layers = []struct {
	pkg     string
	imports []string
	why     string
}{
	{"secret", nil, "the vocabulary: everybody imports it, so it imports nobody"},
	{"format", []string{"secret"}, "knows values, not where they come from"},
	{"state", []string{"secret"}, "keeps records for engines it does not know"},
	{"alert", []string{"secret", "state"}, "tells what engines it does not know have seen, and keeps it until it was taken"},
	{"vaultsync", []string{"secret", "state", "alert", "format"}, "an engine: adapters implement its ports, and it never sees the other engine"},
	{"rotation", []string{"secret", "state", "alert", "format"}, "an engine: rotators implement its contract, and it never sees the other engine"},
	{"rotators", []string{"secret", "rotation", "format"}, "a rotator sees credentials and its target, never the engine's stores"},
	{"rotators/rotatortest", []string{"secret", "format", "state", "alert", "rotation", "keyvault", "internal/emulator/..."}, "a kit for tests: it runs the engine on an emulated Key Vault"},
	{"vault", []string{"secret", "vaultsync"}, "an adapter: implements the sync's source and nothing else"},
	{"keyvault", []string{"secret"}, "an adapter: both engines use it, so it knows neither"},
	{"config", []string{"secret", "vaultsync", "rotation", "state", "alert"}, "joins the settings every domain owns"},
	{"handler", []string{"secret", "alert", "vaultsync", "rotation"}, "an adapter to the Functions host: a move to another host replaces it alone"},
	{"cli", []string{"secret", "format", "state", "alert", "vaultsync", "rotation", "rotators", "vault", "keyvault", "config", "handler", "dev"}, "the composition root sees all but the emulators"},
	{"dev", []string{"secret", "internal/emulator/...", "internal/faults"}, "the stage: emulators around the program, which it runs as a stranger would"},
	{"internal/emulator/...", nil, "emulators share nothing with us, so that they cannot share our bugs"},
	{"internal/faults", nil, "wraps any handler"},
	{"internal/contract", []string{"secret", "state", "vaultsync", "rotation", "vault"}, "suites for implementations it does not know; of vault only the log-ins, which a source is opened with"},
	{"", []string{"cli", "rotators"}, "main hands the rotators to the composition root"},
}

// owners names the one package that may import an outside module, so that its traps are known in one place.
var owners = []struct{ prefix, pkg, why string }{
	{"github.com/hashicorp/vault/api", "vault", "its environment variables, nil answers and retries are tamed there"},
	{"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets", "keyvault", "its retries, panics and leaking errors are tamed there"},
	{"github.com/Azure/azure-sdk-for-go/sdk/azidentity", "keyvault", "an identity is chosen explicitly, in one place"},
	{"github.com/Azure/azure-sdk-for-go/sdk/storage", "state", "records and leases are the only blobs"},
	{"github.com/Azure/azure-sdk-for-go/sdk/messaging", "alert", "alerts are the only events we send"},
	{"github.com/spf13/cobra", "cli", "commands"},
	{"github.com/jackc/pgx", "rotators", "a driver speaks to a target, and only rotators do"},
	{"github.com/go-sql-driver/mysql", "rotators", "its environment and its logger are tamed there"},
	{"github.com/microsoft/go-mssqldb", "rotators", "a driver speaks to a target, and only rotators do"},
	{"github.com/goccy/go-yaml", "config", "the only file we read"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		name := relative(p.ImportPath)
		if strings.HasPrefix(name, "test/") {
			continue
		}
		for _, imported := range p.Imports {
			if imported == module || strings.HasPrefix(imported, module+"/") {
				checkLayer(t, name, relative(imported))
			}
			for _, o := range owners {
				if strings.HasPrefix(imported, o.prefix) && name != o.pkg {
					t.Errorf("%s imports %s, which only %s may: %s", name, imported, o.pkg, o.why)
				}
			}
		}
	}
}

func checkLayer(t *testing.T, name, imported string) {
	for _, l := range layers {
		if !matches(l.pkg, name) {
			continue
		}
		for _, allowed := range l.imports {
			if matches(allowed, imported) {
				return
			}
		}
		t.Errorf("%s may not import %s: %s", name, imported, l.why)
		return
	}
	t.Errorf("package %q is in no row of the table: say what it may import, and why", name)
}

func matches(pattern, name string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == tree || strings.HasPrefix(name, tree+"/")
	}
	return pattern == name
}

func relative(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

// list asks the go command what each package imports, its tests left out: they may use emulators.
func list(t *testing.T) []listed {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if !slices.ContainsFunc(all, func(p listed) bool { return relative(p.ImportPath) == "secret" }) {
		t.Fatal("go list found no package secret: the test looks at nothing")
	}
	return all
}
