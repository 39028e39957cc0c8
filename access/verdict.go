package access

import "errors"

// ErrDenied is wrapped by the error of a Verdict that refuses.
var ErrDenied = errors.New("denied")

// A Verdict is the rules' decision on one client. The zero Verdict refuses and
// is not final.
type Verdict struct {
	// Allowed says whether the client is admitted. It is false while the
	// verdict is not final.
	Allowed bool
	// Final is false if the client's name, not known yet, can change the
	// verdict.
	Final bool
	// Shadowed is set if the client is admitted although a rule in shadow mode
	// would refuse it. Key and Rule then name that rule.
	Shadowed bool
	// Key is the key whose rule decided, "" if none did: one of a few fixed
	// words, suitable as a metric label.
	Key string
	// Rule describes the rule, with its origin: "cidr_deny 10.0.0.0/8
	// (server.conf:7)", "no rule allows", "no rules".
	Rule string
	// Log is Net::Server's line about a double lookup that failed or is shown
	// for debugging, for log level 3, without the time; "" if there is none.
	Log string
}

// Err returns nil for an Allowed verdict, and otherwise an error that wraps
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

// The implicit rules.
const (
	ruleNone      = "no rules"
	ruleNoAllow   = "no rule allows"
	ruleUnix      = "UNIX socket"
	ruleUndecided = "not decided before the client's name is known"
)
