package proto

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

// A TLSTarget is a TLS connection to a server. Like a TLSConn it needs no read
// buffer while it waits. Its failures are *net.OpError of "read" and "write", as
// those of a socket are, also where TLS itself has failed; the end of the
// connection without close_notify is one of them.
type TLSTarget struct {
	*TLSConn
	below  *belowTarget
	failed atomic.Pointer[error] // what Read has met
}

// ConnectTLS shakes hands over nc with a server, as its client. It waits up to
// nc's deadline, and closes nothing. The error says what is wrong in words of
// its own where those of crypto/tls do not suffice.
func ConnectTLS(nc net.Conn, conf *tls.Config) (*TLSTarget, error) {
	below := &belowTarget{Conn: nc}
	a := newAhead(below)
	a.local, a.shaken = nc.LocalAddr(), true // alerts are left to crypto/tls
	c := &TLSConn{Conn: tls.Client(a, conf), ahead: a, eofFails: true}
	if err := c.Handshake(); err != nil {
		a.release()
		return nil, targetError(err)
	}
	return &TLSTarget{TLSConn: c, below: below}, nil
}

// Read reads decrypted bytes.
func (c *TLSTarget) Read(b []byte) (int, error) {
	n, err := c.TLSConn.Read(b)
	if err != nil && err != io.EOF {
		err = c.failure("read", err)
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
			c.failed.Store(&err)
		}
	}
	return n, err
}

// Write encrypts and writes b. After a failure of TLS it fails for that reason.
func (c *TLSTarget) Write(b []byte) (int, error) {
	n, err := c.TLSConn.Write(b)
	if err != nil {
		if read := c.failed.Load(); read != nil && errors.Is(err, net.ErrClosed) {
			return n, *read
		}
		err = c.failure("write", err)
	}
	return n, err
}

// OnLateWrite has f asked when the write deadline passes in a Write, from
// whichever goroutine writes below TLS: if it has set a later one and returns
// true, the Write goes on. took tells whether the socket has taken bytes before.
// nil takes the function away.
func (c *TLSTarget) OnLateWrite(f func(took bool) (goOn bool)) {
	if f == nil {
		c.below.late.Store(nil)
		return
	}
	c.below.late.Store(&f)
}

// NetConn returns the connection below TLS.
func (c *TLSTarget) NetConn() net.Conn { return c.below.Conn }

// A belowTarget is the connection below a TLSTarget.
type belowTarget struct {
	net.Conn
	late atomic.Pointer[func(took bool) bool]
}

// Write writes b, and goes on after a deadline if that was too early: crypto/tls
// takes no write after one that has failed.
func (c *belowTarget) Write(b []byte) (n int, err error) {
	for {
		m, err := c.Conn.Write(b[n:])
		n += m
		late := c.late.Load()
		if ne, ok := err.(net.Error); late == nil || !ok || !ne.Timeout() || !(*late)(m > 0) {
			return n, err
		}
	}
}

// SyscallConn lets the connection be waited for without a buffer.
func (c *belowTarget) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// failure makes a *net.OpError of what TLS itself says.
func (c *TLSTarget) failure(op string, err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) && oe.Op != "remote error" && oe.Op != "local error" {
		return err
	}
	switch {
	case errors.Is(err, ErrTruncated):
		err = errTargetTruncated
	default:
		err = tlsError{targetError(err)}
	}
	raw := c.NetConn()
	return &net.OpError{Op: op, Net: raw.RemoteAddr().Network(), Source: raw.LocalAddr(), Addr: raw.RemoteAddr(), Err: err}
}

// errTargetTruncated is the end of a connection without close_notify: whether
// the server has sent all is not known, as anybody on the way can make a FIN.
var errTargetTruncated = errors.New("TLS: it ended the connection without close_notify")

type tlsError struct{ error }

func (e tlsError) Error() string { return "TLS: " + e.error.Error() }

func (e tlsError) Unwrap() error { return e.error }

// targetError says what a failure of TLS with a server means, and what to do
// about it, where crypto/tls's words need it.
func targetError(err error) error {
	var rec tls.RecordHeaderError
	alert, refused := clientAlert(err)
	switch {
	case errors.As(err, &rec):
		return fmt.Errorf("the target does not speak TLS here: it sent %s", speaksFirst(rec.RecordHeader))
	case refused:
		return &TargetAlert{Alert: alert.Alert}
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	if text, ours := strings.CutPrefix(err.Error(), "tls: "); ours {
		if strings.Contains(text, "unsupported protocol version") {
			text += ": see backend_version"
		}
		return errors.New(text)
	}
	return err
}

// speaksFirst names what the first bytes of a server probably are.
func speaksFirst(b [5]byte) string {
	const starts = "; if TLS begins later there, as with mail, give backend_starttls"
	switch s := string(b[:]); {
	case s[:4] == "HTTP":
		return "plain HTTP"
	case s[:4] == "SSH-":
		return "SSH"
	case slices.Contains([]string{"220 ", "220-", "200 ", "201 ", "+OK ", "* OK"}, s[:4]):
		return fmt.Sprintf("%q%s", s, starts)
	case b[4] == 10 && b[3] == 0: // a packet's length and number, and version 10 of the protocol
		return "MySQL's greeting" + starts
	case b[0] == 'E' || b[0] == 'N':
		return fmt.Sprintf("%q%s", s, starts)
	}
	return fmt.Sprintf("% x", b[:])
}

// A TargetAlert is the alert with which a server ended its handshake, or the
// connection later: servers of TLS 1.3 look at the client's certificate after
// the client's handshake is done.
type TargetAlert struct{ Alert uint8 }

// Error says what the alert means for who connects to the server.
func (e *TargetAlert) Error() string {
	what := "the target ended it with the alert " + AlertName(e.Alert)
	switch e.Alert {
	case 40: // handshake_failure
		return what + ": it has no version, suite or group in common with us, or wants a certificate (backend_cert_file)"
	case 41, 116: // no_certificate, certificate_required
		return what + ": it wants a certificate; give backend_cert_file"
	case alertBadCertificate, alertUnsupported, alertCertificateRevoked, alertCertificateExpired, alertCertificateUnknown, alertUnknownCA, alertAccessDenied:
		return what + ": it does not accept the certificate that it was shown (backend_cert_file)"
	case 70: // protocol_version
		return what + ": it has no version of TLS in common with us; see backend_version"
	case 112: // unrecognized_name
		return what + ": it does not know the name it was asked for; give backend_servername"
	case 120: // no_application_protocol
		return what + ": it has no protocol of backend_alpn"
	}
	return what
}
