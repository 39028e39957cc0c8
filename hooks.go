package netserver

import "context"

// Hooks are functions that the engine calls at fixed points of a client's
// life, in the client's goroutine and in the order of the fields. Nil ones are
// skipped. Hooks of different clients run at the same time. A hook that panics
// ends its client alone.
type Hooks struct {
	// Accepted runs first, before any rule and any byte. What it returns is
	// the client's context from then on; it must derive from ctx. A client
	// that will name itself in a PROXY header still has its sender's address.
	Accepted func(ctx context.Context, c *Conn) context.Context
	// HandshakeFailed runs for a client whose handshake failed, with c still
	// open and plain, for two seconds at most: an HTTP client on a TLS port
	// can be told where to go, say (Net::Server's SSL_error_trap). What the
	// client has sent is gone, but for what err tells of it.
	HandshakeFailed func(ctx context.Context, c *Conn, err *Error)
	// Allow runs after the handshake and all rules. An error denies the client.
	Allow func(ctx context.Context, c *Conn) error
	// Denied runs for a client that a rule, a limit or Allow refused, before
	// it is closed. why.Stage tells whether c can be written to: at
	// StageAccess it can, at StageHeader and StageAdmit there was no handshake
	// yet, and at StageHandshake that was refused for the client's certificate.
	Denied func(ctx context.Context, c *Conn, why *Error)
	// Handled runs when the Handler is done, with its error and c still open.
	Handled func(ctx context.Context, c *Conn, err error)
	// Closed runs last, after c was closed, with the record that was logged.
	Closed func(c *Conn, r Record)
}

// seeClients reports whether a hook sees clients that get no handshake.
func (h *Hooks) seeClients() bool {
	return h.Accepted != nil || h.Denied != nil || h.HandshakeFailed != nil || h.Closed != nil
}
