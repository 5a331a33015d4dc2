package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/config"
	"github.com/keyferry/keyferry/internal/emulator/functions"
)

// settings are those of local.settings.json.example.
func settings(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		IsEncrypted bool
		Values      map[string]string
	}
	readJSON(t, "local.settings.json.example", &file)
	return file.Values
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
}

// TestAppIsAccepted reads the embedded app as the Functions host does.
func TestAppIsAccepted(t *testing.T) {
	var env []string
	for name, value := range settings(t) {
		env = append(env, name+"="+value)
	}
	host, err := functions.New(functions.Options{App: app, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	folders, err := fs.Glob(os.DirFS("."), "*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	for i := range folders {
		folders[i] = path.Dir(folders[i])
	}
	slices.Sort(folders)
	if d := cmp.Diff(folders, host.Functions()); d != "" {
		t.Errorf("folders on disk (-) and functions of the embedded app (+):\n%s", d)
	}
}

func TestHostFile(t *testing.T) {
	var host struct {
		ExtensionBundle *struct{ ID, Version string }
		CustomHandler   struct {
			Description struct {
				DefaultExecutablePath string
				Arguments             []string
			}
			EnableProxyingHTTPRequest bool
		}
	}
	readJSON(t, "host.json", &host)
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	built := regexp.MustCompile(`(?m)^BIN\s*:=\s*(\S+)$`).FindSubmatch(makefile)
	handler := host.CustomHandler.Description
	if built == nil || handler.DefaultExecutablePath != string(built[1]) {
		t.Errorf("the host starts %q, make builds %q", handler.DefaultExecutablePath, built)
	}
	if !slices.Equal(handler.Arguments, []string{"serve"}) {
		t.Errorf("the host starts it with %v", handler.Arguments)
	}
	if host.ExtensionBundle == nil {
		t.Error("Event Grid triggers need an extension bundle")
	}
	if !host.CustomHandler.EnableProxyingHTTPRequest {
		t.Error("HTTP functions would arrive in envelopes")
	}
}

// TestPackage applies .funcignore to the checkout: what is left is deployed.
func TestPackage(t *testing.T) {
	text, err := os.ReadFile(".funcignore")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			patterns = append(patterns, strings.TrimSuffix(line, "/"))
		}
	}
	ignored := func(file string) bool {
		for _, segment := range strings.Split(file, "/") {
			for _, p := range patterns {
				if ok, err := path.Match(p, segment); ok || err != nil {
					return true
				}
			}
		}
		return false
	}
	wanted := []string{"host.json", "bin/keyferry"}
	functionFiles, err := fs.Glob(app, "*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(wanted, functionFiles...) {
		if ignored(file) {
			t.Errorf("%s is needed and would not be deployed", file)
		}
	}
	tracked, err := exec.Command("git", "ls-files").Output()
	if err != nil {
		t.Skip("this is no checkout: what else is here cannot be told")
	}
	allowed := []string{"host.json", ".funcignore"}
	for file := range strings.Lines(string(tracked)) {
		file = strings.TrimSpace(file)
		if !ignored(file) && !slices.Contains(allowed, file) && !slices.Contains(functionFiles, file) {
			t.Errorf("%s would be deployed and has no place there", file)
		}
	}
}

// TestExampleSettings: the example names every setting there is and none that is not.
func TestExampleSettings(t *testing.T) {
	want := []string{config.FileSetting, "KEYFERRY_SYNC_SCHEDULE", "FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
	for _, s := range config.Settings() {
		want = append(want, s.Name)
	}
	slices.Sort(want)
	var got []string
	for name := range settings(t) {
		got = append(got, name)
	}
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-) and local.settings.json.example (+):\n%s", d)
	}
}

// TestExampleConfiguration: the example loads as it is, given the settings of a log-in.
func TestExampleConfiguration(t *testing.T) {
	text, err := os.ReadFile("keyferry.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(text, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sync.Rules) == 0 || len(c.Rotation.Targets) == 0 {
		t.Error("the example shows no rule or no target")
	}
}
