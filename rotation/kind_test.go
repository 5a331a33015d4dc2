package rotation

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type params struct {
	Host    string   `json:"host" doc:"where it is"`
	Port    int      `json:"port" default:"5432" doc:"of the server"`
	Plain   bool     `json:"plain" doc:"without TLS"`
	Mode    string   `json:"mode" default:"self" doc:"self or admin"`
	Aliases []string `json:"aliases" doc:"other names"`
}

func (p params) Validate() error {
	if p.Host == "" {
		return errors.New("parameter host: no value")
	}
	return nil
}

type opened struct{ params params }

func (opened) Verify(context.Context, Credential) error { return nil }

func testKind() Kind {
	return Define("database", "changes a password", func(_ Deps, p params) (Rotator, error) { return opened{p}, nil })
}

func TestParametersAreDecodedStrictly(t *testing.T) {
	full := params{Host: "h", Port: 1, Plain: true, Mode: "admin", Aliases: []string{"a"}}
	for _, c := range []struct {
		name   string
		given  map[string]any
		want   params
		faults []string // words of the error; none: valid
	}{
		{"all", map[string]any{"host": "h", "port": 1, "plain": true, "mode": "admin", "aliases": []any{"a"}}, full, nil},
		{"as YAML decodes numbers", map[string]any{"host": "h", "port": uint64(7)}, params{Host: "h", Port: 7, Mode: "self"}, nil},
		{"defaults", map[string]any{"host": "h"}, params{Host: "h", Port: 5432, Mode: "self"}, nil},
		{"an unknown key", map[string]any{"host": "h", "hots": "x"}, params{}, []string{`unknown parameter "hots"`, "host, port"}},
		{"a key in other case", map[string]any{"host": "h", "Port": 1}, params{}, []string{`unknown parameter "Port"`}},
		{"no value", map[string]any{"host": "h", "port": nil}, params{}, []string{"port: no value"}},
		{"text for a number", map[string]any{"host": "h", "port": "1"}, params{}, []string{"port: want number"}},
		{"a fraction", map[string]any{"host": "h", "port": 1.5}, params{}, []string{"port: want number"}},
		{"a number for text", map[string]any{"host": 1}, params{}, []string{"host: want text"}},
		{"text for a list", map[string]any{"host": "h", "aliases": "a"}, params{}, []string{"aliases: want list of text"}},
		{"a map for text", map[string]any{"host": map[string]any{"a": 1}}, params{}, []string{"host: want text"}},
		{"a value JSON cannot hold", map[string]any{"host": func() {}}, params{}, []string{"host: not a plain value"}},
		{"what Validate says", nil, params{}, []string{"host: no value"}},
		{"every fault at once", map[string]any{"x": 1, "port": "1", "plain": nil}, params{}, []string{`"x"`, "port", "plain"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := testKind()
			err := k.Check(c.given)
			if (err != nil) != (len(c.faults) > 0) {
				t.Fatalf("Check = %v", err)
			}
			for _, word := range c.faults {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not mention %q", err, word)
				}
			}
			r, err := k.Open(Deps{}, c.given)
			if len(c.faults) > 0 {
				if err == nil {
					t.Error("Open took what Check refused")
				}
				return
			}
			if got := r.(opened).params; !cmp.Equal(got, c.want) {
				t.Error(cmp.Diff(c.want, got))
			}
		})
	}
}

func TestFaultsOfParametersDoNotRepeatTheirValues(t *testing.T) {
	err := testKind().Check(map[string]any{"host": "h", "port": "hunter2"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a value in the wrong place may be a password: %v", err)
	}
}

func TestHelpComesFromTheDeclaration(t *testing.T) {
	const want = `database: changes a password

params:
  host     text          where it is
  port     number        of the server (default 5432)
  plain    yes/no        without TLS
  mode     text          self or admin (default self)
  aliases  list of text  other names
`
	if got := testKind().Help(); got != want {
		t.Error(cmp.Diff(want, got))
	}
	none := Define("none", "has no parameters", func(Deps, struct{}) (Rotator, error) { return opened{}, nil })
	if got := none.Help(); got != "none: has no parameters\n" {
		t.Errorf("Help = %q", got)
	}
	if err := none.Check(map[string]any{"a": 1}); err == nil {
		t.Error("a parameter was taken where none is declared")
	}
}

func TestDefineRefusesWhatCannotBeDocumented(t *testing.T) {
	for name, define := range map[string]func(){
		"no struct": func() { define[int]() },
		"no doc": func() {
			define[struct {
				A int `json:"a"`
			}]()
		},
		"no name": func() {
			define[struct {
				A int `doc:"d"`
			}]()
		},
		"omitempty": func() {
			define[struct {
				A int `json:"a,omitempty" doc:"d"`
			}]()
		},
		"not a scalar": func() {
			define[struct {
				A map[string]int `json:"a" doc:"d"`
			}]()
		},
		"not exported": func() {
			define[struct {
				a int `doc:"d"`
			}]()
		},
		"left out": func() {
			define[struct {
				A int `json:"-" doc:"d"`
			}]()
		},
		"a wrong default": func() {
			define[struct {
				A int `json:"a" doc:"d" default:"many"`
			}]()
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("Define took it")
				}
			}()
			define()
		})
	}
}

func define[P any]() {
	Define("x", "x", func(Deps, P) (Rotator, error) { return nil, nil })
}
