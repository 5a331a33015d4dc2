package functions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"
)

// app is what host.json and the function.json folders say.
type app struct {
	arguments   []string // of the handler: arguments, worker path, workerArguments
	executable  string   // defaultExecutablePath
	directory   string   // workingDirectory, relative to the app root
	proxying    bool     // enableProxyingHttpRequest
	initTimeout time.Duration
	timeout     time.Duration // functionTimeout, 0 = none
	routePrefix string
	functions   map[string]*function
}

// hostFile is the part of host.json that the emulator acts upon.
type hostFile struct {
	Version         string         `json:"version"`
	FunctionTimeout *string        `json:"functionTimeout"`
	CustomHandler   *customHandler `json:"customHandler"`
	ExtensionBundle *struct {
		ID      string `json:"id"`
		Version string `json:"version"`
	} `json:"extensionBundle"`
	Extensions struct {
		HTTP struct {
			RoutePrefix *string `json:"routePrefix"`
		} `json:"http"`
	} `json:"extensions"`
}

type customHandler struct {
	Type        string `json:"type"`
	Description struct {
		DefaultExecutablePath          string   `json:"defaultExecutablePath"`
		DefaultWorkerPath              string   `json:"defaultWorkerPath"`
		WorkingDirectory               string   `json:"workingDirectory"`
		Arguments                      []string `json:"arguments"`
		WorkerArguments                []string `json:"workerArguments"`
		UseStdErrorStreamForErrorsOnly *bool    `json:"useStdErrorStreamForErrorsOnly"`
	} `json:"description"`
	EnableForwardingHTTPRequest bool    `json:"enableForwardingHttpRequest"`
	EnableProxyingHTTPRequest   bool    `json:"enableProxyingHttpRequest"`
	InitializationTimeout       *string `json:"initializationTimeout"`
}

// hostKeys are the top-level keys a host.json may have; the real host ignores others in silence, which hides typing errors.
var hostKeys = []string{"$schema", "aggregator", "concurrency", "customHandler", "extensionBundle", "extensions", "functionTimeout",
	"functions", "healthMonitor", "logging", "retry", "singleton", "telemetryMode", "version", "watchDirectories", "watchFiles"}

var functionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,126}$`)

// readApp reads the app and reports every fault it finds, joined. lookup resolves app settings.
func readApp(root fs.FS, lookup func(string) (string, bool)) (*app, error) {
	a := &app{functions: map[string]*function{}}
	host, err := readHostFile(root)
	if err != nil {
		return nil, err
	}
	faults := []error{a.take(host, lookup)}
	files, err := fs.Glob(root, "*/function.json")
	if err != nil {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	for _, file := range files {
		f, err := readFunction(root, file, lookup)
		if err != nil {
			faults = append(faults, fmt.Errorf("read %s: %w", file, err))
			continue
		}
		if f.kind == eventGrid && host.ExtensionBundle == nil {
			faults = append(faults, fmt.Errorf("read %s: eventGridTrigger needs an extensionBundle in host.json", file))
		}
		a.functions[f.name] = f
	}
	if len(files) == 0 {
		faults = append(faults, errors.New("no functions found: want <name>/function.json at the root"))
	}
	return a, errors.Join(faults...)
}

func readHostFile(root fs.FS) (*hostFile, error) {
	text, err := fs.ReadFile(root, "host.json")
	if err != nil {
		return nil, fmt.Errorf("read host.json: %w", err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("read host.json: %w", err)
	}
	for key := range keys {
		if !slices.Contains(hostKeys, key) {
			return nil, fmt.Errorf("read host.json: unknown key %q", key)
		}
	}
	if raw, ok := keys["customHandler"]; ok {
		strict := json.NewDecoder(bytes.NewReader(raw))
		strict.DisallowUnknownFields()
		if err := strict.Decode(new(customHandler)); err != nil {
			return nil, fmt.Errorf("read host.json: customHandler: %w", err)
		}
	}
	var host hostFile
	if err := json.Unmarshal(text, &host); err != nil {
		return nil, fmt.Errorf("read host.json: %w", err)
	}
	return &host, nil
}

// take copies what the emulator needs out of host.json, with the defaults of the Flex Consumption plan.
func (a *app) take(host *hostFile, lookup func(string) (string, bool)) error {
	a.initTimeout, a.timeout, a.routePrefix = 30*time.Second, 30*time.Minute, "api"
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("host.json: "+format, args...)) }
	if host.Version != "2.0" {
		fault(`version is %q, want "2.0"`, host.Version)
	}
	if t := host.FunctionTimeout; t != nil {
		d, err := parseTimeSpan(*t)
		switch {
		case *t == "-1":
			a.timeout = 0
		case err != nil:
			fault("functionTimeout: %w", err)
		default:
			a.timeout = d
		}
	}
	if p := host.Extensions.HTTP.RoutePrefix; p != nil {
		a.routePrefix = strings.Trim(*p, "/")
	}
	c := host.CustomHandler
	if c == nil {
		fault("customHandler is missing")
		return errors.Join(faults...)
	}
	if c.Type != "" && !strings.EqualFold(c.Type, "http") {
		fault("customHandler.type is %q, want Http", c.Type)
	}
	if c.EnableForwardingHTTPRequest {
		fault("customHandler.enableForwardingHttpRequest is not emulated; use enableProxyingHttpRequest")
	}
	if t := c.InitializationTimeout; t != nil {
		d, err := parseTimeSpan(*t)
		if err != nil {
			fault("customHandler.initializationTimeout: %w", err)
		}
		a.initTimeout = d
	}
	d := c.Description
	if d.DefaultExecutablePath == "" {
		fault("customHandler.description.defaultExecutablePath is missing")
	}
	a.proxying, a.directory = c.EnableProxyingHTTPRequest, d.WorkingDirectory
	a.executable, _ = expand(d.DefaultExecutablePath, lookup)
	a.arguments = arguments(d.Arguments, d.DefaultWorkerPath, d.WorkerArguments, lookup)
	return errors.Join(faults...)
}

var setting = regexp.MustCompile(`%([^%\s]+)%`)

// expand replaces %NAME% by the app setting NAME, or by nothing; missing names the first one that is not set.
func expand(s string, lookup func(string) (string, bool)) (out, missing string) {
	out = setting.ReplaceAllStringFunc(s, func(m string) string {
		v, ok := lookup(strings.Trim(m, "%"))
		if ok {
			return v
		}
		if missing == "" {
			missing = strings.Trim(m, "%")
		}
		return ""
	})
	return out, missing
}

// arguments joins and splits as the host does (section 1.1): blanks without quoting, so that one argument with a blank in it
// becomes two unless it carries its own double quotes.
func arguments(before []string, script string, after []string, lookup func(string) (string, bool)) []string {
	all := slices.Clone(before)
	if script != "" {
		all = append(all, `"`+script+`"`)
	}
	line, _ := expand(strings.Join(append(all, after...), " "), lookup)
	var out []string
	var word strings.Builder
	quoted, open := false, false
	flush := func() {
		if open {
			out = append(out, word.String())
			word.Reset()
			open = false
		}
	}
	for _, r := range line {
		switch {
		case r == '"':
			quoted, open = !quoted, true
		case r == ' ' && !quoted:
			flush()
		default:
			word.WriteRune(r)
			open = true
		}
	}
	flush()
	return out
}
