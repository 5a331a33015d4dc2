package functions

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

type kind string

const (
	eventGrid kind = "eventGridTrigger"
	timer     kind = "timerTrigger"
	httpCall  kind = "httpTrigger"
	httpOut   kind = "http"
)

// properties lists, for each binding type the emulator knows, what its object in function.json may hold.
var properties = map[kind][]string{
	eventGrid: {"type", "name", "direction", "dataType", "cardinality"},
	timer:     {"type", "name", "direction", "schedule", "useMonitor", "runOnStartup"},
	httpCall:  {"type", "name", "direction", "dataType", "authLevel", "methods", "route", "webHookType"},
	httpOut:   {"type", "name", "direction"},
}

// function is one function.json.
type function struct {
	name     string
	disabled bool
	kind     kind
	binding  string // name of the trigger's binding, the key in Data
	many     bool   // Event Grid: cardinality many

	schedule   schedule
	useMonitor bool

	route, authLevel string
	methods          []string // upper case; empty = all
	output           string   // name of the http output binding, "" = none
}

type binding struct {
	Type         kind     `json:"type"`
	Name         string   `json:"name"`
	Direction    string   `json:"direction"`
	DataType     string   `json:"dataType"`
	Cardinality  string   `json:"cardinality"`
	Schedule     string   `json:"schedule"`
	UseMonitor   *bool    `json:"useMonitor"`
	RunOnStartup bool     `json:"runOnStartup"`
	AuthLevel    string   `json:"authLevel"`
	Methods      []string `json:"methods"`
	Route        *string  `json:"route"`
	WebHookType  string   `json:"webHookType"`
}

var bindingName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,127}$`)

func readFunction(root fs.FS, file string, lookup func(string) (string, bool)) (*function, error) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return nil, err
	}
	name := path.Dir(file)
	if !functionName.MatchString(name) {
		return nil, fmt.Errorf("%q is not a function name: a letter, then letters, digits, - and _", name)
	}
	f, err := parseFunction(name, text, lookup)
	if err != nil {
		return nil, err
	}
	if v, ok := lookup("AzureWebJobs." + name + ".Disabled"); ok && (strings.EqualFold(v, "true") || v == "1") {
		f.disabled = true
	}
	return f, nil
}

// parseFunction validates one function.json for a custom handler: known binding types, known properties, exactly one trigger.
func parseFunction(name string, text []byte, lookup func(string) (string, bool)) (*function, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(text, &top); err != nil {
		return nil, err
	}
	f := &function{name: name}
	var raws []json.RawMessage
	for _, key := range slices.Sorted(maps.Keys(top)) {
		var err error
		switch key {
		case "$schema":
		case "disabled":
			err = json.Unmarshal(top[key], &f.disabled)
		case "bindings":
			err = json.Unmarshal(top[key], &raws)
		case "retry":
			err = errors.New("retry policies are not emulated")
		default:
			err = errors.New("unknown property")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	seen := map[string]bool{}
	for i, raw := range raws {
		b, err := parseBinding(raw)
		if err == nil && seen[strings.ToLower(b.Name)] {
			err = fmt.Errorf("name %q is used twice", b.Name)
		}
		if err == nil {
			seen[strings.ToLower(b.Name)] = true
			err = f.add(b, lookup)
		}
		if err != nil {
			return nil, fmt.Errorf("bindings[%d]: %w", i, err)
		}
	}
	if f.kind == "" {
		return nil, errors.New("bindings: no trigger; want exactly one of eventGridTrigger, timerTrigger, httpTrigger")
	}
	if f.output != "" && f.kind != httpCall {
		return nil, fmt.Errorf("bindings: an http output needs an httpTrigger, not %s", f.kind)
	}
	return f, nil
}

func parseBinding(raw json.RawMessage) (binding, error) {
	var b binding
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return b, err
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, err
	}
	known, ok := properties[b.Type]
	if !ok {
		return b, fmt.Errorf("type %q is unknown; want one of %v", b.Type, slices.Sorted(maps.Keys(properties)))
	}
	for key := range keys {
		if !slices.Contains(known, key) {
			return b, fmt.Errorf("property %q is unknown for %s; want some of %v", key, b.Type, known)
		}
	}
	if !bindingName.MatchString(b.Name) && (b.Type != httpOut || b.Name != "$return") {
		return b, fmt.Errorf("name %q is not a binding name", b.Name)
	}
	want := "in"
	if b.Type == httpOut {
		want = "out"
	}
	if b.Direction != want {
		return b, fmt.Errorf("direction of %s %q is %q, want %q", b.Type, b.Name, b.Direction, want)
	}
	return b, nil
}

// add takes one valid binding into the function.
func (f *function) add(b binding, lookup func(string) (string, bool)) error {
	if b.Type == httpOut {
		if f.output != "" {
			return errors.New("a second http output")
		}
		f.output = b.Name
		return nil
	}
	if f.kind != "" {
		return fmt.Errorf("a second trigger, %s beside %s", b.Type, f.kind)
	}
	f.kind, f.binding = b.Type, b.Name
	switch b.Type {
	case eventGrid:
		return f.addEventGrid(b)
	case timer:
		return f.addTimer(b, lookup)
	default:
		return f.addHTTP(b)
	}
}

func (f *function) addEventGrid(b binding) error {
	switch strings.ToLower(b.Cardinality) {
	case "", "one":
	case "many":
		f.many = true
	default:
		return fmt.Errorf("cardinality %q is neither one nor many", b.Cardinality)
	}
	return nil
}

func (f *function) addTimer(b binding, lookup func(string) (string, bool)) error {
	if b.RunOnStartup {
		return errors.New("runOnStartup fires at every cold start; it is refused here")
	}
	f.useMonitor = b.UseMonitor == nil || *b.UseMonitor
	text, missing := expand(b.Schedule, lookup)
	if missing != "" {
		return fmt.Errorf("schedule %q names the app setting %s, which is not set", b.Schedule, missing)
	}
	var err error
	f.schedule, err = parseSchedule(text)
	return err
}

func (f *function) addHTTP(b binding) error {
	f.route, f.authLevel = f.name, strings.ToLower(b.AuthLevel)
	if b.Route != nil {
		f.route = strings.Trim(*b.Route, "/")
	}
	switch f.authLevel {
	case "":
		f.authLevel = "function"
	case "anonymous", "function", "admin":
	default:
		return fmt.Errorf("authLevel %q is none of anonymous, function, admin", b.AuthLevel)
	}
	if b.WebHookType != "" {
		return errors.New("webHookType is gone since version 2")
	}
	for _, m := range b.Methods {
		up := strings.ToUpper(m)
		if !slices.Contains([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"}, up) {
			return fmt.Errorf("method %q is unknown", m)
		}
		f.methods = append(f.methods, up)
	}
	return nil
}
