package starttls

import (
	"errors"
	"io"
	"strings"
)

// errGone is the error of a client that has said goodbye.
var errGone = io.EOF

// errLiteral ends clients that send data behind a command without waiting for
// leave: it could be taken for commands.
var errLiteral = errors.New("the client sends literal data before TLS")

// endsInLiteral reports whether data of any form follows a line that is not
// asked for: {12+}.
func endsInLiteral(line string) bool { return strings.HasSuffix(line, "+}") }

// imap is the server's part of RFC 9051, 6.2.1.
func (d *dialog) imap() error {
	const gone = "* BYE closing"
	able := "IMAP4rev1 STARTTLS LOGINDISABLED"
	if d.Optional {
		able = "IMAP4rev1 STARTTLS"
	}
	err := d.say("* OK [CAPABILITY " + able + "] " + d.host() + " ready")
	for err == nil {
		var line string
		if line, err = d.line(); err != nil {
			return d.end(err, gone)
		}
		tag, rest, _ := strings.Cut(line, " ")
		word, arg := verb(rest)
		switch {
		case !isTag(tag):
			err = d.say("* BAD no tag")
		case word == "STARTTLS" && arg == "":
			return d.agree(tag + " OK Begin TLS negotiation now")
		case word == "CAPABILITY" && arg == "":
			err = d.say("* CAPABILITY "+able, tag+" OK done")
		case word == "NOOP" && arg == "":
			err = d.say(tag + " OK done")
		case word == "LOGOUT" && arg == "":
			return d.bye(errGone, "* BYE bye", tag+" OK done")
		case endsInLiteral(line) && !d.Optional:
			return d.bye(errLiteral, gone)
		case word == "LOGIN" || word == "AUTHENTICATE":
			err = d.refuse(line, tag+" NO [PRIVACYREQUIRED] Issue a STARTTLS command first")
		default:
			err = d.refuse(line, tag+" BAD Issue a STARTTLS command first")
		}
	}
	return err
}

// isTag reports whether s is what a client of IMAP may begin a command with.
func isTag(s string) bool {
	return s != "" && len(s) <= 64 && safe(s) == s && !strings.ContainsAny(s, `(){%*+]`)
}

// imapGreeting reads the greeting of a server of IMAP. ok tells that it takes
// clients, who are not logged in.
func (p *peer) imapGreeting() (greeting string, ok bool, err error) {
	line, err := p.line()
	if err != nil {
		return "", false, err
	}
	rest, untagged := strings.CutPrefix(line, "* ")
	word, _ := verb(rest)
	if !untagged || word != "OK" && word != "BYE" {
		return "", false, unexpected("the connection", line)
	}
	return line + "\r\n", word == "OK", nil
}

// startIMAP is the client's part.
func (p *peer) startIMAP() ([]byte, error) {
	greeting, ok, err := p.imapGreeting()
	if err == nil && !ok {
		err = unexpected("the connection", greeting)
	}
	if err != nil {
		return nil, err
	}
	if err := p.send("s1 STARTTLS\r\n"); err != nil {
		return nil, err
	}
	for {
		line, err := p.line()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(line, "* ") && !strings.HasPrefix(line, "* BYE") {
			continue // it may tell of anything in between
		}
		if !strings.HasPrefix(line, "s1 OK") {
			return nil, unexpected("STARTTLS", line)
		}
		return []byte("* OK ready\r\n"), nil
	}
}

// joinIMAP takes the backend's greeting; a BYE is for the client.
func (s *Session) joinIMAP(p *peer) ([]byte, error) {
	greeting, ok, err := p.imapGreeting()
	if err != nil || ok {
		return nil, err
	}
	return []byte(greeting), nil
}
