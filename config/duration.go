package config

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// duration is written as days ("90d") or as Go writes durations ("36h"); a bare 0 is one too.
type duration time.Duration

// UnmarshalYAML reads a duration; no value is 0.
func (d *duration) UnmarshalYAML(n ast.Node) error {
	scalar, ok := n.(ast.ScalarNode)
	if !ok {
		return misfit{n.GetToken().Position.Line, errDuration.Error()}
	}
	var text string
	switch n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.StringNode, *ast.IntegerNode:
		text = scalar.GetToken().Value
	}
	v, err := parseDuration(text)
	if err != nil {
		return misfit{n.GetToken().Position.Line, err.Error()}
	}
	*d = duration(v)
	return nil
}

var errDuration = errors.New("this is no duration: write 90d or 36h")

const (
	day     = duration(24 * time.Hour)
	maxDays = 36_500
)

func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > maxDays {
			return 0, errDuration
		}
		return time.Duration(n) * time.Duration(day), nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 || v > maxDays*time.Duration(day) {
		return 0, errDuration
	}
	return v, nil
}
