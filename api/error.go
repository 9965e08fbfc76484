package api

import (
	"errors"
	"fmt"
)

// ErrorID names a kind of failure. The values are Heroku's (Platform API
// reference, "Errors"), so scripts that match on them keep working.
type ErrorID string

// The error ids in use. Each maps to exactly one HTTP status (api/server).
const (
	BadRequest           ErrorID = "bad_request"                     // 400
	Unauthorized         ErrorID = "unauthorized"                    // 401
	Forbidden            ErrorID = "forbidden"                       // 403
	NotFound             ErrorID = "not_found"                       // 404
	NotAcceptable        ErrorID = "not_acceptable"                  // 406
	Conflict             ErrorID = "conflict"                        // 409
	Gone                 ErrorID = "gone"                            // 410
	PreconditionFailed   ErrorID = "precondition_failed"             // 412
	RangeNotSatisfiable  ErrorID = "requested_range_not_satisfiable" // 416
	InvalidParams        ErrorID = "invalid_params"                  // 422
	ConfirmationRequired ErrorID = "confirmation_required"           // 423
	RateLimit            ErrorID = "rate_limit"                      // 429
	Internal             ErrorID = "internal_server_error"           // 500
	Unavailable          ErrorID = "maintenance"                     // 503
)

// Error is the one error type whose text reaches users. Message is an English
// sentence that says what is wrong and, where it helps, what to do; it MUST
// not hold secrets or internal detail. Err is the cause for the log; it is
// never shown to users.
//
// Any other error that reaches the edge (api/server, api/gitssh, the CLI) is
// shown as "Internal error" with the request id and logged in full.
type Error struct {
	ID       ErrorID
	Message  string
	Resource string // for NotFound: "app", "release", ... as Heroku's clients expect
	Err      error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Wrap makes an *Error that shows message and keeps cause for the log.
func Wrap(id ErrorID, cause error, message string) *Error {
	return &Error{ID: id, Message: message, Err: cause}
}

// Missing is the NotFound error for one kind of resource ("app", "release",
// "dyno" ...), in Heroku's words: "Couldn't find that app."
func Missing(resource string) *Error {
	return &Error{ID: NotFound, Resource: resource, Message: fmt.Sprintf("Couldn't find that %s.", resource)}
}

// IDOf returns the id of the first *Error in err's chain, Internal for any
// other error, and "" for nil.
func IDOf(err error) ErrorID {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.ID
	}
	return Internal
}

// Errorf makes an *Error whose Message is the formatted text. It takes no
// cause; use Wrap for that.
func Errorf(id ErrorID, format string, args ...any) *Error {
	return &Error{ID: id, Message: fmt.Sprintf(format, args...)}
}
