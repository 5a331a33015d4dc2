package rotators

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// TestRabbitMQKeepsTags: PUT replaces them.
func TestRabbitMQKeepsTags(t *testing.T) {
	s := stageNamed(t, "rabbitmq/admin")
	for _, tags := range []string{"", "management", "monitoring,policymaker,of our own"} {
		s, now := s.account(t, "u")
		path := "users/" + url.PathEscape(now.User)
		runRabbit(t, s, http.MethodPut, path, map[string]any{"password": now.Secret.Reveal(), "tags": tags})
		before := runRabbit(t, s, http.MethodGet, path, nil)["tags"]
		r := s.open(t)
		rotate(t, r, now, s.next(t, r, now, ""))
		if diff := cmp.Diff(before, runRabbit(t, s, http.MethodGet, path, nil)["tags"]); diff != "" {
			t.Errorf("%q: %s", tags, diff)
		}
	}
}

func TestRabbitMQWithoutTheTagAdministrator(t *testing.T) {
	s := stageNamed(t, "rabbitmq/admin")
	for _, tags := range []string{"", "management", "monitoring"} {
		s, now := s.account(t, "u")
		runRabbit(t, s, http.MethodPut, "users/"+url.PathEscape(now.User), map[string]any{"password": now.Secret.Reveal(), "tags": tags})
		s.own = true
		r := s.open(t)
		verifies(t, r, now)
		sets(t, secret.ErrPermanent, r, now, s.next(t, r, now, ""))
		verifies(t, r, now)
	}
}

func TestRabbitTags(t *testing.T) {
	for body, want := range map[string]string{
		`{"tags":[]}`:                       "",
		`{"tags":["administrator","ours"]}`: "administrator,ours",
		`{"tags":""}`:                       "",
		`{"tags":"administrator,ours"}`:     "administrator,ours", // before 3.9
	} {
		if got, err := rabbitTags([]byte(body)); err != nil || got != want {
			t.Errorf("%s: got %q, %v", body, got, err)
		}
	}
	for _, body := range []string{``, `{}`, `[]`, `{"tags":null}`, `{"tags":1}`, `{"tags":[1]}`, `{"tags":{}}`} {
		if got, err := rabbitTags([]byte(body)); !errors.Is(err, secret.ErrPermanent) {
			t.Errorf("%s: got %q, %v", body, got, err)
		}
	}
}

func FuzzRabbitFault(f *testing.F) {
	f.Add(401, `{"error":"not_authorized","reason":"Login failed"}`)
	f.Add(401, `{"error":"not_authorised","reason":"Not management user"}`)
	f.Add(400, `{"error":"bad_request","reason":["not_base64","zz"]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		_, _ = rabbitTags([]byte(body))
		if err := rabbitFault(status, []byte(body)); (err == nil) != (status/100 == 2) {
			t.Errorf("%d: %v", status, err)
		} else if errors.Is(err, rotation.ErrDenied) && status != http.StatusUnauthorized {
			t.Errorf("%d: %v", status, err)
		}
	})
}

// TestRabbitMQAnswers: only a wrong password is denied, and a credential follows no redirection.
func TestRabbitMQAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent elsewhere", r.Method)
	}))
	defer elsewhere.Close()
	for _, c := range []struct {
		status    int
		body      string
		want      error // nil: it may pass
		permanent bool
	}{
		{401, `{"error":"not_authorized","reason":"Login failed"}`, rotation.ErrDenied, false},
		{401, `{"error":"not_authorised","reason":"User can only log in via localhost"}`, nil, false},
		{401, `hunter2`, nil, false},
		{404, ``, nil, true},
		{307, ``, nil, true},
		{429, ``, nil, false},
		{500, `hunter2`, nil, false},
		{200, `{"tags":`, nil, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		r, err := rabbitmqUserKind(rand.Reader).Open(rotation.Deps{HTTP: server.Client()}, map[string]any{"url": server.URL})
		if err != nil {
			t.Fatal(err)
		}
		now := rotation.Credential{User: "u", Secret: secret.New("hunter2")}
		err = r.(rotation.Setter).Set(context.Background(), now, rotation.Credential{User: "u", Secret: secret.New("hunter3")})
		if err == nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && (isClear(err) || c.permanent == secret.IsTransient(err)) {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
		tellsNothing(t, err, now)
		server.Close()
	}
}

// TestRabbitHash is the example of RabbitMQ's documentation, "Passwords".
func TestRabbitHash(t *testing.T) {
	r := &onceReader{0x90, 0x8D, 0xC6, 0x0A}
	if got, err := rabbitHash(secret.New("test12"), r); err != nil || got != "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR" {
		t.Errorf("got %s, %v", got, err)
	}
}

type onceReader []byte

func (r *onceReader) Read(p []byte) (int, error) {
	if len(*r) == 0 {
		return 0, io.EOF
	}
	n := copy(p, *r)
	*r = (*r)[n:]
	return n, nil
}
