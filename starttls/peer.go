package starttls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of what a server says before TLS.
const (
	maxReplyLine = 4 << 10
	maxReplies   = 32 << 10 // of a dialog as a whole
)

// Errors of Protocol.Start and Session.Join.
var (
	ErrNotOffered = errors.New("the server does not offer TLS")
	// ErrInjected is that of a server that has sent more, in plain text, than its
	// agreement to start TLS (CVE-2011-0411), or of somebody on the way to it.
	ErrInjected = errors.New("the server sent plain text beyond its agreement to start TLS")

	errLongReply = errors.New("the server sends a longer line than the protocol has before TLS")
	errManyReply = errors.New("the server sends more than the protocol has before TLS")
)

// A peer is a server that is talked to in plain text.
type peer struct {
	io.ReadWriter
	buf   []byte // what has been read and not been taken
	total int
}

func newPeer(rw io.ReadWriter) *peer { return &peer{ReadWriter: rw} }

// more reads what is there. The end of the server is never a good one here.
func (p *peer) more() error {
	if p.total >= maxReplies {
		return errManyReply
	}
	var b [1024]byte
	n, err := p.Read(b[:min(len(b), maxReplies-p.total)])
	p.buf, p.total = append(p.buf, b[:n]...), p.total+n
	switch {
	case n > 0:
		return nil
	case err == nil:
		return io.ErrNoProgress
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// until returns what comes up to delim, with it.
func (p *peer) until(delim byte) (string, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(p.buf[seen:], delim); i >= 0 {
			s := string(p.buf[:seen+i+1])
			p.buf = p.buf[seen+i+1:]
			return s, nil
		}
		if seen = len(p.buf); seen >= maxReplyLine {
			return "", errLongReply
		}
		if err := p.more(); err != nil {
			return "", err
		}
	}
}

// line returns the next line, without its end.
func (p *peer) line() (string, error) {
	s, err := p.until('\n')
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r"), err
}

// next returns the next n bytes.
func (p *peer) next(n int) ([]byte, error) {
	for len(p.buf) < n {
		if err := p.more(); err != nil {
			return nil, err
		}
	}
	b := p.buf[:n:n]
	p.buf = p.buf[n:]
	return b, nil
}

func (p *peer) send(s string) error {
	_, err := io.WriteString(p, s)
	return err
}

// rest returns what has been read beyond all that was taken.
func (p *peer) rest() []byte { return p.buf }

// unexpected is the error of an answer that is not what the dialog wants.
func unexpected(to, answer string) error {
	return fmt.Errorf("the server answers %s with %q", to, safe(answer))
}

// Start plays the client's part of the protocol on nc, up to the agreement on
// TLS, which must start then at once. nc has a deadline. own is how an SMTP
// client names itself (localhost if empty), and domain what an XMPP client
// connects to.
//
// greeting is what a client of this connection has to read first, where servers
// greet once, and have done so in plain text. It is made here: nothing that came
// in plain text goes to the client. It is empty for protocols whose servers do
// not greet first, or do so again under TLS.
//
// MySQL has no such part, since its client speaks before TLS: see
// MySQLHandshake.
func (p Protocol) Start(nc io.ReadWriter, own, domain string) (greeting []byte, err error) {
	s := newPeer(nc)
	switch p {
	case SMTP:
		greeting, err = s.startSMTP(own)
	case IMAP:
		greeting, err = s.startIMAP()
	case POP3:
		greeting, err = s.startPOP3()
	case NNTP:
		greeting, err = s.startNNTP()
	case Sieve:
		err = s.startSieve()
	case IRC:
		err = s.startIRC()
	case XMPP:
		err = s.startXMPP(domain)
	case LDAP:
		err = s.startLDAP()
	case PostgreSQL:
		err = s.startPostgres()
	default:
		err = fmt.Errorf("%v has no dialog before its client is there", p)
	}
	if err == nil && len(s.rest()) > 0 {
		err = ErrInjected
	}
	if err != nil {
		return nil, err
	}
	return greeting, nil
}
