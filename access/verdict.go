package access

import "errors"

// ErrDenied is wrapped by the error of a Verdict that refuses.
var ErrDenied = errors.New("denied")

// A Verdict is what the rules say of one client. The zero Verdict refuses and
// is not final.
type Verdict struct {
	// Allowed is whether the client may go on. It is false while the
	// verdict is not final.
	Allowed bool
	// Final is false if a name that is not known yet can change the verdict.
	Final bool
	// Shadowed is set if the client is let through although a rule in shadow
	// mode would refuse it. Key and Rule then name that rule.
	Shadowed bool
	// Key is the key whose rule decided, "" if none did: one of a few fixed
	// words, fit to be counted by.
	Key string
	// Rule names the rule for people, with the place it was written at:
	// "cidr_deny 10.0.0.0/8 (server.conf:7)", "no rule allows", "no rules".
	Rule string
	// Log is Net::Server's line about a double lookup that failed or was to
	// be shown, for log level 3, without the time; "" if there is none.
	Log string
}

// Err returns nil for an Allowed verdict, and else an error that wraps
// ErrDenied and names the rule.
func (v Verdict) Err() error {
	if v.Allowed {
		return nil
	}
	return &deniedError{v.Rule}
}

type deniedError struct{ rule string }

func (e *deniedError) Error() string { return "denied: " + e.rule }
func (e *deniedError) Unwrap() error { return ErrDenied }

// The rules that are not written anywhere.
const (
	ruleNone      = "no rules"
	ruleNoAllow   = "no rule allows"
	ruleUnix      = "UNIX socket"
	ruleUndecided = "not decided before the client's name is known"
)
