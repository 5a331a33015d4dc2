package secret

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strings"
	"testing"
)

// TestEverySentinelHasOneRow reads the source, so that a sentinel that somebody adds is not forgotten.
func TestEverySentinelHasOneRow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, name := range spec.Names {
			if strings.HasPrefix(name.Name, "Err") {
				rows[name.Name] += 0
			}
		}
		if spec.Names[0].Name == "classes" {
			for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
				if id, ok := row.(*ast.CompositeLit).Elts[0].(*ast.Ident); ok {
					rows[id.Name]++
				}
			}
		}
		return true
	})
	if len(rows) < 20 {
		t.Fatalf("found only %d sentinels in errors.go", len(rows))
	}
	for name, n := range rows {
		if n != 1 {
			t.Errorf("%s has %d rows in the table, want 1", name, n)
		}
	}
}

func TestTableOfErrorsIsConsistent(t *testing.T) {
	codes, texts := map[string]bool{}, map[string]bool{}
	for _, c := range classes {
		if codes[c.code] || texts[c.err.Error()] {
			t.Errorf("%s: the code or the text stands twice", c.code)
		}
		codes[c.code], texts[c.err.Error()] = true, true
		if http.StatusText(c.status) == "" {
			t.Errorf("%s: %d is no HTTP status", c.code, c.status)
		}
		if c.exit < 1 || c.exit > 4 {
			t.Errorf("%s: exit code %d is not documented", c.code, c.exit)
		}
		if c.transient && c.status < 500 && !errors.Is(c.err, ErrLeaseHeld) {
			t.Errorf("%s: passes, but is answered %d as if the asker were at fault", c.code, c.status)
		}
		wrapped := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", c.err))
		if Code(wrapped) != c.code || HTTPStatus(wrapped) != c.status || ExitCode(wrapped) != c.exit ||
			IsTransient(wrapped) != c.transient || Hint(wrapped) != c.hint {
			t.Errorf("%s: the row is not found through two layers of wrapping", c.code)
		}
	}
}

func TestClassOfAnError(t *testing.T) {
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(ErrLeaseLost)
	for _, c := range []struct {
		name      string
		err       error
		code      string
		status    int
		exit      int
		transient bool
	}{
		{"nil", nil, "", 200, 0, false},
		{"no sentinel is a passing fault", errors.New("x"), "failed", 500, 1, true},
		{"usage", ErrUsage, "usage", 400, 2, false},
		{"partly failed", ErrPartial, "partial", 200, 3, false},
		{"plan with changes", ErrPending, "pending", 200, 4, false},
		{"lease held", ErrLeaseHeld, "lease-held", 202, 1, true},
		{"throttled", ErrThrottled, "throttled", 503, 1, true},
		{"deadline", context.DeadlineExceeded, "deadline", 503, 1, true},
		{"cause of a cancelled context", context.Cause(cancelled), "lease-lost", 503, 1, true},
		{"not found", ErrNotFound, "not-found", 404, 1, false},
		{"partial wins over what it joins", errors.Join(ErrNotFound, ErrPartial), "partial", 200, 3, false},
		{"transient wins over permanent", errors.Join(ErrInvalid, ErrUnavailable), "unavailable", 503, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if Code(c.err) != c.code || HTTPStatus(c.err) != c.status || ExitCode(c.err) != c.exit || IsTransient(c.err) != c.transient {
				t.Errorf("got %q %d exit %d transient %v, want %q %d exit %d transient %v", Code(c.err), HTTPStatus(c.err),
					ExitCode(c.err), IsTransient(c.err), c.code, c.status, c.exit, c.transient)
			}
		})
	}
	if Hint(nil) != "" {
		t.Error("there is a hint for no error")
	}
}
