package starttls

import "strings"

// pop3 is the server's part of RFC 2595, 4.
func (d *dialog) pop3() error {
	able := []string{"+OK", "STLS", "."}
	if d.Optional {
		able = []string{"+OK", "STLS", "USER", "."}
	}
	err := d.say("+OK " + d.host() + " ready")
	for err == nil {
		var line string
		if line, err = d.line(); err != nil {
			return d.end(err, "-ERR closing")
		}
		switch word, arg := verb(line); {
		case word == "STLS" && arg == "":
			return d.agree("+OK Begin TLS negotiation")
		case word == "CAPA" && arg == "":
			err = d.say(able...)
		case word == "QUIT":
			return d.bye(errGone, "+OK bye")
		default:
			err = d.refuse(line, "-ERR Issue a STLS command first")
		}
	}
	return err
}

// startPOP3 is the client's part.
func (p *peer) startPOP3() ([]byte, error) {
	greeting, err := p.line()
	if err == nil && !strings.HasPrefix(greeting, "+OK") {
		err = unexpected("the connection", greeting)
	}
	if err != nil {
		return nil, err
	}
	if err := p.send("STLS\r\n"); err != nil {
		return nil, err
	}
	line, err := p.line()
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = unexpected("STLS", line)
	}
	return []byte("+OK ready\r\n"), err
}
