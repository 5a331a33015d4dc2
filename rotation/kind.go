package rotation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
)

// Kind is one value of the rotation-type tag: a rotator with its parameters. Define makes it. A Kind is immutable and
// safe for concurrent use; the zero Kind is of no use.
type Kind struct {
	Type string // as the tag and targets name it
	Doc  string // one sentence

	parameters []Parameter
	check      func(params map[string]any) error
	open       func(deps Deps, params map[string]any) (Rotator, error)
}

// Parameter describes one key under a target's params.
type Parameter struct {
	Name    string
	Type    string // in the words of YAML: text, number, yes/no, list of text
	Default string // as it would be written in JSON, text without quotes; empty: none
	Doc     string
}

// Define declares a kind of rotator.
//
// P is a struct. Each field that is a parameter has the tags `json:"name"` and `doc:"what it means"`, and may have
// `default:"value"`. From it follow the decoding, which is strict (an unknown key, a missing value or a value of another
// type is an error), the help and the documentation. When P has a method Validate() error, it judges the decoded
// parameters without touching anything.
//
// open makes the rotator for one rotation and makes no call. Define panics when P is not such a struct: that is a
// mistake in the program, seen by the first test that lists the kinds.
func Define[P any](typ, doc string, open func(Deps, P) (Rotator, error)) Kind {
	parameters := declared(reflect.TypeFor[P](), typ)
	if err := decodeParams(parameters, nil, new(P)); err != nil {
		panic(fmt.Sprintf("rotation: default of %s: %v", typ, err))
	}
	decode := func(params map[string]any) (P, error) {
		var p P
		err := decodeParams(parameters, params, &p)
		if err == nil {
			if v, ok := any(p).(interface{ Validate() error }); ok {
				err = v.Validate()
			}
		}
		return p, err
	}
	return Kind{
		Type: typ, Doc: doc, parameters: parameters,
		check: func(params map[string]any) error {
			_, err := decode(params)
			return err
		},
		open: func(deps Deps, params map[string]any) (Rotator, error) {
			p, err := decode(params)
			if err != nil {
				return nil, err
			}
			return open(deps, p)
		},
	}
}

// Parameters returns the parameters in the order of their declaration.
func (k Kind) Parameters() []Parameter { return slices.Clone(k.parameters) }

// Check decodes and judges parameters without opening anything. All faults that can be seen at once are joined.
func (k Kind) Check(params map[string]any) error { return k.check(params) }

// Open makes the rotator for a target with these parameters.
func (k Kind) Open(deps Deps, params map[string]any) (Rotator, error) { return k.open(deps, params) }

// Help describes the kind and its parameters for a terminal.
func (k Kind) Help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", k.Type, k.Doc)
	if len(k.parameters) == 0 {
		return b.String()
	}
	b.WriteString("\nparams:\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, p := range k.parameters {
		line := fmt.Sprintf("  %s\t%s\t%s", p.Name, p.Type, p.Doc)
		if p.Default != "" {
			line += " (default " + p.Default + ")"
		}
		fmt.Fprintln(w, line)
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

func declared(t reflect.Type, typ string) []Parameter {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("rotation: parameters of %s are a %s, not a struct", typ, t))
	}
	var ps []Parameter
	for i := range t.NumField() {
		f := t.Field(i)
		p := Parameter{Name: f.Tag.Get("json"), Type: typeWord(f.Type), Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc")}
		if !f.IsExported() || p.Name == "" || strings.ContainsAny(p.Name, ",-") || p.Type == "" || p.Doc == "" {
			panic(fmt.Sprintf("rotation: parameter %s of %s needs a plain type and the tags json and doc", f.Name, typ))
		}
		ps = append(ps, p)
	}
	return ps
}

func typeWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Int:
		return "number"
	case reflect.Bool:
		return "yes/no"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return "list of text"
		}
	}
	return ""
}

// decodeParams fills the struct into points to. Names are compared exactly, which encoding/json alone would not do.
func decodeParams(parameters []Parameter, params map[string]any, into any) error {
	var faults []error
	texts := make(map[string]json.RawMessage, len(parameters))
	var names []string
	for _, p := range parameters {
		names = append(names, p.Name)
		if p.Default != "" {
			texts[p.Name] = p.defaultText()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		text, err := json.Marshal(params[name])
		switch {
		case !slices.Contains(names, name):
			faults = append(faults, fmt.Errorf("unknown parameter %q, there are: %s", name, strings.Join(names, ", ")))
		case err != nil:
			faults = append(faults, fmt.Errorf("parameter %s: not a plain value", name))
		case bytes.Equal(text, []byte("null")):
			faults = append(faults, fmt.Errorf("parameter %s: no value", name))
		default:
			texts[name] = text
		}
	}
	for _, p := range parameters {
		text, ok := texts[p.Name]
		if !ok {
			continue
		}
		one, err := json.Marshal(map[string]json.RawMessage{p.Name: text})
		if err == nil {
			err = json.Unmarshal(one, into)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("parameter %s: want %s", p.Name, p.Type))
		}
	}
	return errors.Join(faults...)
}

// defaultText is the default as JSON.
func (p Parameter) defaultText() json.RawMessage {
	if p.Type == "text" {
		text, _ := json.Marshal(p.Default) // text always can
		return text
	}
	return json.RawMessage(p.Default)
}
