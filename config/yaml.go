package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/keyferry/keyferry/secret"
)

// maxFile bounds keyferry.yaml; an estate of thousands of rules stays below.
const maxFile = 4 << 20

// decode reads one YAML document strictly. Faults wrap secret.ErrUsage and hold a line number and at most a key, for the
// file may have a secret where none belongs.
func decode(b []byte) (file, error) {
	var f file
	if len(b) > maxFile {
		return f, fmt.Errorf("%w: the configuration is over %d MiB", secret.ErrUsage, maxFile>>20)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, fmt.Errorf("%w: configuration, %w", secret.ErrUsage, inWords(err))
	}
	if err := dec.Decode(new(file)); !errors.Is(err, io.EOF) {
		return f, fmt.Errorf("%w: the configuration is more than one YAML document", secret.ErrUsage)
	}
	return f, nil
}

// misfit is what a decoder of ours found, without the text it found it in.
type misfit struct {
	line int
	text string
}

func (m misfit) Error() string { return fmt.Sprintf("line %d: %s", m.line, m.text) }

// inWords says what the decoder found. Its own texts quote the file and speak of Go types.
func inWords(err error) error {
	var ours misfit
	if errors.As(err, &ours) {
		return ours
	}
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil || e.GetToken().Position == nil {
		return errors.New("this is not YAML")
	}
	out := misfit{line: e.GetToken().Position.Line, text: "this is not YAML: look at indentation, quotes and brackets here and above"}
	switch e := e.(type) {
	case *yaml.UnknownFieldError:
		out.text = fmt.Sprintf("unknown key %q", e.Token.Value)
	case *yaml.SyntaxError:
		if strings.Contains(e.Message, "already defined") {
			out.text = fmt.Sprintf("key %q stands twice", e.Token.Value)
		}
	case *yaml.TypeError:
		out.text = "want " + wordOf(e.DstType) + " here"
	case *yaml.UnexpectedNodeTypeError:
		out.text = "want " + nodeWords[e.Expected] + " here"
		if nodeWords[e.Expected] == "" {
			out.text = "another kind of value belongs here"
		}
	}
	return out
}

var nodeWords = map[ast.NodeType]string{
	ast.MappingType: "keys with values", ast.SequenceType: "a list", ast.StringType: "text",
}

func wordOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "keys with values"
	}
	return "text"
}
