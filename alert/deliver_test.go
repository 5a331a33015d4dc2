package alert_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/secret"
)

// wire answers in place of a server.
type wire func(r *http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// nothing is a wire on which nothing may be sent.
type nothing struct{ t *testing.T }

func (n nothing) RoundTrip(*http.Request) (*http.Response, error) {
	n.t.Error("a request was sent")
	return nil, io.EOF
}

func answer(r *http.Request, status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"error":{"code":"foreign","message":"foreign text"}}`))}
}

// remotes makes each sink that sends over a wire.
var remotes = map[string]func(w wire) (alert.Sink, error){
	"webhook": func(w wire) (alert.Sink, error) { return alert.NewWebhook(secret.New("https://hook.example/token"), w) },
	"topic":   func(w wire) (alert.Sink, error) { return alert.NewTopic("https://topic.example", credential{}, w) },
	"topic with key": func(w wire) (alert.Sink, error) {
		return alert.NewTopicWithKey("https://topic.example", secret.New("made-up"), w)
	},
}

func eachRemote(t *testing.T, w func(t *testing.T) wire, check func(t *testing.T, s alert.Sink)) {
	for name, open := range remotes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink, err := open(w(t))
				if err != nil {
					t.Fatal(err)
				}
				check(t, sink)
			})
		})
	}
}

func TestAnswersOfReceivers(t *testing.T) {
	for _, c := range []struct {
		status int
		want   error
		tries  int
	}{
		{200, nil, 1},
		{301, secret.ErrPermanent, 1}, {307, secret.ErrPermanent, 1}, {400, secret.ErrPermanent, 1},
		{401, secret.ErrUnauthorized, 1}, {403, secret.ErrForbidden, 1},
		{404, secret.ErrNotFound, 1}, {410, secret.ErrNotFound, 1}, {413, secret.ErrTooLarge, 1},
		{408, secret.ErrUnavailable, 3}, {429, secret.ErrThrottled, 3},
		{500, secret.ErrUnavailable, 3}, {503, secret.ErrUnavailable, 3},
	} {
		tries := 0
		eachRemote(t, func(*testing.T) wire {
			tries = 0
			return func(r *http.Request) (*http.Response, error) {
				tries++
				resp := answer(r, c.status)
				resp.Header.Set("Location", "https://elsewhere.example/")
				return resp, nil
			}
		}, func(t *testing.T, s alert.Sink) {
			wantFailure(t, s.Send(t.Context(), sample()), c.want)
			if tries != c.tries {
				t.Errorf("status %d: %d tries, want %d", c.status, tries, c.tries)
			}
		})
	}
}

func TestReceiversThatDoNotAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"reset", io.ErrUnexpectedEOF, "connection was lost"},
		{"refused", &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Err: syscall.ECONNREFUSED}, "refused"},
		{"unknown", &net.DNSError{Err: "no such host", Name: "hook.example"}, "host name"},
		{"distrusted", &tls.CertificateVerificationError{Err: errors.New("foreign text")}, "certificate"},
	} {
		eachRemote(t, func(*testing.T) wire {
			return func(*http.Request) (*http.Response, error) { return nil, c.err }
		}, func(t *testing.T, s alert.Sink) {
			err := s.Send(t.Context(), sample())
			wantFailure(t, err, secret.ErrUnavailable)
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: the error does not tell of %q: %v", c.name, c.want, err)
			}
		})
	}
}

func TestAReceiverThatRecoversGetsTheAlert(t *testing.T) {
	tries := 0
	eachRemote(t, func(*testing.T) wire {
		tries = 0
		return func(r *http.Request) (*http.Response, error) {
			if tries++; tries < 3 {
				return answer(r, 503), nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || !strings.Contains(string(body), sample().ID()) {
				t.Errorf("try %d sent %q, %v", tries, body, err)
			}
			return answer(r, 200), nil
		}
	}, func(t *testing.T, s alert.Sink) {
		wantFailure(t, s.Send(t.Context(), sample()), nil)
	})
}

func TestAReceiverThatHangsIsGivenUpWithinAnEvent(t *testing.T) {
	eachRemote(t, func(*testing.T) wire {
		return func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	}, func(t *testing.T, s alert.Sink) {
		start := time.Now()
		wantFailure(t, s.Send(t.Context(), sample()), secret.ErrUnavailable)
		if took := time.Since(start); took > 22*time.Second {
			t.Errorf("took %s of the 25 s of an event", took)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, secret.ErrLeaseLost)
		defer cancel()
		wantFailure(t, s.Send(ctx, sample()), secret.ErrLeaseLost)
	})
}
