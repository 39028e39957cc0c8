package starttls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"netserver"
	"netserver/internal/hello"
	dialog "netserver/starttls"
)

const defaultTimeout = 30 * time.Second

// A Handler has clients start TLS before Next serves them. Its port is one for
// TLS with SSL_startHandshake 0, or a plain one of a Server with a certificate.
// Its fields must not change while it serves; it may serve any number of clients
// at once.
type Handler struct {
	// Protocol is what clients and backends speak.
	Protocol dialog.Protocol
	// Next serves the clients under TLS: a proxy.Handler, or one that leads
	// there, as route.Handler does. Another must not greet its clients, as they
	// have been greeted; for MySQL there has to be a proxy.
	Next netserver.Handler
	// Name is the host in greetings; localhost if empty.
	Name string
	// Optional lets clients go on in plain text that do not want TLS. Without it
	// they are refused.
	Optional bool
	// XCLIENT tells an SMTP backend the client's address.
	XCLIENT bool
	// Timeout bounds the dialog before TLS. Default 30 s; it cannot be disabled.
	Timeout time.Duration
}

var (
	errDatagram = errors.New("starttls: a datagram cannot start TLS")
	errALPN     = errors.New("TLS without SSLRequest is not meant for PostgreSQL: the client asks for another protocol by ALPN")
)

// StartsTLS tells that h starts TLS itself.
func (h *Handler) StartsTLS() bool { return true }

// Unwrap returns Next.
func (h *Handler) Unwrap() netserver.Handler { return h.Next }

// Check says what is wrong with h before any client connects, and has Next
// check itself, if it can. ports are the addresses of the ports that it serves.
func (h *Handler) Check(ports ...net.Addr) error {
	if _, err := dialog.Parse(h.Protocol.String()); err != nil {
		return fmt.Errorf("starttls: %w", err)
	}
	if h.Next == nil {
		return errors.New("starttls: nobody serves the clients: set Next")
	}
	if h.XCLIENT && h.Protocol != dialog.SMTP {
		return fmt.Errorf("starttls: XCLIENT is for smtp, not for %v", h.Protocol)
	}
	if c, ok := netserver.HandlerAs[interface{ Check(...net.Addr) error }](h.Next); ok {
		return c.Check(ports...)
	}
	return nil
}

// Serve plays the dialog with a client, and gives it to Next.
func (h *Handler) Serve(ctx context.Context, c *netserver.Conn) error {
	if c.Datagram() {
		return errDatagram
	}
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	c.SetReadDeadline(time.Now().Add(timeout))
	if h.Protocol == dialog.MySQL {
		// TLS starts when there is a backend.
		c.SetReadDeadline(time.Time{})
		return h.Next.Serve(dialog.WithJoin(ctx, h.mysql(ctx, c)), c)
	}
	sess, err := h.start(ctx, c)
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded) && !isLimit(err):
		return fmt.Errorf("starttls %v: the client did not start TLS within %v", h.Protocol, timeout)
	case err != nil:
		return fmt.Errorf("starttls %v: %w", h.Protocol, err)
	}
	c.SetReadDeadline(time.Time{})
	return h.Next.Serve(dialog.WithJoin(ctx, h.join(c, sess)), c)
}

// isLimit reports whether a read ended by a limit of the port.
func isLimit(err error) bool {
	return errors.Is(err, netserver.ErrIdle) || errors.Is(err, netserver.ErrMaxLife) || errors.Is(err, netserver.ErrTooSlow) || errors.Is(err, netserver.ErrDraining)
}

func (h *Handler) server() *dialog.Server {
	return &dialog.Server{Protocol: h.Protocol, Name: h.Name, Optional: h.Optional, XCLIENT: h.XCLIENT}
}

// start plays the dialog and starts TLS. A nil Session is that of a client whose
// backend has nothing to say or to hear first.
func (h *Handler) start(ctx context.Context, c *netserver.Conn) (*dialog.Session, error) {
	if h.Protocol == dialog.PostgreSQL && beginsWithTLS(c) {
		if err := c.StartTLS(ctx); err != nil {
			return nil, err
		}
		if c.TLS().NegotiatedProtocol != dialog.ALPNPostgreSQL {
			return nil, errALPN
		}
		return nil, nil
	}
	sess, err := h.server().Negotiate(c)
	if err != nil || sess.Plain {
		return sess, err
	}
	return sess, c.StartTLS(ctx)
}

// beginsWithTLS reports whether the first byte of c is that of a ClientHello,
// which is not taken. Where that cannot be seen, nobody begins so.
func beginsWithTLS(c *netserver.Conn) bool {
	nc := c.NetConn()
	if !hello.Bare(nc) || c.Buffered() > 0 {
		return false
	}
	const handshake = 22 // the type of a record
	first, err := hello.First(nc)
	return err == nil && first == handshake
}

// join brings the backend to where c is.
func (h *Handler) join(c *netserver.Conn, sess *dialog.Session) dialog.Join {
	return func(nc net.Conn, tls func(net.Conn) (net.Conn, error)) (net.Conn, error) {
		if tls != nil {
			return nil, &dialog.BackendError{Err: fmt.Errorf("it speaks MySQL, and its client %v", h.Protocol)}
		}
		if sess == nil {
			return nc, nil
		}
		var from netip.AddrPort
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			from = a.AddrPort()
		}
		first, err := sess.Join(nc, from)
		if err != nil {
			return nil, &dialog.BackendError{Err: err}
		}
		if len(first) > 0 {
			if _, err := c.Write(first); err != nil {
				return nil, err
			}
		}
		return nc, nil
	}
}

// mysql plays the handshake between c and its backend.
func (h *Handler) mysql(ctx context.Context, c *netserver.Conn) dialog.Join {
	return func(nc net.Conn, tls func(net.Conn) (net.Conn, error)) (net.Conn, error) {
		m := dialog.MySQLHandshake{Optional: h.Optional, StartBackend: tls, StartClient: func() error { return c.StartTLS(ctx) }}
		return m.Join(c, nc)
	}
}
