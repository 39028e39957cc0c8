package starttls

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Bounds of what a client says before TLS.
const (
	maxLine     = 2048 // bytes, with the end of the line
	maxCommands = 32
)

// Errors of Server.Negotiate.
var (
	ErrTooLong     = errors.New("a line before TLS is too long")
	ErrTooMany     = errors.New("too many commands before TLS")
	ErrTLSRequired = errors.New("the client went on without TLS")
	// ErrTLSAtOnce is that of a client that begins with TLS, where plain text
	// comes first.
	ErrTLSAtOnce = errors.New("the client began with TLS at once, and this port with plain text: set the client to STARTTLS, or give it a TLS port without starttls")
)

// A Server is the server's part in the dialog with clients that begin in plain
// text. Its fields must not change while it is in use, by any number of clients.
type Server struct {
	Protocol Protocol
	// Name is the host that greetings name; localhost if empty.
	Name string
	// Optional lets clients go on in plain text that do not want TLS. Without it
	// they are refused, in the protocol's own words.
	Optional bool
	// XCLIENT tells an SMTP backend who the client is, as Postfix and Exim take
	// it from the addresses that they are told to.
	XCLIENT bool
}

// A Client is the connection of a client; a *netserver.Conn is one. Deadlines
// are the caller's to set.
type Client interface {
	io.ReadWriter
	// ReadUntil returns what comes up to delim, or n bytes without it.
	ReadUntil(delim byte, n int) ([]byte, error)
	// Peek returns the next n bytes and leaves them there.
	Peek(n int) ([]byte, error)
}

// A Session is a client after Negotiate.
type Session struct {
	// Plain says that the client goes on in plain text, as Optional lets it.
	Plain bool

	server *Server
	hello  string // SMTP, XMPP: how the client began, if it goes on in plain text
	first  string // its first command after that, which nobody has answered
}

// Negotiate plays the dialog with a client, up to the agreement on TLS. After
// it TLS starts at once, unless the Session says that the client goes on in
// plain text. io.EOF is the error of a client that has said goodbye, or left.
//
// MySQL has no such part, since a server's greeting is needed for it: see
// MySQLHandshake.
func (s *Server) Negotiate(c Client) (*Session, error) {
	d := &dialog{Server: s, c: &opening{Client: c}, sess: &Session{server: s}}
	var err error
	switch s.Protocol {
	case SMTP:
		err = d.smtp()
	case IMAP:
		err = d.imap()
	case POP3:
		err = d.pop3()
	case NNTP:
		err = d.nntp()
	case Sieve:
		err = d.sieve()
	case IRC:
		err = d.irc()
	case XMPP:
		err = d.xmpp()
	case LDAP:
		err = d.ldap()
	case PostgreSQL:
		err = d.postgres()
	default:
		return nil, fmt.Errorf("%v has no dialog before its backend is reached", s.Protocol)
	}
	switch {
	case err == errTLS:
		return d.sess, nil
	case err == errPlain:
		d.sess.Plain = true
		return d.sess, nil
	}
	return nil, err
}

// An opening looks at a client's first byte when that is read.
type opening struct {
	Client
	seen bool
}

// isHello is the type of the record that a TLS client begins with; no dialog
// begins so.
const isHello = 22

func (o *opening) look() error {
	if o.seen {
		return nil
	}
	o.seen = true
	if b, err := o.Client.Peek(1); err == nil && b[0] == isHello {
		return ErrTLSAtOnce
	}
	return nil // what failed fails again
}

func (o *opening) Read(b []byte) (int, error) {
	if err := o.look(); err != nil {
		return 0, err
	}
	return o.Client.Read(b)
}

func (o *opening) ReadUntil(delim byte, n int) ([]byte, error) {
	if err := o.look(); err != nil {
		return nil, err
	}
	return o.Client.ReadUntil(delim, n)
}

func (o *opening) Peek(n int) ([]byte, error) {
	if err := o.look(); err != nil {
		return nil, err
	}
	return o.Client.Peek(n)
}

// How a dialog ends well.
var (
	errTLS   = errors.New("TLS starts")
	errPlain = errors.New("plain text goes on")
)

// A dialog is what one client and a Server say before TLS.
type dialog struct {
	*Server
	c     Client
	sess  *Session
	count int
}

// host is the name in greetings.
func (s *Server) host() string {
	if s.Name == "" {
		return "localhost"
	}
	return s.Name
}

// line returns the client's next line, without its end. A last line without an
// end is none.
func (d *dialog) line() (string, error) {
	if d.count++; d.count > maxCommands {
		return "", ErrTooMany
	}
	b, err := d.c.ReadUntil('\n', maxLine)
	if err != nil {
		return "", err
	}
	line, ok := strings.CutSuffix(string(b), "\n")
	switch {
	case !ok && len(b) == maxLine:
		return "", ErrTooLong
	case !ok:
		return "", io.EOF
	}
	return strings.TrimSuffix(line, "\r"), nil
}

// say sends lines.
func (d *dialog) say(lines ...string) error {
	_, err := io.WriteString(d.c, strings.Join(lines, "\r\n")+"\r\n")
	return err
}

// agree says that TLS may start.
func (d *dialog) agree(line string) error {
	if err := d.say(line); err != nil {
		return err
	}
	return errTLS
}

// bye answers a client that leaves, or has to, and returns why.
func (d *dialog) bye(why error, lines ...string) error {
	d.say(lines...) // its error matters no more
	return why
}

// end answers an error of line, and returns it.
func (d *dialog) end(err error, answer string) error {
	if err == ErrTooLong || err == ErrTooMany {
		return d.bye(err, answer)
	}
	return err
}

// refuse answers a command that is for TLS only, or lets the client go on with
// it in plain text.
func (d *dialog) refuse(line string, answer ...string) error {
	if d.Optional {
		d.sess.first = line + "\r\n"
		return errPlain
	}
	return d.say(answer...)
}

// verb returns the first word of a line, in capitals, and what follows it.
func verb(line string) (word, rest string) {
	word, rest, _ = strings.Cut(line, " ")
	return strings.ToUpper(word), strings.TrimSpace(rest)
}

// safe returns text for an answer: printable ASCII without what a protocol could
// take for something else, and not too much of it.
func safe(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`<>&"'\`, r) {
			return -1
		}
		return r
	}, text[:min(len(text), 255)])
}

// A Join plays what a backend has to hear and to say until it is where its
// client is: its greeting is taken, since the client has had one. from is the
// client's address, for XCLIENT. b has a deadline. The bytes are for the client,
// before all else that b says.
func (s *Session) Join(b io.ReadWriter, from netip.AddrPort) ([]byte, error) {
	p := newPeer(b)
	var answer []byte
	var err error
	switch s.server.Protocol {
	case SMTP:
		answer, err = s.joinSMTP(p, from)
	case IMAP:
		answer, err = s.joinIMAP(p)
	case POP3:
		answer, err = s.joinGreeting(p, "+OK")
	case NNTP:
		answer, err = s.joinGreeting(p, "20")
	case Sieve:
		answer, err = s.joinSieve(p)
	case XMPP:
		err = s.joinXMPP(p)
	}
	if err == nil && s.first != "" && answer == nil {
		err = p.send(s.first)
	}
	return append(answer, p.rest()...), err
}

// joinGreeting takes the greeting of a backend if it begins with good; every
// other is for the client.
func (s *Session) joinGreeting(p *peer, good string) ([]byte, error) {
	line, err := p.line()
	if err != nil || strings.HasPrefix(line, good) {
		return nil, err
	}
	return []byte(line + "\r\n"), nil
}
