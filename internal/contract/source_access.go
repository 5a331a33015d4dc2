package contract

import (
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vault"
)

// policies: what a token may not see is refused, and never looks absent.
func (f sourceTest) policies(t *testing.T) {
	m := f.mount(t, 2)
	f.put(t, m, "open/a", `{"a":"1"}`)
	f.put(t, m, "closed/a", `{"a":"1"}`)
	token := f.Token(t, Grants{
		m.Path + "/metadata/":       {"list"},
		m.Path + "/metadata/open/*": {"read", "list"},
		m.Path + "/data/open/*":     {"read"},
	})
	src := &watched{t: t, Source: f.Open(t, vault.Token(secret.New(token))), forbidden: []string{token}}
	wantNames(t, src, m, "", "closed/", "open/")
	wantNames(t, src, m, "open/", "a")
	if _, _, err := src.Read(t.Context(), m, "open/a"); err != nil {
		t.Error(err)
	}
	_, err := src.List(t.Context(), m, "closed/")
	wantKind(t, err, secret.ErrForbidden)
	_, err = src.Metadata(t.Context(), m, "closed/a")
	wantKind(t, err, secret.ErrForbidden)
	_, _, err = src.Read(t.Context(), m, "closed/a")
	wantKind(t, err, secret.ErrForbidden)
	_, _, err = src.Read(t.Context(), m, "closed/missing")
	wantKind(t, err, secret.ErrForbidden)

	nowhere := m
	nowhere.Path = "nowhere-" + m.Path
	_, err = src.List(t.Context(), nowhere, "")
	wantKind(t, err, secret.ErrForbidden)
}

// revokedToken: a token that was given and ends in the middle of a walk.
func (f sourceTest) revokedToken(t *testing.T) {
	m := f.mount(t, 2)
	f.put(t, m, "a", `{"a":"1"}`)
	token := f.Token(t, Grants{m.Path + "/*": {"read", "list"}})
	src := &watched{t: t, Source: f.Open(t, vault.Token(secret.New(token))), forbidden: []string{token}}
	wantNames(t, src, m, "", "a")
	f.must(t, "POST", "auth/token/revoke", `{"token":`+quote(token)+`}`)
	_, err := src.List(t.Context(), m, "")
	wantKind(t, err, secret.ErrUnauthorized)
	_, err = src.Metadata(t.Context(), m, "a")
	wantKind(t, err, secret.ErrUnauthorized)
	_, _, err = src.Read(t.Context(), m, "a")
	wantKind(t, err, secret.ErrUnauthorized)
	_, err = src.Mounts(t.Context())
	wantKind(t, err, secret.ErrUnauthorized)
}

// logIn: a way to log in, and again when its token was revoked in the middle of a walk.
func (f sourceTest) logIn(t *testing.T, method func(*testing.T, Grants) Login) {
	if method == nil {
		t.Skip("this server has no such log-in")
	}
	m := f.mount(t, 2)
	f.put(t, m, "a", `{"a":"1"}`)
	f.put(t, m, "closed/a", `{"a":"1"}`)
	way := method(t, Grants{m.Path + "/metadata/": {"list"}, m.Path + "/data/a": {"read"}})
	src := &watched{t: t, Source: f.Open(t, way.Auth), forbidden: way.Secrets}
	wantNames(t, src, m, "", "a", "closed/")
	if _, _, err := src.Read(t.Context(), m, "a"); err != nil {
		t.Error(err)
	}
	_, _, err := src.Read(t.Context(), m, "closed/a")
	wantKind(t, err, secret.ErrForbidden)

	way.Revoke(t)
	if _, _, err := src.Read(t.Context(), m, "a"); err != nil {
		t.Errorf("after its token was revoked: %v", err)
	}
	wantNames(t, src, m, "", "a", "closed/")

	wrong := &watched{t: t, Source: f.Open(t, way.Wrong), forbidden: way.Secrets}
	_, err = wrong.Mounts(t.Context())
	wantKind(t, err, secret.ErrUnauthorized)
}

// sealed: every call says so and none says that something is absent.
func (f sourceTest) sealed(t *testing.T, seal func()) {
	m := f.mount(t, 2)
	f.put(t, m, "a", `{"a":"1"}`)
	seal()
	_, mountsErr := f.src.Mounts(t.Context())
	_, listErr := f.src.List(t.Context(), m, "")
	_, metaErr := f.src.Metadata(t.Context(), m, "a")
	_, _, readErr := f.src.Read(t.Context(), m, "missing")
	for _, err := range []error{mountsErr, listErr, metaErr, readErr} {
		wantKind(t, err, secret.ErrUnavailable)
		if err != nil && !strings.Contains(err.Error(), "sealed") {
			t.Errorf("error %q does not say that vault is sealed", err)
		}
	}
}
