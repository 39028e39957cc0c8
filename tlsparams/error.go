package tlsparams

import (
	"strings"

	"netserver/conf"
)

// An Error is one parameter that cannot be used. Its text has the form
// "port 443/ssl: SSL_key_file /etc/x.key does not match ... (server.conf:12)".
type Error struct {
	Where  string      // the port, or ""
	Key    string      // the parameter, such as "SSL_key_file"
	Value  string      // what was given; "" if that does not help or is secret
	Reason string      // follows the value
	Origin conf.Origin // where the value was given; not shown for defaults
	Err    error       // the cause, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Where != "" {
		b.WriteString(e.Where + ": ")
	}
	b.WriteString(e.Key)
	if e.Value != "" {
		b.WriteString(" " + e.Value)
	}
	b.WriteString(" " + e.Reason)
	if e.Origin.Source != conf.SourceDefault {
		b.WriteString(" (" + e.Origin.String() + ")")
	}
	return b.String()
}

// Unwrap returns the cause, such as fs.ErrNotExist.
func (e *Error) Unwrap() error { return e.Err }
