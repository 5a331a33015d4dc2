package vault_test

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A section is a list of requests on mounts of their own.
type section struct {
	title string
	text  string
}

func parse(text string) (header string, sections []section) {
	parts := strings.Split(text, "\n== ")
	for _, part := range parts[1:] {
		title, _, _ := strings.Cut(part, "\n")
		sections = append(sections, section{title: title, text: "\n== " + part})
	}
	last := len(sections) - 1
	sections[last].text = strings.TrimSuffix(sections[last].text, "\n") // the join below adds none
	for i := range sections {
		sections[i].text = strings.TrimRight(sections[i].text, "\n") + "\n"
	}
	return parts[0], sections
}

// A player keeps what the requests of a section refer to.
type player struct {
	addr, token string
	names       map[string]string // {name} -> text
	times       map[string]string // time -> <t1>
}

// play sends the requests of a section and returns its text with the answers
// that came.
func (s section) play(addr, token string, logins map[string]string) (string, error) {
	run := strings.ToLower(rand.Text()[:10])
	p := &player{addr: addr, token: token, times: map[string]string{}, names: map[string]string{
		"{v1}": "kf-" + run + "-v1", "{v2}": "kf-" + run + "-v2", "{other}": "kf-" + run + "-other", "{policy}": "kf-" + run + "-policy",
	}}
	maps.Copy(p.names, logins)
	for name, version := range map[string]string{"{v1}": "1", "{v2}": "2"} {
		if _, err := p.send(request{method: "POST", path: "sys/mounts/" + name, body: `{"type":"kv","options":{"version":"` + version + `"}}`}); err != nil {
			return "", err
		}
		defer p.send(request{method: "DELETE", path: "sys/mounts/" + name})
	}
	defer p.send(request{method: "DELETE", path: "sys/mounts/{other}"})
	defer p.send(request{method: "DELETE", path: "sys/policies/acl/{policy}"})
	// A new version 2 mount converts itself for some milliseconds.
	if _, err := p.send(request{method: "GET", path: "{v2}/config", until: "200"}); err != nil {
		return "", err
	}
	var out strings.Builder
	for line := range strings.SplitSeq(s.text, "\n") {
		if strings.HasPrefix(line, "< ") {
			continue
		}
		out.WriteString(line + "\n")
		if r, ok := strings.CutPrefix(line, "> "); ok {
			got, err := p.send(parseRequest(r))
			if err != nil {
				return "", err
			}
			out.WriteString("< " + got + "\n")
		}
	}
	return strings.TrimRight(out.String(), "\n") + "\n", nil
}

type request struct{ method, path, body, token, contentType, save, until string }

// parseRequest reads [option=value] METHOD path body.
func parseRequest(line string) request {
	r := request{token: "{root}"}
	for strings.HasPrefix(line, "[") {
		option, rest, _ := strings.Cut(line[1:], "] ")
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "token":
			r.token = value
		case "type":
			r.contentType = cmp.Or(value, "-")
		case "save":
			r.save = value
		case "until":
			r.until = value
		}
		line = rest
	}
	r.method, line, _ = strings.Cut(line, " ")
	r.path, r.body, _ = strings.Cut(line, " ")
	if r.method == "PATCH" && r.contentType == "" {
		r.contentType = "application/merge-patch+json"
	}
	return r
}

var repeat = regexp.MustCompile(`\{repeat ([^ ]+) (\d+)\}`)

func (p *player) fill(text string) string {
	for name, value := range p.names {
		text = strings.ReplaceAll(text, name, value)
	}
	return repeat.ReplaceAllStringFunc(text, func(s string) string {
		m := repeat.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		return strings.TrimSuffix(strings.Repeat(m[1], n), ",")
	})
}

// send returns the answer to a request in the form of the file. It repeats the
// request until the answer has the status that the request waits for.
func (p *player) send(r request) (string, error) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		answer, err := p.sendOnce(r)
		if err != nil || strings.HasPrefix(answer, r.until) {
			return answer, err
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("%s %s: no status %s in 10 s, but %s", r.method, r.path, r.until, answer)
		}
	}
}

func (p *player) sendOnce(r request) (string, error) {
	// The path is sent as it is written: no cleaning, no second escaping.
	u, err := url.Parse(p.addr + "/v1/" + p.fill(r.path))
	if err != nil {
		return "", err
	}
	req, err := http.NewRequest(r.method, u.String(), strings.NewReader(p.fill(r.body)))
	if err != nil {
		return "", err
	}
	req.URL = u
	switch r.token {
	case "", "{root}":
		req.Header.Set("X-Vault-Token", p.token)
	case "none":
	default:
		req.Header.Set("X-Vault-Token", p.fill(r.token))
	}
	if r.contentType != "" && r.contentType != "-" {
		req.Header.Set("Content-Type", r.contentType)
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if m := regexp.MustCompile(`"client_token":"([^"]+)"`).FindSubmatch(body); m != nil && r.save != "" {
		p.names["{"+r.save+"}"] = string(m[1])
	}
	line := strconv.Itoa(resp.StatusCode)
	if resp.Header.Get("Cache-Control") != "no-store" {
		line += " cacheable"
	}
	if kind := resp.Header.Get("Content-Type"); kind != "application/json" {
		line += " type=" + cmp.Or(kind, "none")
	}
	if to := resp.Header.Get("Location"); to != "" {
		line += " location=" + to
	}
	return p.normal(line + shape(string(body))), nil
}

var envelope = regexp.MustCompile(`(?s)^(\{.*?)"request_id":"[0-9a-f-]{36}","lease_id":"","renewable":false,"lease_duration":(\d+),"data":(.*),"wrap_info":null,"warnings":(.*),"auth":(.*),"mount_type":"(.*)"\}(\n?)$`)

// shape prints a body so that only what differs from an empty envelope shows.
func shape(body string) string {
	m := envelope.FindStringSubmatch(body)
	switch {
	case body == "":
		return ""
	case m == nil:
		return " body=" + strings.TrimSuffix(body, "\n")
	}
	var out string
	add := func(name, value, usual string) {
		if value != usual {
			out += " " + name + "=" + value
		}
	}
	if sameObject(strings.TrimSuffix(m[1], ",")+"}", m[3]) {
		m[1] = "data" // in no order
	}
	add("beside", m[1], "{")
	add("mount", m[6], "")
	add("lease", m[2], "0")
	add("data", m[3], "null")
	add("warnings", m[4], "null")
	add("auth", m[5], "null")
	add("end", strconv.Quote(m[7]), `"\n"`)
	return out
}

func sameObject(a, b string) bool {
	var x, y map[string]any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && len(x) > 0 && reflect.DeepEqual(x, y)
}

var (
	timestamp = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
	made      = []struct {
		pattern *regexp.Regexp
		name    string
	}{
		{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<uuid>"},
		{regexp.MustCompile(`"(kv|generic)_[0-9a-f]{8}"`), `"${1}_<id>"`},
		{regexp.MustCompile(`hv[sb]\.[A-Za-z0-9_-]+`), "<token>"},
		{regexp.MustCompile(`"accessor":"[A-Za-z0-9]{24}"`), `"accessor":"<id>"`},
		{regexp.MustCompile(`"client_id":"[^"]+"`), `"client_id":"<id>"`},
		{regexp.MustCompile(`"(creation_time|ttl)":[1-9]\d*`), `"$1":<n>`},
	}
)

// normal replaces what the server makes: times by their order of appearance,
// with a + when they are to come, and ids.
func (p *player) normal(text string) string {
	for name, value := range p.names {
		text = strings.ReplaceAll(text, value, name)
	}
	text = timestamp.ReplaceAllStringFunc(text, func(s string) string {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, s)
		if err != nil {
			return s
		}
		if p.times[s] == "" {
			p.times[s] = fmt.Sprintf(`"<t%d>"`, len(p.times)+1)
			if time.Until(at) > time.Minute {
				p.times[s] = fmt.Sprintf(`"<t%d+>"`, len(p.times))
			}
		}
		return p.times[s]
	})
	for _, m := range made {
		text = m.pattern.ReplaceAllString(text, m.name)
	}
	return strings.ReplaceAll(text, "\n", `\n`)
}
