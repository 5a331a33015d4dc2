package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fuzzed is a package with fuzz targets.
type fuzzed struct {
	path    string // import path
	short   string // the same inside the module
	dir     string
	cache   string   // of interesting inputs, the one go test uses
	targets []string // sorted
}

// find returns the packages among patterns that have targets. It reads the
// files instead of asking go test -list, which would build every test once more.
func find(ctx context.Context, patterns []string) ([]fuzzed, error) {
	goCache, err := output(ctx, "env", "GOCACHE")
	if err != nil {
		return nil, err
	}
	out, err := output(ctx, append([]string{"list", "-json=ImportPath,Dir,Module,TestGoFiles,XTestGoFiles"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	var found []fuzzed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			ImportPath, Dir           string
			Module                    struct{ Path string }
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&listed); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		p := fuzzed{
			path: listed.ImportPath, dir: listed.Dir,
			cache: filepath.Join(string(bytes.TrimSpace(goCache)), "fuzz", filepath.FromSlash(listed.ImportPath)),
			short: strings.Trim(strings.TrimPrefix(listed.ImportPath, listed.Module.Path), "/"),
		}
		for _, name := range slices.Concat(listed.TestGoFiles, listed.XTestGoFiles) {
			names, err := targetsIn(filepath.Join(p.dir, name))
			if err != nil {
				return nil, err
			}
			p.targets = append(p.targets, names...)
		}
		if len(p.targets) > 0 {
			slices.Sort(p.targets)
			found = append(found, p)
		}
	}
}

// output runs the go command and returns what it printed.
func output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.Bytes())
	}
	return out, nil
}

// targetsIn returns the functions of a file that go test takes for fuzz targets.
func targetsIn(file string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse a test file: %w", err)
	}
	var names []string
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && isTarget(f.Name.Name) && len(f.Type.Params.List) == 1 {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}

// isTarget is go test's rule: Fuzz, and no lower-case letter after it.
func isTarget(name string) bool {
	rest, ok := strings.CutPrefix(name, "Fuzz")
	first, _ := utf8.DecodeRuneInString(rest)
	return ok && !unicode.IsLower(first)
}
