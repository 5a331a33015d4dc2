package state_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// service answers in place of the storage account.
type service func(r *http.Request) (*http.Response, error)

func (s service) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// answer is a failure as Azure Storage words it.
func answer(r *http.Request, status int, code string) *http.Response {
	h := http.Header{}
	if code != "" {
		h.Set("x-ms-error-code", code)
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: h, Request: r,
		Body: io.NopCloser(strings.NewReader("<Error><Message>foreign text</Message></Error>"))}
}

// token is a credential that gives a token, or err.
type token struct{ err error }

func (c token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "made-up", ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

func newBlob(t *testing.T, cred azcore.TokenCredential, s service) *state.Blob {
	t.Helper()
	b, err := state.NewBlob("https://account.example", "keyferry", cred, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBlobFailures(t *testing.T) {
	none := errors.New("dial https://account.example/keyferry: foreign text")
	for _, c := range []struct {
		name   string
		status int // 0: no answer
		code   string
		want   error
		tries  int
	}{
		{"no such blob", 404, "BlobNotFound", secret.ErrNotFound, 1},
		{"no such container", 404, "ContainerNotFound", secret.ErrNotFound, 1},
		{"not found without a code", 404, "", secret.ErrNotFound, 1},
		{"token refused", 401, "InvalidAuthenticationInfo", secret.ErrUnauthorized, 1},
		{"account key refused", 403, "AuthenticationFailed", secret.ErrUnauthorized, 1},
		{"no role", 403, "AuthorizationPermissionMismatch", secret.ErrForbidden, 1},
		{"firewall", 403, "AuthorizationFailure", secret.ErrForbidden, 1},
		{"somebody leased a record", 412, "LeaseIdMissing", secret.ErrConflict, 1},
		{"conflict without a code", 409, "", secret.ErrConflict, 1},
		{"container being deleted", 409, "ContainerBeingDeleted", secret.ErrUnavailable, 4},
		{"busy", 503, "ServerBusy", secret.ErrThrottled, 4},
		{"throttled", 429, "", secret.ErrThrottled, 4},
		{"internal", 500, "InternalError", secret.ErrUnavailable, 4},
		{"timeout", 408, "", secret.ErrUnavailable, 4},
		{"no answer", 0, "", secret.ErrUnavailable, 4},
		{"unknown version", 400, "InvalidHeaderValue", secret.ErrPermanent, 1},
		{"redirect", 307, "", secret.ErrPermanent, 1},
		{"a code with foreign text", 400, "see https://account.example foreign text", secret.ErrPermanent, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				b := newBlob(t, token{}, func(r *http.Request) (*http.Response, error) {
					tries++
					if c.status == 0 {
						return nil, none
					}
					return answer(r, c.status, c.code), nil
				})
				_, err := b.Get(t.Context(), "a")
				wantFailure(t, err, c.want)
				if tries != c.tries {
					t.Errorf("%d tries, want %d", tries, c.tries)
				}
			})
		})
	}
}

// wantFailure also checks that nothing foreign is repeated.
func wantFailure(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
		return
	}
	for _, foreign := range []string{"account.example", "foreign", "http", "Bearer", "made-up"} {
		if strings.Contains(err.Error(), foreign) {
			t.Errorf("the error repeats %q: %v", foreign, err)
		}
	}
}

func TestBlobWriteWhoseFateIsUnknown(t *testing.T) {
	for _, c := range []struct {
		name string
		look func(r *http.Request) (*http.Response, error)
		want error
	}{
		{"looking fails too", func(r *http.Request) (*http.Response, error) { return nil, io.EOF }, secret.ErrAmbiguous},
		{"it is not there", func(r *http.Request) (*http.Response, error) { return answer(r, 404, "BlobNotFound"), nil }, secret.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBlob(t, token{}, func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodHead {
						return c.look(r)
					}
					return nil, io.EOF
				})
				_, err := b.Put(t.Context(), "a", []byte("x"), "")
				wantFailure(t, err, c.want)
				if ambiguous := errors.Is(err, secret.ErrAmbiguous); ambiguous != (c.want == secret.ErrAmbiguous) {
					t.Errorf("ambiguous %t: %v", ambiguous, err)
				}
			})
		})
	}
}

func TestBlobThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := newBlob(t, token{}, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		_, err := b.Get(t.Context(), "a")
		wantFailure(t, err, secret.ErrUnavailable)
		if took := time.Since(start); took < 40*time.Second || took > 50*time.Second {
			t.Errorf("took %s", took)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, secret.ErrLeaseLost)
		defer cancel()
		_, err = b.Get(ctx, "a")
		wantFailure(t, err, secret.ErrLeaseLost)
	})
}

func TestBlobThatIsTooLong(t *testing.T) {
	b := newBlob(t, token{}, func(r *http.Request) (*http.Response, error) {
		resp := answer(r, 200, "")
		resp.Body = io.NopCloser(io.LimitReader(rand.Reader, 1<<40))
		return resp, nil
	})
	_, err := b.Get(t.Context(), "a")
	wantFailure(t, err, secret.ErrTooLarge)
}

func TestBlobShowsItsToken(t *testing.T) {
	b := newBlob(t, token{}, func(r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Authorization"); got != "Bearer made-up" {
			t.Errorf("Authorization: %q", got)
		}
		return answer(r, 404, "BlobNotFound"), nil
	})
	_, err := b.Get(t.Context(), "a")
	wantFailure(t, err, secret.ErrNotFound)
}

// noToken is what azidentity returns: an error that says not to try again and repeats the answer it got.
type noToken struct{}

func (noToken) Error() string { return "POST https://login.example foreign text" }
func (noToken) NonRetriable() {}

func TestBlobWithoutToken(t *testing.T) {
	b := newBlob(t, token{err: noToken{}}, func(r *http.Request) (*http.Response, error) {
		t.Error("a request without a token")
		return answer(r, 401, ""), nil
	})
	_, err := b.Get(t.Context(), "a")
	wantFailure(t, err, secret.ErrUnauthorized)
}

func TestBlobFollowsNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the request went elsewhere")
	}))
	defer elsewhere.Close()
	account := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer account.Close()
	b, err := state.NewBlobFromConnection(connection(account.URL), "keyferry", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Get(t.Context(), "a")
	wantFailure(t, err, secret.ErrPermanent)
}

func connection(endpoint string) secret.Value {
	key := base64.StdEncoding.EncodeToString([]byte("not a key of any account"))
	return secret.New("AccountName=account;AccountKey=" + key + ";BlobEndpoint=" + endpoint + "/account")
}

func TestNewBlobRefuses(t *testing.T) {
	for _, url := range []string{"", "foreign", "http://account.example", "https://u:p@account.example", "https://account.example?sig=x", "https://\x00"} {
		if _, err := state.NewBlob(url, "keyferry", token{}, nil); !errors.Is(err, secret.ErrInvalid) || url != "" && strings.Contains(err.Error(), url) {
			t.Errorf("service %q: %v", url, err)
		}
	}
	for _, name := range []string{"", "ab", "-abc", "a--b", "a/b", "a.b", "Abc", strings.Repeat("a", 64)} {
		if _, err := state.NewBlob("https://account.example", name, token{}, nil); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("container %q: %v", name, err)
		}
	}
	for _, text := range []string{"", "foreign", "AccountName=a;AccountKey=foreign!", "AccountKey=foreign"} {
		_, err := state.NewBlobFromConnection(secret.New(text), "keyferry", nil)
		wantFailure(t, err, secret.ErrInvalid)
	}
	if _, err := state.NewBlobFromConnection(secret.New("UseDevelopmentStorage=true"), "keyferry", nil); err != nil {
		t.Error(err)
	}
}
