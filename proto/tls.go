package proto

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"netserver/port"
	"netserver/tlsparams"
)

// TLS makes the Transports of TLS ports. Its Protocol is what "ssl", "ssleay"
// and "tls" stand for, and on UNIX sockets "unixssl" and "unixtls".
type TLS struct {
	// Params are the parameters of ports without their own.
	Params tlsparams.Params
	// Where names in messages what the parameters are for; "" is the port.
	Where string
	// Loopback tells that every TLS port is bound to loopback, so that one
	// without a certificate may show a self-signed one.
	Loopback bool
	// SelfSigned is that certificate, shared by the ports; nil makes one for
	// each.
	SelfSigned *tlsparams.Certificate
	// Env is what the ports need beside that; its fields that say the same as
	// those above are not looked at. Env.ForPort changes a copy for each.
	Env tlsparams.Env
}

// Protocol makes the Transport of one TLS port. It loads and checks the files
// that p's parameters name.
func (t TLS) Protocol(p port.Spec) (Transport, error) {
	params, err := t.Params.With(p.Params)
	if err != nil {
		return nil, err
	}
	env := t.Env
	env.Where, env.Loopback, env.SelfSigned = t.Where, t.Loopback, t.SelfSigned
	if env.Where == "" {
		env.Where = "port " + p.Short()
	}
	env.TicketPlace = port.Spec{Host: "*", Port: p.Port, Proto: p.Proto, IPv: "*"}.Short()
	if env.ForPort != nil {
		where := env.Where
		env.ForPort(p, &env)
		env.Where, env.Loopback = where, t.Loopback
	}
	src, err := params.Open(env)
	if err != nil {
		return nil, err
	}
	network := "tcp"
	if p.IsUnix() {
		network = "unix"
	}
	return &TLSTransport{src: src, network: network}, nil
}

// A TLSTransport speaks TLS (RFC 8446, RFC 5246) over TCP or a UNIX socket.
type TLSTransport struct {
	src     *tlsparams.Source
	network string
}

// Network returns "tcp", or "unix" for a port that is a UNIX socket.
func (t *TLSTransport) Network() string { return t.network }

// Source returns where the port's certificates and rules come from.
func (t *TLSTransport) Source() *tlsparams.Source { return t.src }

// Plain reports whether clients begin without TLS, as SSL_startHandshake 0
// asks for; the handler then starts it.
func (t *TLSTransport) Plain() bool { return t.src.Params().StartPlain }

// StartsPlain is Plain.
func (t *TLSTransport) StartsPlain() bool { return t.Plain() }

// TLSFirst reports whether clients begin with TLS.
func (t *TLSTransport) TLSFirst() bool { return !t.Plain() }

// MaxLine returns SSL_max_getline_length, 0 if it is not given.
func (t *TLSTransport) MaxLine() int { return t.src.Params().MaxLine }

// Run follows the port's files until ctx ends.
func (t *TLSTransport) Run(ctx context.Context) { t.src.Run(ctx) }

// Changed returns a channel that is closed when clients that are here may have
// to be judged again.
func (t *TLSTransport) Changed() <-chan struct{} { return t.src.Changed() }

// Judge decides by the rules of this moment whether the client of nc may stay.
// It returns when to ask again (zero is never) and the reason.
func (t *TLSTransport) Judge(ctx context.Context, nc net.Conn) (until time.Time, reason string, err error) {
	c, ok := nc.(Secured)
	if !ok {
		return time.Time{}, "", nil // a client that has not started TLS
	}
	state := c.ConnectionState()
	v, err := t.src.Judge(ctx, &state)
	if tc, ok := nc.(interface{ verified([][]*x509.Certificate) }); ok && err == nil {
		tc.verified(v.Chains)
	}
	return v.Until, v.Reason, err
}

// Ready shakes hands, unless clients begin without TLS. The connection it
// returns is a *TLSConn then. A client that speaks no TLS gives an error that
// wraps ErrNotTLS.
func (t *TLSTransport) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if t.Plain() {
		return nc, nil
	}
	return t.Start(ctx, nc)
}

// Start shakes hands on a connection that was plain so far, and returns a
// *TLSConn.
func (t *TLSTransport) Start(ctx context.Context, nc net.Conn) (net.Conn, error) {
	raw, w := under(nc)
	a := newAhead(raw)
	a.waits, a.local = w, localAddr(ctx, raw)
	c := &TLSConn{Conn: tls.Server(a, t.src.Config()), ahead: a, eofFails: t.src.Params().UnexpectedEOF == "reset"}
	// HandshakeContext would start a goroutine for each handshake.
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })()
	}
	if err := c.Handshake(); err != nil {
		a.sendHeld(err)
		a.release()
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, handshakeError(c.Conn, err)
	}
	a.waits, a.waiting, a.shaken = nil, false, true
	a.owes = true
	if a.proves {
		c.CloseWrite()
		a.release()
		return nil, fmt.Errorf("%w: %q", ErrChallenge, c.Conn.ConnectionState().ServerName)
	}
	return c, nil
}

// ErrChallenge is the error of a client that is a certificate authority: it has
// seen the answer to its challenge, and there is nothing else for it. Where it
// looked by a handshake (TLS-ALPN-01, RFC 8737), no certificate was asked of it,
// and no Handler sees it; by HTTP (HTTP-01, RFC 8555) a Handler has answered it.
var ErrChallenge = errors.New("a certificate authority has seen the answer to its challenge")

// AnswersChallenge reports whether a client with such a hello is a certificate
// authority that looks for an answer which is there.
func (t *TLSTransport) AnswersChallenge(h *ClientHello) bool {
	return !t.Plain() && t.src.AnswersChallenge(h.ServerName, h.ALPN)
}

// ErrNotTLS is the error of a client that does not speak TLS.
var ErrNotTLS = errors.New("the client does not speak TLS")

// handshakeError says what a failed handshake means, where crypto/tls's words
// need it.
func handshakeError(c *tls.Conn, err error) error {
	var rec tls.RecordHeaderError
	if alert, ok := clientAlert(err); ok {
		err = alert
	}
	switch {
	case noCertificate(err):
		return fmt.Errorf("TLS handshake: %w", &UnknownNameError{c.ConnectionState().ServerName})
	case errors.As(err, &rec):
		return fmt.Errorf("%w: it sent %s", ErrNotTLS, looksLike(rec.RecordHeader))
	case err == io.EOF:
		return fmt.Errorf("TLS handshake: the client left: %w", io.ErrUnexpectedEOF)
	default:
		return fmt.Errorf("TLS handshake: %w", err)
	}
}

// looksLike names what the first bytes of a client probably are.
func looksLike(b [5]byte) string {
	for _, m := range []string{"GET ", "HEAD ", "POST ", "PUT ", "OPTIO", "DELET", "CONNE", "PATCH", "TRACE", "PRI *"} {
		if string(b[:min(len(m), len(b))]) == m[:min(len(m), len(b))] {
			return "plain HTTP; use https:// for this port"
		}
	}
	for _, m := range [...]struct{ begins, protocol, key string }{
		{"EHLO ", "SMTP", "smtp"}, {"HELO ", "SMTP", "smtp"}, {"<?xml", "XMPP", "xmpp"}, {"<stre", "XMPP", "xmpp"},
		{"\x00\x00\x00\x08\x04", "PostgreSQL's request for TLS", "postgres"},
		{"CAP L", "IRC", "irc"}, {"NICK ", "IRC", "irc"}, {"START", "IRC", "irc"},
	} {
		if string(b[:]) == m.begins {
			return m.protocol + " in plain text; starttls " + m.key + " is for clients that begin so, else set the client to TLS"
		}
	}
	switch {
	case string(b[:4]) == "SSH-":
		return "SSH"
	case string(b[:5]) == "PROXY":
		return "a PROXY header"
	case b[0] == 21 && b[1] == 3:
		return "a TLS alert where a ClientHello belongs"
	case b[0]&0x80 != 0 && b[2] == 1:
		return "an SSLv2 hello"
	default:
		return fmt.Sprintf("% x", b[:])
	}
}

// A TLSConn is a TLS connection that needs no read buffer while it waits.
type TLSConn struct {
	*tls.Conn
	ahead *ahead
	more  bool // the last Read may have left decrypted bytes
	over  bool // Read has failed or met the client's end, and will again

	truncated atomic.Bool // the client has ended without close_notify
	eofFails  bool        // which is an error then

	dead atomic.Bool // Read has failed: an alert has been sent or received

	chains atomic.Pointer[[][]*x509.Certificate] // by the last Judge
}

// ConnectionState returns what the handshake agreed on. VerifiedChains are
// those of the last Judge: crypto/tls itself verifies no client.
func (c *TLSConn) ConnectionState() tls.ConnectionState {
	s := c.Conn.ConnectionState()
	if chains := c.chains.Load(); chains != nil {
		s.VerifiedChains = *chains
	}
	return s
}

// verified notes the chains by which a client may stay.
func (c *TLSConn) verified(chains [][]*x509.Certificate) { c.chains.Store(&chains) }

// Read reads decrypted bytes, as tls.Conn does. It waits in a shallow stack
// and without a buffer.
func (c *TLSConn) Read(b []byte) (int, error) {
	if err := c.WaitRead(); err != nil {
		return 0, err
	}
	return c.read(b)
}

func (c *TLSConn) read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	// crypto/tls does not tell what it holds, but a Read that did not fill
	// b has emptied it.
	c.more = err == nil && n == len(b)
	if err == nil && c.ahead.holdsRecord() {
		n += c.readHeld(b[n:])
	}
	if err == io.EOF && c.ahead.err == io.EOF {
		// crypto/tls takes the end of the connection between two records
		// for the client's word, as it does close_notify.
		c.truncated.Store(true)
		if c.eofFails {
			err = ErrTruncated
		}
	}
	if ne, ok := err.(net.Error); err != nil && !(ok && ne.Timeout()) {
		c.over = true
		if err != io.EOF {
			c.dead.Store(true)
		}
	}
	return n, err
}

// readHeld reads what has come already as whole records, which crypto/tls
// returns one at a time, and waits for nothing.
func (c *TLSConn) readHeld(b []byte) (n int) {
	c.ahead.noWait = true
	defer func() { c.ahead.noWait = false }()
	for len(b)-n >= maxRecord && c.ahead.holdsRecord() {
		m, err := c.Conn.Read(b[n:])
		n += m
		if err != nil {
			// The next Read meets it again, unless it was that there was
			// nothing but a message of TLS itself.
			c.more = err != error(errWouldWait{})
			break
		}
		c.more = n == len(b)
	}
	return n
}

// maxRecord is how many bytes one record carries.
const maxRecord = 16 << 10

// ErrTruncated is the error of a client that ends its connection without
// close_notify, with SSL_unexpected_eof reset: whether it has sent all is not
// known, as anybody on the way can make a FIN.
var ErrTruncated = fmt.Errorf("the client ended the connection without close_notify: %w", io.ErrUnexpectedEOF)

// Truncated reports whether Read has met the end of the connection without
// close_notify. It may be called at any time.
func (c *TLSConn) Truncated() bool { return c.truncated.Load() }

// errAlerted wraps net.ErrClosed: what a handler still wants to send is of no
// interest to anybody, and Read has told why.
var errAlerted = fmt.Errorf("TLS has ended with an alert: %w", net.ErrClosed)

// Write encrypts and writes b, as tls.Conn does.
func (c *TLSConn) Write(b []byte) (n int, err error) {
	switch {
	case c.dead.Load():
		return 0, errAlerted
	case c.ahead.unsent.Load() != nil:
		return c.writeHeld(b)
	case len(b) <= smallWrite:
		return c.Conn.Write(b)
	}
	for {
		part := b[n:min(len(b), n+maxGathered)]
		c.ahead.out.begin(len(part))
		m, err := c.Conn.Write(part)
		n += m
		if rest := c.ahead.out.end(c.ahead); err == nil {
			err = rest
		}
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// CloseWrite sends close_notify, as tls.Conn does. After a fatal alert, of
// either side, nothing may follow (RFC 8446, section 6.2), and it returns an
// error that wraps net.ErrClosed.
func (c *TLSConn) CloseWrite() error {
	if c.dead.Load() {
		return errAlerted
	}
	return c.Conn.CloseWrite()
}

// Close sends close_notify, unless TLS has ended with an alert, and closes the
// connection.
func (c *TLSConn) Close() error {
	if c.dead.Load() {
		return c.ahead.Conn.Close()
	}
	return c.Conn.Close()
}

// WaitRead waits until a Read would not wait, or may not.
func (c *TLSConn) WaitRead() error {
	if c.more || c.over {
		return nil
	}
	return c.ahead.wait()
}

// Unread reports whether bytes of the client have been read from the socket
// that no Read has returned. It must not be called while a Read runs.
func (c *TLSConn) Unread() bool { return c.more || c.ahead.r < c.ahead.w }

// Received returns how many bytes have been read below TLS. It may be called
// at any time.
func (c *TLSConn) Received() uint64 { return c.ahead.received.Load() }

// LocalAddr returns the address of the connection below TLS.
func (c *TLSConn) LocalAddr() net.Addr { return c.ahead.Conn.LocalAddr() }

// NetConn returns the connection below TLS, as accepted.
func (c *TLSConn) NetConn() net.Conn { return c.ahead.Conn }

// Stop ends TLS and gives back the plain connection, with what the client has
// sent on it already: it sends close_notify and reads, up to the read deadline,
// until the client's arrives. What the client still sends under TLS meanwhile
// is thrown away.
func (c *TLSConn) Stop() (nc net.Conn, sent []byte, err error) {
	if err := c.CloseWrite(); err != nil {
		return nil, nil, err
	}
	buf := make([]byte, 4096)
	for err == nil {
		_, err = c.Read(buf)
	}
	if err != io.EOF {
		return nil, nil, err
	}
	if c.ahead.err != nil {
		return nil, nil, c.ahead.err // the connection has ended, and not TLS alone
	}
	if c.ahead.r < c.ahead.w {
		sent = bytes.Clone((*c.ahead.buf)[c.ahead.r:c.ahead.w])
	}
	c.ahead.release()
	return c.ahead.Conn, sent, nil
}
