package vaultsync

import (
	"fmt"
	"path"
	"strings"
	"text/template"
)

// nameFields is what a name template may use.
type nameFields struct {
	Source string // of the rule
	Mount  string
	Path   string // inside the mount
	Dir    string // of the path, "" at the top
	Base   string // last segment of the path
	Key    string // with as: key
}

// nameFuncs are the functions of a name template. Each takes the text last, so that it works in a pipe.
var nameFuncs = template.FuncMap{
	"lower":      strings.ToLower,
	"upper":      strings.ToUpper,
	"replace":    func(old, new, s string) string { return strings.ReplaceAll(s, old, new) },
	"trimPrefix": func(prefix, s string) string { return strings.TrimPrefix(s, prefix) },
	"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
}

// longestTemplate bounds a template and what it gives.
const longestTemplate = 1024

// parseName checks a name template; nil for none.
func parseName(text string) (*template.Template, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > longestTemplate {
		return nil, fmt.Errorf("the template is over %d bytes", longestTemplate)
	}
	t, err := template.New("name").Funcs(nameFuncs).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the template %q: %w", text, err)
	}
	if err := t.Execute(&strings.Builder{}, nameFields{}); err != nil {
		return nil, fmt.Errorf("the template %q: %w", text, err)
	}
	return t, nil
}

// baseName is the name an entry wants: the mapped one, what the template gives, or the path (and key), made fit for
// Key Vault.
func (e Entry) baseName(templates map[*Rule]*template.Template) string {
	place := e.Path
	if e.Key != "" {
		place += "#" + e.Key
	}
	if name := e.Rule.Map[place]; name != "" {
		return name
	}
	t := templates[e.Rule]
	if t == nil {
		return ComputeName(place)
	}
	dir, base := path.Split(e.Path)
	var out strings.Builder
	fields := nameFields{Source: e.Rule.source(), Mount: e.Mount.Path, Path: e.Path, Dir: strings.TrimSuffix(dir, "/"), Base: base, Key: e.Key}
	if err := t.Execute(&out, fields); err != nil {
		return ""
	}
	return ComputeName(out.String())
}
