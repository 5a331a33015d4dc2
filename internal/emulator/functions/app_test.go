package functions

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const (
	hostJSON = `{"version":"2.0","functionTimeout":"00:10:00",
		"customHandler":{"description":{"defaultExecutablePath":"bin/keyferry","arguments":["serve"]},"enableProxyingHttpRequest":true},
		"extensionBundle":{"id":"Microsoft.Azure.Functions.ExtensionBundle","version":"[4.*, 5.0.0)"}}`
	eventJSON  = `{"bindings":[{"type":"eventGridTrigger","name":"event","direction":"in"}]}`
	manyJSON   = `{"bindings":[{"type":"eventGridTrigger","name":"events","direction":"in","cardinality":"many"}]}`
	timerJSON  = `{"bindings":[{"type":"timerTrigger","name":"timer","direction":"in","schedule":"0 */5 * * * *"}]}`
	httpJSON   = `{"bindings":[{"type":"httpTrigger","name":"req","direction":"in","authLevel":"function","methods":["post"]},{"type":"http","name":"res","direction":"out"}]}`
	noOutJSON  = `{"bindings":[{"type":"httpTrigger","name":"req","direction":"in","authLevel":"anonymous"}]}`
	routedJSON = `{"bindings":[{"type":"httpTrigger","name":"req","direction":"in","authLevel":"anonymous","route":"status/{name?}"},{"type":"http","name":"$return","direction":"out"}]}`
)

// appFS is an app with one function of every shape; more files are given as name, text pairs and replace those.
func appFS(more ...string) fstest.MapFS {
	root := fstest.MapFS{}
	files := append([]string{"host.json", hostJSON, "Near/function.json", eventJSON, "Batch/function.json", manyJSON,
		"Sweep/function.json", timerJSON, "Force/function.json", httpJSON, "Bare/function.json", noOutJSON, "Status/function.json", routedJSON}, more...)
	for pair := range slices.Chunk(files, 2) {
		root[pair[0]] = &fstest.MapFile{Data: []byte(pair[1])}
	}
	return root
}

func unset(string) (string, bool) { return "", false }

func TestAppIsRead(t *testing.T) {
	a, err := readApp(appFS(), unset)
	if err != nil {
		t.Fatal(err)
	}
	if a.timeout != 10*time.Minute || a.initTimeout != 30*time.Second || a.routePrefix != "api" || !a.proxying {
		t.Errorf("app = %+v", a)
	}
	if !slices.Equal(a.arguments, []string{"serve"}) || a.executable != "bin/keyferry" {
		t.Errorf("command = %q %q", a.executable, a.arguments)
	}
	if f := a.functions["Near"]; f.kind != eventGrid || f.binding != "event" || f.many {
		t.Errorf("Near = %+v", f)
	}
	if f := a.functions["Force"]; f.route != "Force" || f.authLevel != "function" || !slices.Equal(f.methods, []string{"POST"}) {
		t.Errorf("Force = %+v", f)
	}
}

func TestFaultyAppIsRefusedWithAReason(t *testing.T) {
	trigger := func(s string) string { return `{"bindings":[` + s + `]}` }
	for _, c := range []struct{ file, text, want string }{
		{"host.json", `{`, "unexpected end"},
		{"host.json", `{"version":"1.0","customHandler":{"description":{"defaultExecutablePath":"x"}}}`, `want "2.0"`},
		{"host.json", `{"version":"2.0","customHandlers":{}}`, `unknown key "customHandlers"`},
		{"host.json", `{"version":"2.0"}`, "customHandler is missing"},
		{"host.json", `{"version":"2.0","customHandler":{"description":{}}}`, "defaultExecutablePath is missing"},
		{"host.json", `{"version":"2.0","customHandler":{"enableHttpProxyingRequest":true}}`, "enableHttpProxyingRequest"},
		{"host.json", `{"version":"2.0","customHandler":{"enableForwardingHttpRequest":true}}`, "not emulated"},
		{"host.json", `{"version":"2.0","functionTimeout":"10m"}`, "time span"},
		{"host.json", strings.Replace(hostJSON, `"extensionBundle"`, `"logging"`, 1), "needs an extensionBundle"},
		{"X/function.json", `[]`, "cannot unmarshal"},
		{"X/function.json", `{}`, "no trigger"},
		{"X/function.json", `{"binding":[]}`, "unknown property"},
		{"X/function.json", trigger(`{"type":"queueTrigger","name":"q","direction":"in"}`), `type "queueTrigger" is unknown`},
		{"X/function.json", trigger(`{"type":"eventgridtrigger","name":"q","direction":"in"}`), "is unknown"},
		{"X/function.json", trigger(`{"type":"eventGridTrigger","direction":"in"}`), "not a binding name"},
		{"X/function.json", trigger(`{"type":"eventGridTrigger","name":"e"}`), `want "in"`},
		{"X/function.json", trigger(`{"type":"eventGridTrigger","name":"e","direction":"in","cardinality":"few"}`), "neither one nor many"},
		{"X/function.json", trigger(`{"type":"eventGridTrigger","name":"e","direction":"in","schedule":"x"}`), `property "schedule"`},
		{"X/function.json", trigger(`{"type":"timerTrigger","name":"t","direction":"in","schedule":"*/5 * * * *"}`), "has 5 fields"},
		{"X/function.json", trigger(`{"type":"timerTrigger","name":"t","direction":"in","schedule":"00:05:00"}`), "has 1 fields"},
		{"X/function.json", trigger(`{"type":"timerTrigger","name":"t","direction":"in","schedule":"%EVERY%"}`), "EVERY, which is not set"},
		{"X/function.json", trigger(`{"type":"timerTrigger","name":"t","direction":"in","schedule":"0 0 0 1 1 *","runOnStartup":true}`), "runOnStartup"},
		{"X/function.json", trigger(`{"type":"httpTrigger","name":"r","direction":"in","authLevel":"none"}`), "authLevel"},
		{"X/function.json", trigger(`{"type":"httpTrigger","name":"r","direction":"in","methods":["fetch"]}`), "method"},
		{"X/function.json", strings.Replace(eventJSON, `]`, `,{"type":"timerTrigger","name":"t","direction":"in","schedule":"0 0 0 1 1 *"}]`, 1), "second trigger"},
		{"X/function.json", strings.Replace(eventJSON, `]`, `,{"type":"http","name":"res","direction":"out"}]`, 1), "needs an httpTrigger"},
		{"X/function.json", `{"retry":{"strategy":"fixedDelay"},` + timerJSON[1:], "retry"},
		{"1x/function.json", eventJSON, "not a function name"},
	} {
		_, err := readApp(appFS(c.file, c.text), unset)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: error %v, want %q in it", c.file, c.text, err, c.want)
		}
	}
}

func TestDisabledFunctionsAreNotListed(t *testing.T) {
	h, err := New(Options{App: appFS("Near/function.json", `{"disabled":true,`+eventJSON[1:]), Env: []string{"AzureWebJobs.Batch.Disabled=true"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Functions(); !slices.Equal(got, []string{"Bare", "Force", "Status", "Sweep"}) {
		t.Errorf("functions = %v", got)
	}
}

func TestArgumentsAreJoinedWithoutQuoting(t *testing.T) {
	lookup := func(name string) (string, bool) { return "from app settings", name == "WHERE" }
	got := arguments([]string{"serve", "a b", `"c d"`, "%WHERE%", "%GONE%"}, "my script.js", []string{"--last"}, lookup)
	want := []string{"serve", "a", "b", "c d", "from", "app", "settings", "my script.js", "--last"}
	if !slices.Equal(got, want) {
		t.Errorf("arguments = %q, want %q", got, want)
	}
}

func TestTimeSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"00:10:00": 10 * time.Minute, "1.02:03:04": 26*time.Hour + 3*time.Minute + 4*time.Second,
		"00:00:00.25": 250 * time.Millisecond, "01:00": time.Hour,
	} {
		if got, err := parseTimeSpan(text); err != nil || got != want {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "25:00:00", "00:61:00", "-00:01:00", "10m"} {
		if got, err := parseTimeSpan(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestScheduleFindsTheNextOccurrence(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) // a Friday
	for text, want := range map[string]string{
		"0 */5 * * * *":        "2026-01-02T03:05:00Z",
		"*/2 * * * * *":        "2026-01-02T03:04:06Z",
		"0 30 9 * * 1-5":       "2026-01-02T09:30:00Z",
		"0 0 0 * * Sun":        "2026-01-04T00:00:00Z",
		"0 0 0 29 feb *":       "2028-02-29T00:00:00Z",
		"0 0 0 13 * fri":       "2026-02-13T00:00:00Z", // day AND day of week
		"15,45 59 23 31 12 *":  "2026-12-31T23:59:15Z",
		"0 0 8-18/4 * Mar-Apr": "",
		"0 0 0 31 2 *":         "0001-01-01T00:00:00Z",
	} {
		s, err := parseSchedule(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q was accepted", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.next(at).Format(time.RFC3339); got != want {
			t.Errorf("%q after %v = %s, want %s", text, at, got, want)
		}
	}
	for _, text := range []string{"60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * * 13 *", "* * * * * 7", "*/0 * * * * *", "5-1 * * * * *", "? * * * * *"} {
		if _, err := parseSchedule(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzParseFunction(f *testing.F) {
	for _, s := range []string{eventJSON, manyJSON, timerJSON, httpJSON, routedJSON, `{}`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fn, err := parseFunction("X", text, unset)
		if (fn == nil) == (err == nil) {
			t.Fatalf("function %v, error %v", fn, err)
		}
		if fn != nil && (fn.kind == "" || fn.binding == "") {
			t.Fatalf("accepted without a trigger: %+v", fn)
		}
	})
}
