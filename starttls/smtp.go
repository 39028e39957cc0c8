package starttls

import (
	"fmt"
	"net/netip"
	"strings"
)

// smtp is the server's part of RFC 3207.
func (d *dialog) smtp() error {
	err := d.say("220 " + d.host() + " ESMTP")
	for err == nil {
		var line string
		if line, err = d.line(); err != nil {
			return d.end(err, "421 4.7.0 "+d.host()+" closing: "+err.Error())
		}
		switch word, arg := verb(line); {
		case word == "STARTTLS" && arg == "":
			return d.agree("220 2.0.0 Ready to start TLS")
		case word == "STARTTLS":
			err = d.say("501 5.5.4 STARTTLS takes no parameters")
		case word == "EHLO":
			d.sess.hello = line + "\r\n"
			err = d.say("250-"+d.host(), "250-ENHANCEDSTATUSCODES", "250 STARTTLS")
		case word == "HELO":
			d.sess.hello = line + "\r\n"
			err = d.say("250 " + d.host())
		case word == "NOOP" || word == "RSET":
			err = d.say("250 2.0.0 OK")
		case word == "QUIT":
			return d.bye(errGone, "221 2.0.0 Bye")
		default:
			err = d.refuse(line, "530 5.7.0 Must issue a STARTTLS command first")
		}
	}
	return err
}

// reply returns the server's next reply, with all its lines, and its code.
func (p *peer) reply() (code string, lines []string, err error) {
	for {
		line, err := p.line()
		if err != nil {
			return "", nil, err
		}
		if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return "", nil, fmt.Errorf("the server says %q, which is no reply of SMTP", safe(line))
		}
		if code == "" {
			code = line[:3]
		}
		if code != line[:3] {
			return "", nil, fmt.Errorf("one reply of the server has the codes %s and %s", code, line[:3])
		}
		lines = append(lines, line)
		if len(line) == 3 || line[3] == ' ' {
			return code, lines, nil
		}
	}
}

// text returns lines as they came.
func text(lines []string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// ask sends a command and wants a reply with a code.
func (p *peer) ask(command, code string) ([]string, error) {
	if err := p.send(command + "\r\n"); err != nil {
		return nil, err
	}
	got, lines, err := p.reply()
	if err == nil && got != code {
		word, _ := verb(command)
		err = unexpected(word, lines[len(lines)-1])
	}
	return lines, err
}

// offers returns what follows a keyword in the reply to EHLO.
func offers(lines []string, keyword string) (params string, ok bool) {
	for _, line := range lines[1:] {
		if word, rest := verb(line[min(4, len(line)):]); word == keyword {
			return rest, true
		}
	}
	return "", false
}

// startSMTP is the client's part.
func (p *peer) startSMTP(own string) ([]byte, error) {
	if own = safe(own); own == "" {
		own = "localhost"
	}
	code, greeting, err := p.reply()
	if err == nil && code != "220" {
		err = unexpected("the connection", greeting[0])
	}
	if err != nil {
		return nil, err
	}
	lines, err := p.ask("EHLO "+own, "250")
	if err != nil {
		return nil, err
	}
	if _, ok := offers(lines, "STARTTLS"); !ok {
		return nil, ErrNotOffered
	}
	_, err = p.ask("STARTTLS", "220")
	return []byte("220 " + own + " ESMTP\r\n"), err
}

// joinSMTP takes the backend's greeting. One that is no welcome is for the
// client, as the answer to its next command.
func (s *Session) joinSMTP(p *peer, from netip.AddrPort) ([]byte, error) {
	code, greeting, err := p.reply()
	if err != nil {
		return nil, err
	}
	if code != "220" {
		return text(greeting), nil
	}
	if s.server.XCLIENT {
		if err := p.xclient(s.server.host(), from); err != nil {
			return nil, err
		}
	}
	if s.Plain && s.hello != "" {
		if err := p.send(s.hello); err != nil {
			return nil, err
		}
		code, lines, err := p.reply()
		if err == nil && code != "250" {
			err = unexpected("EHLO", lines[0])
		}
		return nil, err
	}
	return nil, nil
}

// xclient tells the backend who the client is. After that the backend is as at
// the beginning.
func (p *peer) xclient(own string, from netip.AddrPort) error {
	lines, err := p.ask("EHLO "+own, "250")
	if err != nil {
		return err
	}
	params, ok := offers(lines, "XCLIENT")
	if !ok {
		return fmt.Errorf("the backend offers no XCLIENT to this address (Postfix: smtpd_authorized_xclient_hosts)")
	}
	addr, port := "[UNAVAILABLE]", "[UNAVAILABLE]"
	if ip := from.Addr().Unmap().WithZone(""); ip.IsValid() {
		addr, port = ip.String(), fmt.Sprint(from.Port())
		if ip.Is6() {
			addr = "IPV6:" + addr
		}
	}
	command := "XCLIENT"
	for _, attr := range []struct{ name, value string }{{"NAME", "[UNAVAILABLE]"}, {"ADDR", addr}, {"PORT", port}} {
		for _, known := range strings.Fields(params) {
			if strings.EqualFold(known, attr.name) {
				command += " " + attr.name + "=" + attr.value
			}
		}
	}
	_, err = p.ask(command, "220")
	return err
}
