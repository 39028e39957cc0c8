package starttls

import (
	"fmt"
	"strings"
)

// sieve is the server's part of ManageSieve, RFC 5804.
func (d *dialog) sieve() error {
	able := []string{`"IMPLEMENTATION" "` + d.host() + `"`, `"SASL" ""`, `"SIEVE" ""`, `"STARTTLS"`, `"VERSION" "1.0"`, `OK "ready"`}
	err := d.say(able...)
	for err == nil {
		var line string
		if line, err = d.line(); err != nil {
			return d.end(err, `BYE "closing"`)
		}
		switch word, arg := verb(line); {
		case word == "STARTTLS" && arg == "":
			return d.agree(`OK "Begin TLS negotiation now"`)
		case word == "CAPABILITY" && arg == "":
			err = d.say(able...)
		case word == "NOOP" && arg == "":
			err = d.say(`OK "done"`)
		case word == "LOGOUT":
			return d.bye(errGone, `OK "bye"`)
		case endsInLiteral(line) && !d.Optional:
			return d.bye(errLiteral, `BYE "closing"`)
		default:
			err = d.refuse(line, `NO (ENCRYPT-NEEDED) "Issue a STARTTLS command first"`)
		}
	}
	return err
}

// capabilities reads a listing up to its end, which is the last line: OK, NO or
// BYE.
func (p *peer) capabilities() (lines []string, ok bool, err error) {
	for {
		line, err := p.line()
		if err != nil {
			return nil, false, err
		}
		lines = append(lines, line)
		word, _ := verb(line)
		switch {
		case word == "OK":
			return lines, true, nil
		case word == "NO" || word == "BYE":
			return lines, false, nil
		case !strings.HasPrefix(line, `"`):
			return nil, false, fmt.Errorf("the server lists %q among its capabilities", safe(line))
		}
	}
}

func isStartTLS(line string) bool { return strings.EqualFold(strings.TrimSpace(line), `"STARTTLS"`) }

// startSieve is the client's part. Under TLS the server lists its capabilities
// again, which greets the client.
func (p *peer) startSieve() error {
	lines, ok, err := p.capabilities()
	if err != nil {
		return err
	}
	if !ok {
		return unexpected("the connection", lines[len(lines)-1])
	}
	offered := false
	for _, line := range lines {
		offered = offered || isStartTLS(line)
	}
	if !offered {
		return ErrNotOffered
	}
	if err := p.send("STARTTLS\r\n"); err != nil {
		return err
	}
	line, err := p.line()
	if word, _ := verb(line); err == nil && word != "OK" {
		err = unexpected("STARTTLS", line)
	}
	return err
}

// joinSieve reads the backend's greeting: the capabilities that the client waits
// for when TLS has started. It need not hear of STARTTLS again.
func (s *Session) joinSieve(p *peer) ([]byte, error) {
	lines, ok, err := p.capabilities()
	if err != nil || ok && s.Plain {
		return nil, err
	}
	var kept []string
	for _, line := range lines {
		if !isStartTLS(line) {
			kept = append(kept, line)
		}
	}
	return text(kept), nil
}
