package vaultsync_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/keyferry/keyferry/vaultsync"
)

// mount is a KV mount of the rig.
type mount struct {
	r       *rig
	path    string
	version int
}

// mount makes a KV mount and a rule of the same name that selects all of it; edits bend the rule.
func (r *rig) mount(version int, edits ...func(*vaultsync.Rule)) mount {
	r.t.Helper()
	m := mount{r: r, path: strings.ToLower(rand.Text()), version: version}
	m.enable()
	r.t.Cleanup(func() { r.Do(r.t, http.MethodDelete, "sys/mounts/"+m.path, "") })
	rule := vaultsync.Rule{Name: fmt.Sprintf("rule-%d", len(r.rules)+1), Mount: m.path}
	for _, edit := range edits {
		edit(&rule)
	}
	r.rules = append(r.rules, rule)
	return m
}

func (m mount) enable() {
	m.r.t.Helper()
	m.r.v1[m.path] = m.version == 1
	m.call(http.MethodPost, "sys/mounts/"+m.path, fmt.Sprintf(`{"type":"kv","options":{"version":"%d"}}`, m.version))
	for m.version == 2 { // a new mount of version 2 answers "upgrading" for a moment
		if status, _ := m.r.Do(m.r.t, http.MethodGet, m.path+"/config", ""); status == http.StatusOK {
			return
		}
	}
}

func (m mount) disable() { m.call(http.MethodDelete, "sys/mounts/"+m.path, "") }

// call makes a raw call that has to succeed. The path begins after /v1/.
func (m mount) call(method, path, body string) {
	m.r.t.Helper()
	if status, raw := m.r.Do(m.r.t, method, path, body); status/100 != 2 {
		m.r.t.Fatalf("%s %s: status %d, %s", method, path, status, raw)
	}
}

// put writes a secret, its fields as a JSON object.
func (m mount) put(path, fields string) {
	m.r.t.Helper()
	if m.version == 1 {
		m.call(http.MethodPost, m.path+"/"+escape(path), fields)
		return
	}
	m.call(http.MethodPost, m.path+"/data/"+escape(path), `{"data":`+fields+`}`)
}

// remove deletes the current version softly; on version 1 the secret is gone.
func (m mount) remove(path string) {
	m.r.t.Helper()
	if m.version == 1 {
		m.call(http.MethodDelete, m.path+"/"+escape(path), "")
		return
	}
	m.call(http.MethodDelete, m.path+"/data/"+escape(path), "")
}

func (m mount) undelete(path string, version int) {
	m.r.t.Helper()
	m.call(http.MethodPost, m.path+"/undelete/"+escape(path), fmt.Sprintf(`{"versions":[%d]}`, version))
}

func (m mount) destroy(path string, version int) {
	m.r.t.Helper()
	m.call(http.MethodPut, m.path+"/destroy/"+escape(path), fmt.Sprintf(`{"versions":[%d]}`, version))
}

// wipe removes a secret of version 2 with its metadata.
func (m mount) wipe(path string) {
	m.r.t.Helper()
	m.call(http.MethodDelete, m.path+"/metadata/"+escape(path), "")
}

// describe writes metadata, as a JSON object.
func (m mount) describe(path, metadata string) {
	m.r.t.Helper()
	m.call(http.MethodPost, m.path+"/metadata/"+escape(path), metadata)
}

// escape makes a path fit for a URL, its slashes kept.
func escape(path string) string { return strings.ReplaceAll(url.PathEscape(path), "%2F", "/") }

// gone removes a secret so that nothing of it is left.
func (m mount) gone(path string) {
	m.r.t.Helper()
	if m.version == 2 {
		m.wipe(path)
	} else {
		m.remove(path)
	}
}
