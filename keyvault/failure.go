package keyvault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/keyferry/keyferry/secret"
)

// failure is a call that did not succeed, in our words.
type failure struct {
	kind  error  // a sentinel of package secret, or the cause of an ended context
	why   string // safe to print
	known bool   // Key Vault did not do what was asked: false when the answer was lost on the way
}

func (f *failure) Error() string { return f.kind.Error() + " (" + f.why + ")" }

func (f *failure) Unwrap() error { return f.kind }

// explain turns any error of the SDK into a failure. Nothing of the SDK's error is wrapped, because its text holds
// the URL and the body.
func explain(err error) *failure {
	var f *failure
	var answered *azcore.ResponseError
	var refused interface{ NonRetriable() }
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &answered):
		return explainAnswer(answered)
	case errors.As(err, &refused):
		return &failure{kind: secret.ErrUnauthorized, why: "no token for a challenge that is not Key Vault's or a link without TLS", known: true}
	}
	return malformed()
}

// malformed is the failure of a call whose answer has the right status and not the right content, as from a proxy
// that answers for Key Vault.
func malformed() *failure {
	return &failure{kind: secret.ErrUnavailable, why: "the answer is not one of Key Vault's"}
}

// refusal is the body of an error answer (facts/keyvault.md 1.4).
type refusal struct {
	Error struct {
		Code    string
		Message string
		Inner   struct{ Code string } `json:"innererror"`
	}
}

func explainAnswer(e *azcore.ResponseError) *failure {
	var r refusal
	if e.RawResponse != nil {
		if body, err := runtime.Payload(e.RawResponse); err == nil {
			_ = json.Unmarshal(body, &r) // what is not an error of Key Vault has no codes
		}
	}
	f := classify(e.StatusCode, r)
	f.known = e.StatusCode >= 300 && !answerLost(e.StatusCode)
	return f
}

// answerLost reports whether a status leaves open if the service did what was asked.
func answerLost(status int) bool { return status == http.StatusRequestTimeout || status >= 500 }

// classify is the table of facts/keyvault.md 1.4.
func classify(status int, r refusal) *failure {
	outer, inner := r.Error.Code, r.Error.Inner.Code
	kind, note := secret.ErrPermanent, ""
	switch {
	case status == http.StatusBadRequest:
		kind = secret.ErrInvalid
	case status == http.StatusUnauthorized:
		kind, note = secret.ErrUnauthorized, authCode(r.Error.Message)
	case status == http.StatusForbidden:
		note, kind = forbidden(inner)
	case status == http.StatusNotFound:
		// A 404 proves absence only when Key Vault itself says so, not a proxy.
		if kind = secret.ErrUnavailable; outer == "SecretNotFound" {
			kind = secret.ErrNotFound
		}
	case status == http.StatusConflict:
		kind = conflict(inner, r.Error.Message)
	case status == http.StatusRequestEntityTooLarge:
		kind = secret.ErrTooLarge
	case status == http.StatusTooManyRequests:
		kind = secret.ErrThrottled
	case status == http.StatusRequestTimeout, status >= 500:
		kind = secret.ErrUnavailable
	case status >= 200 && status < 400:
		return malformed()
	}
	why := fmt.Sprintf("%d", status)
	if c := codeText(outer, inner); c != "" {
		why += " " + c
	}
	if note != "" {
		why += ": " + note
	}
	return &failure{kind: kind, why: why}
}

func forbidden(inner string) (note string, kind error) {
	switch inner {
	case "SecretDisabled":
		return "", secret.ErrDisabled
	case "SecretManagedByKeyVault":
		return "", secret.ErrManaged
	case "ForbiddenByRbac":
		return "no role assignment allows it, or it is too new", secret.ErrForbidden
	case "AccessDenied":
		return "the vault's access policy does not allow it", secret.ErrForbidden
	case "ForbiddenByPolicy":
		return "an access policy or Azure Policy does not allow it", secret.ErrForbidden
	case "ForbiddenByFirewall":
		return "the vault's firewall does not know this address", secret.ErrForbidden
	case "ForbiddenByConnection":
		return "public access is off and this is no private link", secret.ErrForbidden
	}
	return "", secret.ErrForbidden
}

// conflict looks at the message too, because the inner code of a set during a deletion is not documented.
func conflict(inner, message string) error {
	says := func(code, text string) bool { return inner == code || inner == "" && strings.Contains(message, text) }
	switch {
	case says("ObjectIsDeletedButRecoverable", "deleted but recoverable"):
		return secret.ErrDeleted
	case says("ObjectIsBeingDeleted", "currently being deleted"), says("ObjectIsBeingRecovered", "currently being recovered"):
		return secret.ErrBusy
	}
	return secret.ErrConflict
}

var (
	codeWord = regexp.MustCompile(`^[A-Za-z]{1,64}$`)
	akvCode  = regexp.MustCompile(`^AKV\d{5}\b`)
)

// codeText joins the codes that look like codes: they are foreign bytes.
func codeText(outer, inner string) string {
	var words []string
	for _, c := range []string{outer, inner} {
		if codeWord.MatchString(c) {
			words = append(words, c)
		}
	}
	return strings.Join(words, "/")
}

// authCode is the number at the beginning of a 401's message, as AKV10022 for a wrong audience.
func authCode(message string) string { return akvCode.FindString(message) }
