package starttls

import "strings"

// nntp is the server's part of RFC 4642.
func (d *dialog) nntp() error {
	err := d.say("200 " + d.host() + " ready")
	for err == nil {
		var line string
		if line, err = d.line(); err != nil {
			return d.end(err, "400 closing")
		}
		switch word, arg := verb(line); {
		case word == "STARTTLS" && arg == "":
			return d.agree("382 Continue with TLS negotiation")
		case word == "CAPABILITIES":
			err = d.say("101 Capability list:", "VERSION 2", "STARTTLS", ".")
		case word == "QUIT":
			return d.bye(errGone, "205 bye")
		default:
			err = d.refuse(line, "483 Issue a STARTTLS command first")
		}
	}
	return err
}

// startNNTP is the client's part.
func (p *peer) startNNTP() ([]byte, error) {
	greeting, err := p.line()
	if err == nil && !strings.HasPrefix(greeting, "200") && !strings.HasPrefix(greeting, "201") {
		err = unexpected("the connection", greeting)
	}
	if err != nil {
		return nil, err
	}
	if err := p.send("STARTTLS\r\n"); err != nil {
		return nil, err
	}
	line, err := p.line()
	if err == nil && !strings.HasPrefix(line, "382") {
		err = unexpected("STARTTLS", line)
	}
	return []byte("200 ready\r\n"), err
}
