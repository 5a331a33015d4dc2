package keyvault

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

// Every row of facts/keyvault.md 1.4, and what stands beside it.
func TestAnswersBecomeSentinels(t *testing.T) {
	const conflicting = "Conflict"
	for _, c := range []struct {
		status       int
		outer, inner string
		message      string
		want         error
		text         string
	}{
		{401, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token.", secret.ErrUnauthorized, "401 Unauthorized: AKV10000"},
		{401, "Unauthorized", "", "AKV10022: Invalid audience. Expected x, found: y.", secret.ErrUnauthorized, "401 Unauthorized: AKV10022"},
		{401, "Unauthorized", "", "[TokenExpired] Error validating token: 'S2S12086'.", secret.ErrUnauthorized, "401 Unauthorized"},
		{404, "SecretNotFound", "", "A secret with (name/id) n was not found in this key vault.", secret.ErrNotFound, "404 SecretNotFound"},
		{404, "", "", "", secret.ErrUnavailable, "404"},
		{404, "NotFound", "", "", secret.ErrUnavailable, "404 NotFound"},
		{409, conflicting, "ObjectIsDeletedButRecoverable", "", secret.ErrDeleted, "409 Conflict/ObjectIsDeletedButRecoverable"},
		{409, conflicting, "ObjectIsBeingDeleted", "", secret.ErrBusy, "409 Conflict/ObjectIsBeingDeleted"},
		{409, conflicting, "ObjectIsBeingRecovered", "", secret.ErrBusy, "409 Conflict/ObjectIsBeingRecovered"},
		{409, conflicting, "", "Secret n is currently being deleted and cannot be re-created; retry later.", secret.ErrBusy, "409 Conflict"},
		{409, conflicting, "", "Secret n is currently being recovered and cannot be re-created; retry later.", secret.ErrBusy, "409 Conflict"},
		{409, conflicting, "", "Secret n is currently in a deleted but recoverable state", secret.ErrDeleted, "409 Conflict"},
		{409, conflicting, "", "There was a conflict restoring the secret", secret.ErrConflict, "409 Conflict"},
		{403, "Forbidden", "SecretDisabled", "", secret.ErrDisabled, "403 Forbidden/SecretDisabled"},
		{403, "Forbidden", "SecretManagedByKeyVault", "", secret.ErrManaged, "403 Forbidden/SecretManagedByKeyVault"},
		{403, "Forbidden", "ForbiddenByRbac", "", secret.ErrForbidden, "403 Forbidden/ForbiddenByRbac: no role assignment allows it, or it is too new"},
		{403, "Forbidden", "AccessDenied", "", secret.ErrForbidden, "403 Forbidden/AccessDenied: the vault's access policy does not allow it"},
		{403, "Forbidden", "ForbiddenByPolicy", "", secret.ErrForbidden, "403 Forbidden/ForbiddenByPolicy: an access policy or Azure Policy does not allow it"},
		{403, "Forbidden", "ForbiddenByFirewall", "", secret.ErrForbidden, "403 Forbidden/ForbiddenByFirewall: the vault's firewall does not know this address"},
		{403, "Forbidden", "ForbiddenByConnection", "", secret.ErrForbidden, "403 Forbidden/ForbiddenByConnection: public access is off and this is no private link"},
		{403, "Forbidden", "", "Operation \"purge\" is not allowed", secret.ErrForbidden, "403 Forbidden"},
		{400, "BadParameter", "", "Property  has invalid value\r\n", secret.ErrInvalid, "400 BadParameter"},
		{413, "", "", "", secret.ErrTooLarge, "413"},
		{429, "Throttled", "", "", secret.ErrThrottled, "429 Throttled"},
		{408, "", "", "", secret.ErrUnavailable, "408"},
		{500, "InternalServerError", "", "", secret.ErrUnavailable, "500 InternalServerError"},
		{503, "", "", "", secret.ErrUnavailable, "503"},
		{418, "", "", "", secret.ErrPermanent, "418"},
		{302, "", "", "", secret.ErrUnavailable, "the answer is not one of Key Vault's"},
		{403, "Forbidden\r\nSet-Cookie: x", "<b>", "", secret.ErrForbidden, "403"},
	} {
		t.Run(fmt.Sprint(c.status, c.outer, c.inner), func(t *testing.T) {
			var r refusal
			r.Error.Code, r.Error.Inner.Code, r.Error.Message = c.outer, c.inner, c.message
			got := classify(c.status, r)
			if !errors.Is(got, c.want) || got.why != c.text {
				t.Errorf("got %v with %q, want %v with %q", got.kind, got.why, c.want, c.text)
			}
		})
	}
}

func TestWhatIsRepeated(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		want   bool
	}{
		{"GET", 429, true}, {"PATCH", 429, true}, {"PUT", 429, true}, {"DELETE", 429, true},
		{"GET", 408, true}, {"PATCH", 408, true}, {"PUT", 408, false},
		{"GET", 500, true}, {"PATCH", 503, true}, {"PUT", 500, false}, {"PUT", 503, false}, {"DELETE", 504, true},
		{"GET", 200, false}, {"GET", 401, false}, {"GET", 403, false}, {"GET", 404, false}, {"PUT", 409, false}, {"PATCH", 400, false},
	} {
		if got := repeatStatus(c.method, c.status); got != c.want {
			t.Errorf("%s %d: repeated %v, want %v", c.method, c.status, got, c.want)
		}
	}
	lost := &failure{kind: secret.ErrUnavailable}
	unsent := &failure{kind: secret.ErrUnavailable, known: true}
	noToken := &failure{kind: secret.ErrUnauthorized, known: true}
	for _, c := range []struct {
		method string
		f      *failure
		want   bool
	}{
		{"GET", lost, true}, {"PATCH", lost, true}, {"PUT", lost, false},
		{"GET", unsent, true}, {"PUT", unsent, true}, {"GET", noToken, false}, {"PUT", noToken, false},
	} {
		if got := repeatFailure(c.method, c.f); got != c.want {
			t.Errorf("%s after %v: repeated %v, want %v", c.method, c.f, got, c.want)
		}
	}
}

// A refusal is foreign bytes: whatever they are, the message is ours and short.
func FuzzRefusal(f *testing.F) {
	f.Add(403, []byte(`{"error":{"code":"Forbidden","message":"m","innererror":{"code":"ForbiddenByRbac"}}}`))
	f.Add(409, []byte(`{"error":{"code":"Conflict","message":"Secret is currently being deleted."}}`))
	f.Add(401, []byte(`{"error":{"message":"AKV10000: Request is missing a Bearer or PoP token."}}`))
	f.Add(502, []byte(`<html>bad gateway</html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var r refusal
		_ = json.Unmarshal(body, &r)
		got := classify(status, r)
		if got.kind == nil || len(got.why) > 300 {
			t.Errorf("kind %v, message of %d bytes", got.kind, len(got.why))
		}
		for _, c := range got.why {
			if c < ' ' || c > '~' {
				t.Errorf("message %q holds what is not ours", got.why)
			}
		}
	})
}
