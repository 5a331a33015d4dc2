package secret

import (
	"context"
	"errors"
	"net/http"
)

// The sentinels of Keyferry: one for each fact a caller branches on. Wrap them with what was tried and on what,
// never with a URL, a body or a header.
var (
	ErrInvalid      = errors.New("invalid input")                               // a tag, a setting, a request
	ErrNotFound     = errors.New("not found")                                   // proven absent
	ErrTooLarge     = errors.New("too large")                                   // for Key Vault or for us
	ErrDisabled     = errors.New("disabled")                                    // current version is disabled
	ErrDeleted      = errors.New("deleted but recoverable")                     // name is held by a soft-deleted secret
	ErrBusy         = errors.New("being deleted or recovered")                  // passes in seconds
	ErrConflict     = errors.New("changed by someone else")                     // not ours to overwrite
	ErrManaged      = errors.New("managed by Key Vault")                        // backs a certificate
	ErrUnauthorized = errors.New("not authenticated")                           // 401, token expired
	ErrForbidden    = errors.New("not allowed")                                 // role, policy, firewall
	ErrThrottled    = errors.New("throttled")                                   // 429
	ErrUnavailable  = errors.New("unavailable")                                 // network, 5xx, sealed
	ErrLeaseHeld    = errors.New("lease held by another run")                   // try later
	ErrLeaseLost    = errors.New("lease lost")                                  // work stopped before its next step
	ErrPaused       = errors.New("paused")                                      // sync.paused, rotation.paused
	ErrPermanent    = errors.New("cannot succeed by trying again")              // everything else that a retry cannot help
	ErrPartial      = errors.New("some items failed")                           // the report tells which
	ErrPending      = errors.New("changes pending")                             // plan found something to do
	ErrUsage        = errors.New("wrong usage")                                 // flags, arguments, settings
	ErrUnready      = errors.New("not ready: the configuration cannot be read") // serve; the settings may be mended while it runs
	ErrAmbiguous    = errors.New("outcome unknown, the answer was lost")        // it may have happened: ask before repeating
	ErrUnsupported  = errors.New("not supported by this version or plan")       // refused politely
)

// class is a row of the table: how a kind of failure is answered.
type class struct {
	err       error
	code      string // stable word, in reports and JSON
	status    int    // for HTTP functions
	exit      int    // for commands
	transient bool   // trying again later may help: an event is answered 500 so that Event Grid redelivers
	hint      string
}

// classes is searched from the top, so what must win when errors are joined stands first.
var classes = []class{
	{ErrUnready, "unready", http.StatusServiceUnavailable, 1, true, "mend the settings; the log names each fault"},
	{ErrUsage, "usage", http.StatusBadRequest, 2, false, "see --help and docs/configuration.md"},
	{ErrPartial, "partial", http.StatusOK, 3, false, "the report lists each item with its own error"},
	{ErrPending, "pending", http.StatusOK, 4, false, "run sync to apply"},
	{ErrLeaseHeld, "lease-held", http.StatusAccepted, 1, true, "another run is at work; try again when it is done"},
	{ErrLeaseLost, "lease-lost", http.StatusServiceUnavailable, 1, true, "the next run goes on from here"},
	{ErrPaused, "paused", http.StatusOK, 1, false, "unset sync.paused or rotation.paused"},
	{ErrThrottled, "throttled", http.StatusServiceUnavailable, 1, true, "the service asks for fewer calls; it passes"},
	{ErrBusy, "busy", http.StatusServiceUnavailable, 1, true, "Key Vault is deleting or recovering this name; it passes in seconds"},
	{ErrAmbiguous, "ambiguous", http.StatusServiceUnavailable, 1, true, "the next run looks before it repeats"},
	{ErrUnavailable, "unavailable", http.StatusServiceUnavailable, 1, true, "check network, firewall and, for Vault, the seal"},
	{ErrUnauthorized, "unauthorized", http.StatusBadGateway, 1, true, "check the identity and its log-in"},
	{ErrForbidden, "forbidden", http.StatusBadGateway, 1, true, "check role assignments, policies and firewall; new ones take minutes"},
	{ErrDisabled, "disabled", http.StatusConflict, 1, false, "the current version is disabled in Key Vault"},
	{ErrDeleted, "deleted", http.StatusConflict, 1, false, "recover the secret in Key Vault, or purge it"},
	{ErrManaged, "managed", http.StatusConflict, 1, false, "the name belongs to a certificate"},
	{ErrConflict, "conflict", http.StatusConflict, 1, false, "someone else changed it: look before you overwrite"},
	{ErrTooLarge, "too-large", http.StatusRequestEntityTooLarge, 1, false, "Key Vault holds 25,600 bytes a secret"},
	{ErrNotFound, "not-found", http.StatusNotFound, 1, false, "check the name"},
	{ErrUnsupported, "unsupported", http.StatusBadRequest, 1, false, ""},
	{ErrInvalid, "invalid", http.StatusBadRequest, 1, false, ""},
	{ErrPermanent, "permanent", http.StatusInternalServerError, 1, false, ""},
	{context.DeadlineExceeded, "deadline", http.StatusServiceUnavailable, 1, true, "the next run goes on from here"},
	{context.Canceled, "cancelled", http.StatusServiceUnavailable, 1, true, "the next run goes on from here"},
}

// unknown answers every error without a sentinel: as a passing fault, because giving up is what cannot be undone.
var unknown = class{code: "failed", status: http.StatusInternalServerError, exit: 1, transient: true}

func classOf(err error) class {
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c
		}
	}
	return unknown
}

// Code is the stable word for the kind of failure, "" for nil.
func Code(err error) string {
	if err == nil {
		return ""
	}
	return classOf(err).code
}

// Hint is what an operator may do about the error, or "".
func Hint(err error) string {
	if err == nil {
		return ""
	}
	return classOf(err).hint
}

// HTTPStatus is the answer of an HTTP function that ended with err; 200 for nil.
func HTTPStatus(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return classOf(err).status
}

// ExitCode is the exit code of a command that ended with err; 0 for nil.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	return classOf(err).exit
}

// IsTransient reports whether trying again later may help. It is false for nil, and true for an error without a
// sentinel.
func IsTransient(err error) bool { return err != nil && classOf(err).transient }
