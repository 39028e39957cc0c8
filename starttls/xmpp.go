package starttls

import (
	"errors"
	"io"
	"strings"
)

const (
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	nsStreams = "http://etherx.jabber.org/streams"
	xmlDecl   = "<?xml version='1.0'?>"
)

var errXML = errors.New("what comes before TLS is no XML that XMPP allows")

// A tag is a tag of XML, as far as the dialog needs it.
type tag struct {
	raw   string // with its brackets
	name  string // without its prefix; "?" of a declaration
	attrs string
	close bool // </name>
	empty bool // <name/>
	text  string
}

// readTag reads up to the end of a tag. more returns what comes up to the next
// >, which may stand within quotes.
func readTag(more func() (string, error)) (tag, error) {
	var t tag
	in := ""
	for {
		s, err := more()
		if err != nil {
			return t, err
		}
		in += s
		if len(in) > maxReplyLine {
			return t, ErrTooLong
		}
		begin := strings.IndexByte(in, '<')
		if begin < 0 || strings.HasPrefix(in[begin:], "<!") {
			return t, errXML
		}
		if quotesClosed(in[begin:]) {
			t.text, t.raw = in[:begin], in[begin:]
			return t, t.parse()
		}
	}
}

// quotesClosed reports whether s ends outside of quotes.
func quotesClosed(s string) bool {
	quote := rune(0)
	for _, c := range s {
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return quote == 0
}

func (t *tag) parse() error {
	s := t.raw[1 : len(t.raw)-1]
	if strings.HasPrefix(s, "?") {
		t.name = "?"
		if !strings.HasPrefix(s, "?xml") || !strings.HasSuffix(s, "?") {
			return errXML
		}
		return nil
	}
	s, t.close = strings.CutPrefix(s, "/")
	s, t.empty = strings.CutSuffix(s, "/")
	end := strings.IndexAny(s, " \t\r\n")
	if end < 0 {
		end = len(s)
	}
	t.name, t.attrs = s[:end], s[end:]
	if _, local, ok := strings.Cut(t.name, ":"); ok {
		t.name = local
	}
	if t.name == "" || strings.ContainsAny(t.name, `<>"'=&`) {
		return errXML
	}
	return nil
}

// attr returns the value of an attribute, as it stands there; "" if it is
// missing.
func (t *tag) attr(name string) string {
	s := t.attrs
	for {
		key, rest, ok := strings.Cut(s, "=")
		rest = strings.TrimLeft(rest, " \t\r\n")
		if !ok || rest == "" || rest[0] != '"' && rest[0] != '\'' {
			return ""
		}
		value, after, ok := strings.Cut(rest[1:], rest[:1])
		if !ok {
			return ""
		}
		if strings.TrimSpace(key) == name {
			return value
		}
		s = after
	}
}

// tag reads the client's next tag, with nothing but space before it.
func (d *dialog) tag() (tag, error) {
	if d.count++; d.count > maxCommands {
		return tag{}, ErrTooMany
	}
	t, err := readTag(func() (string, error) {
		b, err := d.c.ReadUntil('>', maxLine)
		switch {
		case err != nil:
			return "", err
		case b[len(b)-1] == '>':
			return string(b), nil
		case len(b) == maxLine:
			return "", ErrTooLong
		}
		return "", io.EOF
	})
	if err == nil && strings.TrimSpace(t.text) != "" {
		err = errXML
	}
	return t, err
}

// streamError ends the client's stream.
func (d *dialog) streamError(begun bool, why error, condition string) error {
	if !begun {
		io.WriteString(d.c, d.streamHeader(&tag{}))
	}
	return d.bye(why, "<stream:error><"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
}

// streamHeader answers the header of a client's stream.
func (d *dialog) streamHeader(open *tag) string {
	ns := "jabber:client"
	if open.attr("xmlns") == "jabber:server" {
		ns = "jabber:server"
	}
	from := safe(open.attr("to"))
	if from == "" {
		from = d.host()
	}
	return xmlDecl + "<stream:stream from='" + from + "' id='starttls' version='1.0' xmlns='" + ns + "' xmlns:stream='" + nsStreams + "'>"
}

// xmpp is the server's part of RFC 6120, 5.
func (d *dialog) xmpp() error {
	begun := false
	for {
		t, err := d.tag()
		switch {
		case err == ErrTooLong || err == ErrTooMany:
			return d.streamError(begun, err, "policy-violation")
		case err == errXML:
			return d.streamError(begun, err, "not-well-formed")
		case err != nil:
			return err
		case t.name == "?" && !begun && d.sess.hello == "":
			d.sess.hello = t.raw
		case t.name == "stream" && t.close:
			return d.bye(errGone, "</stream:stream>")
		case t.name == "stream" && !begun && !t.empty:
			begun = true
			d.sess.hello += t.raw
			required := "<required/>"
			if d.Optional {
				required = ""
			}
			_, err = io.WriteString(d.c, d.streamHeader(&t)+"<stream:features><starttls xmlns='"+nsTLS+"'>"+required+"</starttls></stream:features>")
		case t.name == "starttls" && begun && !t.close && t.attr("xmlns") == nsTLS:
			if !t.empty {
				if end, err := d.tag(); err != nil || end.name != "starttls" || !end.close {
					return d.streamError(begun, errors.Join(errXML, err), "not-well-formed")
				}
			}
			if _, err := io.WriteString(d.c, "<proceed xmlns='"+nsTLS+"'/>"); err != nil {
				return err
			}
			return errTLS
		case d.Optional && begun && !t.close:
			d.sess.first = t.raw
			return errPlain
		default:
			return d.streamError(begun, ErrTLSRequired, "policy-violation")
		}
		if err != nil {
			return err
		}
	}
}

// tag reads the server's next tag.
func (p *peer) tag() (tag, error) {
	return readTag(func() (string, error) { return p.until('>') })
}

// features reads up to the end of the server's features and reports whether TLS
// is among them.
func (p *peer) features() (startTLS bool, err error) {
	begun := false
	for {
		t, err := p.tag()
		switch {
		case err != nil:
			return false, err
		case t.name == "error" || t.name == "stream" && t.close:
			return false, unexpected("the stream's header", t.raw)
		case t.name == "features" && (t.close || t.empty):
			return startTLS, nil
		case t.name == "features":
			begun = true
		case t.name == "starttls" && begun && t.attr("xmlns") == nsTLS:
			startTLS = true
		}
	}
}

// startXMPP is the client's part. The client opens its own stream under TLS.
func (p *peer) startXMPP(domain string) error {
	to := ""
	if domain = safe(domain); domain != "" {
		to = " to='" + domain + "'"
	}
	if err := p.send(xmlDecl + "<stream:stream" + to + " version='1.0' xmlns='jabber:client' xmlns:stream='" + nsStreams + "'>"); err != nil {
		return err
	}
	offered, err := p.features()
	if err == nil && !offered {
		err = ErrNotOffered
	}
	if err != nil {
		return err
	}
	if err := p.send("<starttls xmlns='" + nsTLS + "'/>"); err != nil {
		return err
	}
	t, err := p.tag()
	if err == nil && t.name == "proceed" && !t.empty && !t.close {
		_, err = p.tag() // its end
	}
	if err == nil && t.name != "proceed" {
		err = unexpected("starttls", t.raw)
	}
	return err
}

// joinXMPP opens the stream of a client that goes on in plain text: it has had
// the answer.
func (s *Session) joinXMPP(p *peer) error {
	if !s.Plain {
		return nil
	}
	if err := p.send(s.hello); err != nil {
		return err
	}
	_, err := p.features()
	return err
}
