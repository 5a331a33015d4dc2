package keyvault

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Fault is an error answer of the service (facts/keyvault.md 1.4). It is an [http.Handler], so that a wrapper in front of a
// [Vault] can give the answers that need an Azure around the vault: roles, policies, firewalls. Faults that [Vault] gives by
// itself come with its headers as well.
type Fault struct {
	// Status is the HTTP status.
	Status int
	// Code, Inner and Message fill {"error":{"code","message","innererror":{"code"}}}; an empty Inner leaves innererror out.
	Code, Inner, Message string
	// RetryAfter, in seconds, is sent unless it is 0.
	RetryAfter int
	// Challenge is the WWW-Authenticate header; empty on a 401 means the challenge of a vault with default options.
	Challenge string
}

// ServeHTTP writes the fault whatever the request is.
func (f Fault) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	type inner struct {
		Code string `json:"code"`
	}
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Inner   *inner `json:"innererror,omitempty"`
	}
	body := struct {
		Error detail `json:"error"`
	}{detail{Code: f.Code, Message: f.Message}}
	if f.Inner != "" {
		body.Error.Inner = &inner{f.Inner}
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Status == http.StatusUnauthorized {
		if f.Challenge == "" {
			f.Challenge = challenge("https://login.microsoftonline.com/"+DefaultTenant, "https://vault.azure.net")
		}
		w.Header().Set("WWW-Authenticate", f.Challenge)
	}
	writeJSON(w, f.Status, body)
}

func challenge(authority, resource string) string {
	return fmt.Sprintf("Bearer authorization=%q, resource=%q", authority, resource)
}

func newFault(status int, code, inner, message string) *Fault {
	return &Fault{Status: status, Code: code, Inner: inner, Message: message}
}

// Refusals that need an Azure around the vault. The identities in them are made up, their wording is the service's as reported in
// public (facts/keyvault.md 1.4, grade 3P).

// TokenExpired is the 401 for a token that is no longer, or was never, good.
func TokenExpired() Fault {
	return *newFault(http.StatusUnauthorized, "Unauthorized", "", "[TokenExpired] Error validating token: 'S2S12086'.")
}

// InvalidAudience is the 401 for a token made for another resource.
func InvalidAudience(found string) Fault {
	return *newFault(http.StatusUnauthorized, "Unauthorized", "",
		"AKV10022: Invalid audience. Expected https://vault.azure.net, found: "+found+".")
}

// InvalidIssuer is the 401 for a token of another tenant.
func InvalidIssuer(found string) Fault {
	return *newFault(http.StatusUnauthorized, "Unauthorized", "",
		"AKV10032: Invalid issuer. Expected one of https://sts.windows.net/"+DefaultTenant+"/, found "+found+".")
}

const caller = "appid=00000000-0000-0000-0000-00000000a991;oid=00000000-0000-0000-0000-00000000b991;iss=https://sts.windows.net/" + DefaultTenant + "/"

// ForbiddenByRBAC is the 403 of a vault under role-based access when no role allows the action, for example "getSecret".
func ForbiddenByRBAC(action string) Fault {
	return *newFault(http.StatusForbidden, "Forbidden", "ForbiddenByRbac",
		"Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: "+caller+
			"\r\nAction: 'Microsoft.KeyVault/vaults/secrets/"+action+"/action'\r\nResource: '/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/emulated/providers/microsoft.keyvault/vaults/kv1'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\n")
}

// AccessDenied is the 403 of a vault under access policies; permission is "get", "set" and so on.
func AccessDenied(permission string) Fault {
	return *newFault(http.StatusForbidden, "Forbidden", "AccessDenied",
		"The user, group or application '"+caller+"' does not have secrets "+permission+
			" permission on key vault 'kv1;location=westeurope'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287")
}

// ForbiddenByFirewall is the 403 of a vault whose firewall does not list the caller's address.
func ForbiddenByFirewall() Fault {
	return *newFault(http.StatusForbidden, "Forbidden", "ForbiddenByFirewall",
		"Client address is not authorized and caller is not a trusted service.\r\nClient address: 192.0.2.1\r\nCaller: "+caller+"\r\nVault: kv1;location=westeurope")
}

// ForbiddenByConnection is the 403 of a vault without public access.
func ForbiddenByConnection() Fault {
	return *newFault(http.StatusForbidden, "Forbidden", "ForbiddenByConnection",
		"Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\nCaller: "+caller+"\r\nVault: kv1;location=westeurope")
}

// Throttled is the 429. A wait above 0 is sent as Retry-After in whole seconds, rounded up.
func Throttled(wait time.Duration) Fault {
	f := *newFault(http.StatusTooManyRequests, "Throttled", "",
		"Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached")
	f.RetryAfter = int((wait + time.Second - 1) / time.Second)
	return f
}

// Answers of the vault itself.

func missingToken(numbered bool) Fault {
	message := "Request is missing a Bearer or PoP token."
	if numbered {
		message = "AKV10000: " + message
	}
	return *newFault(http.StatusUnauthorized, "Unauthorized", "", message)
}

func secretNotFound(name string) *Fault {
	return newFault(http.StatusNotFound, "SecretNotFound", "", "A secret with (name/id) "+name+
		" was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182")
}

func deletedSecretNotFound(name string) *Fault {
	return newFault(http.StatusNotFound, "SecretNotFound", "", "Deleted Secret not found: "+name)
}

func deletedButRecoverable(name string) *Fault {
	return newFault(http.StatusConflict, "Conflict", "ObjectIsDeletedButRecoverable", "Secret "+name+
		" is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.")
}

func beingDeleted() *Fault {
	return newFault(http.StatusConflict, "Conflict", "ObjectIsBeingDeleted", "Secret is currently being deleted.")
}

func setWhileDeleting(name string) *Fault {
	return newFault(http.StatusConflict, "Conflict", "ObjectIsBeingDeleted",
		"Secret "+name+" is currently being deleted and cannot be re-created; retry later.")
}

func setWhileRecovering(name string) *Fault {
	return newFault(http.StatusConflict, "Conflict", "ObjectIsBeingRecovered",
		"Secret "+name+" is currently being recovered and cannot be re-created; retry later.")
}

func restoreConflict(id string) *Fault {
	return newFault(http.StatusConflict, "Conflict", "", "There was a conflict restoring the secret '"+id+
		"'. This can happen if either: a second secret with the same name was created after the first secret was deleted; thus trying to restore a secret whose name is already in use. To fix this, rename the second secret to something else so that the restore works. The second probable cause of this exception is when multiple operations are performed in parallel against the secret. To avoid this error, perform operations against a secret in a sequential manner.")
}

func secretDisabled() *Fault {
	return newFault(http.StatusForbidden, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret.")
}

func secretManaged(operation string) *Fault {
	return newFault(http.StatusForbidden, "Forbidden", "SecretManagedByKeyVault",
		fmt.Sprintf("Operation %q is not allowed as this object's lifetime is managed by Key Vault.", operation))
}

func purgeProtected(vault string) *Fault {
	return newFault(http.StatusForbidden, "Forbidden", "", `Operation "purge" is not allowed because purge protection is enabled for this vault. `+
		"Key Vault service will automatically purge it after the retention period has passed. Vault: "+vault+";location=westeurope")
}

func invalidName(name string) *Fault {
	return newFault(http.StatusBadRequest, "BadParameter", "", "The request URI contains an invalid name: "+name)
}

// invalidProperty is what the service says of a value that is too long, with nothing in the property's place; the other wordings
// are unverified.
func invalidProperty(property string) *Fault {
	return newFault(http.StatusBadRequest, "BadParameter", "", "Property "+property+" has invalid value\r\n")
}

// The rest is unverified: no public capture shows these cases.

func unknownPath() *Fault {
	return newFault(http.StatusNotFound, "NotFound", "", "The requested resource does not exist.")
}

func methodNotAllowed(method string) *Fault {
	return newFault(http.StatusMethodNotAllowed, "BadParameter", "", "Method "+method+" is not allowed on this resource.")
}

func wrongContentType() *Fault {
	return newFault(http.StatusUnsupportedMediaType, "BadParameter", "", "The request must have the content type application/json.")
}

func bodyTooLarge() *Fault {
	return newFault(http.StatusRequestEntityTooLarge, "BadParameter", "", "The request body is too large.")
}

func invalidBackup() *Fault {
	return newFault(http.StatusBadRequest, "BadParameter", "", "Backup blob contains invalid or corrupt data.")
}

func tooManyVersions() *Fault {
	return newFault(http.StatusBadRequest, "BadParameter", "", "The secret has too many versions to be backed up.")
}

func noVersionID() *Fault {
	return newFault(http.StatusInternalServerError, "InternalServerError", "", "The source of version ids is exhausted or repeats itself.")
}
