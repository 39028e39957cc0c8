package access

import "netserver/conf"

// A ruleError is an invalid value.
type ruleError struct {
	says   string // the beginning, in Net::Server's own words if it has some
	key    string
	text   string
	origin conf.Origin
	why    string // what is wrong with it and what to do
	err    error  // instead of why, if there is an error to wrap
}

// Error returns one line: "[SAYS: ]KEY "TEXT" (ORIGIN)[: ]WHY".
func (e *ruleError) Error() string {
	s := e.key + " " + quote(e.text) + place(e.origin)
	if e.says != "" {
		s = e.says + ": " + s
	}
	if e.err != nil {
		return s + ": " + e.err.Error()
	}
	if e.says != "" {
		return s + ": " + e.why
	}
	return s + " " + e.why
}

func (e *ruleError) Unwrap() error { return e.err }
