package starttls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// Flags of the capabilities of MySQL.
const (
	mysqlProtocol41 = 1 << 9
	mysqlSSL        = 1 << 11
)

// maxMySQL bounds a packet of the handshake: attributes of the connection may
// take nearly all of it.
const maxMySQL = 64 << 10

var (
	errMySQLGreeting = errors.New("the backend's greeting is not one of MySQL")
	errMySQLResponse = errors.New("the client's answer to the greeting is not one of MySQL since 4.1")
	errMySQLAgain    = errors.New("the client asks for other capabilities under TLS than before")
)

// A MySQLHandshake is the handshake between a client and a backend of MySQL or MariaDB,
// in which TLS starts with one of them or with both. The server greets first,
// with a challenge for passwords: so the backend has to be reached before its
// client has TLS.
type MySQLHandshake struct {
	// StartClient starts TLS with the client, which reads and writes under it
	// from then on. Nil leaves the client as it is.
	StartClient func() error
	// StartBackend starts TLS with the backend. Nil leaves it as it is.
	StartBackend func(nc net.Conn) (net.Conn, error)
	// Optional lets a client go on in plain text that does not want TLS.
	Optional bool
}

// A packet is one of MySQL: length, number and payload.
type packet []byte

func (p packet) payload() []byte   { return p[4:] }
func (p packet) number() byte      { return p[3] }
func (p packet) renumber(n byte)   { p[3] = n }
func (p packet) flags() uint32     { return binary.LittleEndian.Uint32(p[4:]) }
func (p packet) setFlags(f uint32) { binary.LittleEndian.PutUint32(p[4:], f) }

// readPacket reads a packet, and no byte beyond.
func readPacket(r io.Reader) (packet, error) {
	p := make(packet, 4, 256)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, err
	}
	if p[0] == isHello && p[1] == 3 && p[2] <= 4 {
		return nil, ErrTLSAtOnce // as a packet it would be longer than maxMySQL
	}
	n := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
	if n == 0 || n > maxMySQL {
		return nil, fmt.Errorf("a packet of %d bytes in the handshake of MySQL", n)
	}
	p = append(p, make([]byte, n)...)
	_, err := io.ReadFull(r, p[4:])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// Join plays the handshake up to the client's answer, and returns the backend's
// connection, which has to be used in place of backend from then on: it numbers
// the packets of the login as each side counts them. Both connections have
// deadlines. An error is a *BackendError, or the client's.
func (m *MySQLHandshake) Join(client io.ReadWriter, backend net.Conn) (net.Conn, error) {
	greeting, err := readPacket(backend)
	if err != nil {
		return nil, &BackendError{err}
	}
	if greeting.payload()[0] == 0xff { // it refuses its clients, and says why
		_, err := client.Write(greeting)
		return backend, err
	}
	offers, err := greeting.greetingFlags()
	if err != nil {
		return nil, &BackendError{err}
	}
	if m.StartBackend != nil && *offers&(mysqlSSL>>8) == 0 {
		return nil, &BackendError{ErrNotOffered}
	}
	*offers &^= mysqlSSL >> 8
	if m.StartClient != nil {
		*offers |= mysqlSSL >> 8
	}
	if _, err := client.Write(greeting); err != nil {
		return nil, err
	}
	answer, err := m.answer(client)
	if err != nil {
		return nil, err
	}
	from := int(answer.number())
	nc, to, err := m.login(answer, backend)
	if err != nil {
		return nil, &BackendError{err}
	}
	if from == to {
		return nc, nil
	}
	return &renumbered{Conn: nc, in: numbers{add: byte(from - to)}, out: numbers{add: byte(to - from)}}, nil
}

// greetingFlags finds the byte of a greeting that holds the flag of TLS.
func (p packet) greetingFlags() (*byte, error) {
	b := p.payload()
	if b[0] != 10 || p.number() != 0 {
		return nil, errMySQLGreeting
	}
	for i := 1; i < len(b); i++ {
		if b[i] == 0 {
			if at := i + 1 + 4 + 8 + 1; at+2 <= len(b) { // thread, challenge, filler
				return &b[at+1], nil
			}
			break
		}
	}
	return nil, errMySQLGreeting
}

// answer reads the client's answer to the greeting, after having started TLS.
func (m *MySQLHandshake) answer(client io.ReadWriter) (packet, error) {
	p, err := readPacket(client)
	if err != nil {
		return nil, err
	}
	if len(p.payload()) < 32 || p.number() != 1 || p.flags()&mysqlProtocol41 == 0 {
		return nil, errMySQLResponse
	}
	asks := p.flags()&mysqlSSL != 0
	switch {
	case m.StartClient == nil && !asks && len(p.payload()) > 32,
		m.StartClient != nil && !asks && m.Optional && len(p.payload()) > 32:
		return p, nil
	case m.StartClient == nil:
		return nil, errMySQLResponse
	case !asks:
		client.Write(mysqlError(2, 3159, "HY000", "Connections using insecure transport are prohibited: this server wants TLS"))
		return nil, ErrTLSRequired
	case len(p.payload()) != 32:
		return nil, errMySQLResponse
	}
	if err := m.StartClient(); err != nil {
		return nil, err
	}
	again, err := readPacket(client)
	switch {
	case err != nil:
		return nil, err
	case len(again.payload()) <= 32 || again.number() != 2:
		return nil, errMySQLResponse
	case again.flags() != p.flags():
		return nil, errMySQLAgain
	}
	return again, nil
}

// login sends the client's answer on, and returns the number that it has there.
func (m *MySQLHandshake) login(p packet, backend net.Conn) (net.Conn, int, error) {
	if m.StartBackend == nil {
		p.setFlags(p.flags() &^ mysqlSSL)
		p.renumber(1)
		_, err := backend.Write(p)
		return backend, 1, err
	}
	p.setFlags(p.flags() | mysqlSSL)
	request := append(packet{32, 0, 0, 1}, p.payload()[:32]...)
	if _, err := backend.Write(request); err != nil {
		return nil, 0, err
	}
	nc, err := m.StartBackend(backend)
	if err != nil {
		return nil, 0, err
	}
	p.renumber(2)
	_, err = nc.Write(p)
	return nc, 2, err
}

// mysqlError makes an ERR packet.
func mysqlError(number byte, code uint16, state, text string) packet {
	body := append([]byte{0xff, byte(code), byte(code >> 8), '#'}, state+text...)
	return append(packet{byte(len(body)), byte(len(body) >> 8), 0, number}, body...)
}

// A renumbered is a backend's connection whose packets have other numbers during
// the login than its client has for them: TLS takes one.
type renumbered struct {
	net.Conn
	in, out numbers
}

// Read reads what the backend says, up to the end of the login with its numbers
// changed.
func (r *renumbered) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.in.change(b[:n], endsLogin)
	return n, err
}

// endsLogin reports whether a server's packet that begins so is the last of the
// login: OK or ERR.
func endsLogin(first byte) bool { return first == 0x00 || first == 0xff }

// Write writes what the client says, up to its first command, which has number
// 0, with the numbers changed.
func (r *renumbered) Write(b []byte) (int, error) {
	if r.out.done {
		return r.Conn.Write(b)
	}
	before := r.out
	c := append([]byte(nil), b...) // which is the caller's
	r.out.change(c, nil)
	n, err := r.Conn.Write(c)
	if n < len(b) { // the caller may go on with the rest
		r.out = before
		r.out.change(append([]byte(nil), b[:max(n, 0)]...), nil)
	}
	return n, err
}

// CloseWrite ends what the client says, where the connection can do that.
func (r *renumbered) CloseWrite() error {
	if w, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the backend's connection.
func (r *renumbered) NetConn() net.Conn { return r.Conn }

// numbers changes the numbers of packets in a stream.
type numbers struct {
	add  byte
	done bool
	head int // bytes of the header that have passed
	left int // bytes of the payload that are to come
	more bool
}

// change changes the numbers of the packets in b. Those of commands begin with
// 0 again, and are right; last tells by the first byte of a packet that it is the
// login's last.
func (n *numbers) change(b []byte, last func(first byte) bool) {
	for i := 0; i < len(b) && !n.done; {
		switch {
		case n.head < 3:
			n.left |= int(b[i]) << (8 * n.head)
			n.head++
			i++
		case n.head == 3:
			if last == nil && b[i] == 0 {
				n.done = true
				return
			}
			b[i] += n.add
			n.head, n.more = 4, true
			i++
		default:
			if n.more && n.left > 0 && last != nil && last(b[i]) {
				n.done = true
				return
			}
			n.more = false
			skip := min(n.left, len(b)-i)
			n.left -= skip
			i += skip
		}
		if n.head == 4 && n.left == 0 {
			n.head, n.more = 0, false
		}
	}
}
