package port

import (
	"fmt"

	"netserver/conf"
)

// An Error says what is wrong with one entry. Its text begins with
// Net::Server's own words for the case, names the bad part, says what to write
// instead and ends with the origin in parentheses, if known.
type Error struct {
	Origin conf.Origin
	Err    error
}

// Error returns the text.
func (e *Error) Error() string {
	if place := e.Origin.Place(); place != "" {
		return e.Err.Error() + " (" + place + ")"
	}
	return e.Err.Error()
}

// Unwrap returns the text without the origin, which wraps the resolver's error
// if there was one.
func (e *Error) Unwrap() error { return e.Err }

func failf(o conf.Origin, format string, args ...any) error {
	return &Error{Origin: o, Err: fmt.Errorf(format, args...)}
}
