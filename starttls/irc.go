package starttls

import "strings"

// irc is the server's part of IRCv3's tls extension.
func (d *dialog) irc() error {
	from := ":" + d.host() + " "
	for {
		line, err := d.line()
		if err != nil {
			return d.end(err, "ERROR :closing")
		}
		switch word, arg := verb(line); {
		case word == "STARTTLS":
			return d.agree(from + "670 * :STARTTLS successful, proceed with TLS handshake")
		case word == "CAP" && strings.HasPrefix(strings.ToUpper(arg), "LS"):
			err = d.say(from + "CAP * LS :tls")
		case word == "CAP" && strings.EqualFold(arg, "LIST"):
			err = d.say(from + "CAP * LIST :")
		case word == "CAP" && strings.EqualFold(strings.ReplaceAll(arg, ":", ""), "REQ tls"):
			err = d.say(from + "CAP * ACK :tls")
		case word == "PING":
			err = d.say(from + "PONG " + d.host() + " :" + safe(strings.TrimPrefix(arg, ":")))
		case word == "QUIT":
			return d.bye(errGone, "ERROR :bye")
		case word == "CAP" || word == "":
		default:
			err = d.refuse(line, from+"691 * :Issue a STARTTLS command first")
		}
		if err != nil {
			return err
		}
	}
}

// startIRC is the client's part. What the server notices before its answer is
// of the time before TLS and goes nowhere.
func (p *peer) startIRC() error {
	if err := p.send("STARTTLS\r\n"); err != nil {
		return err
	}
	for {
		line, err := p.line()
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		if len(words) > 1 && strings.HasPrefix(words[0], ":") {
			words = words[1:]
		}
		switch {
		case len(words) > 0 && words[0] == "670":
			return nil
		case len(words) > 0 && words[0] == "NOTICE":
		default:
			return unexpected("STARTTLS", line)
		}
	}
}
