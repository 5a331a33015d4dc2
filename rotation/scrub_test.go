package rotation

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

func TestScrub(t *testing.T) {
	const plain = `pa"ss+wörd/ 0123456789abcdef`
	basic := func(user string) string { return base64.StdEncoding.EncodeToString([]byte(user + ":" + plain)) }
	for _, c := range []struct{ name, text, want string }{
		{"innocent", "connection refused", "connection refused"},
		{"plain", "user app, password " + plain + " refused", "user app, password [secret] refused"},
		{"in a URL's query", "GET /?p=" + url.QueryEscape(plain), "GET /?p=[secret]"},
		{"in a URL's path", "db://app:" + url.PathEscape(plain) + "@host", "db://app:[secret]@host"},
		{"quoted", fmt.Sprintf("near %q", plain), `near "[secret]"`},
		{"hex", "bytes " + hex.EncodeToString([]byte(plain)), "bytes [secret]"},
		{"cut off", "near '" + plain[:len(plain)-4] + "'", leftOut},
		{"in a header", "Authorization: Basic " + basic("app"), ""},
		{"in a header, one further", "Authorization: Basic " + basic("apps"), ""},
		{"in a header, two further", "Authorization: Basic " + basic("admin"), ""},
		{"escaped twice", fmt.Sprintf("near %q", fmt.Sprintf("%q", plain)), leftOut},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := fmt.Errorf("%w: %s", secret.ErrPermanent, c.text)
			got := scrub(err, Credential{Secret: secret.New(plain)}, Credential{})
			if !errors.Is(got, secret.ErrPermanent) || errors.Unwrap(got) != nil {
				t.Errorf("its class or its cover is lost: %v", got)
			}
			if text := strings.TrimPrefix(got.Error(), secret.ErrPermanent.Error()+": "); c.want != "" && text != c.want {
				t.Errorf("scrubbed to %q, not %q", text, c.want)
			}
			for _, form := range written(plain) {
				if sharesPart(got.Error(), form) {
					t.Errorf("a part is left: %q", got)
				}
			}
		})
	}
	if scrub(nil, Credential{Secret: secret.New(plain)}) != nil {
		t.Error("nil became an error")
	}
	if err := scrub(errors.New("denied"), Credential{Secret: secret.New("")}, Credential{Secret: secret.New("x")}); err.Error() != "denied" {
		t.Errorf("short secrets took apart %q", err)
	}
}
