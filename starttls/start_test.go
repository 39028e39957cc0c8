package starttls_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"netserver/starttls"
)

func TestParse(t *testing.T) {
	for _, name := range append(starttls.Names(), "PostgreSQL", "mariadb", "managesieve", "SMTP") {
		if p, err := starttls.Parse(name); err != nil || p == 0 {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	for name, want := range map[string]string{"ftp": "data connection", "gopher": "smtp, imap", "": "not a protocol"} {
		if _, err := starttls.Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestServer(t *testing.T) {
	for _, tt := range starts {
		s := starttls.Server{Protocol: tt.protocol, Name: "h"}
		c := newClient(tt.client)
		sess, err := s.Negotiate(c)
		if err != nil || sess.Plain {
			t.Errorf("%v: %v", tt.protocol, err)
			continue
		}
		said := c.String()
		for _, want := range tt.answers {
			_, after, ok := strings.Cut(said, want)
			if !ok {
				t.Errorf("%v: %q is not in %q", tt.protocol, want, c.String())
			}
			said = after
		}
	}
}

func TestStart(t *testing.T) {
	for _, tt := range starts {
		s := newServer(tt.server)
		greeting, err := tt.protocol.Start(s, "own", "domain")
		if err != nil || string(greeting) != tt.greeting || !strings.Contains(s.heard.String(), tt.asks) {
			t.Errorf("%v: %v, greeting %q, asked %q", tt.protocol, err, greeting, s.heard.String())
		}
	}
}

// evil is what somebody on the way slips in, in the form of each protocol.
var evil = []string{"MAIL FROM:<evil>\r\n", "x LOGIN evil evil\r\n", "x", "\r\n", "<evil/>", ldapRequest, sslRequest, ldapSuccess, "250 evil\r\n", "* OK evil\r\n", "+OK evil\r\n", "OK\r\n"}

// Whatever is slipped in, and wherever: nothing that a client has said in plain
// text gets to its backend, and nothing behind its request for TLS is read.
func TestServerLeavesWhatIsSlippedIn(t *testing.T) {
	for _, tt := range starts {
		for _, e := range evil {
			for at := range len(tt.client) + 1 {
				says := tt.client[:at] + e + tt.client[at:]
				c := newClient(says)
				s := starttls.Server{Protocol: tt.protocol}
				sess, err := s.Negotiate(c)
				if err != nil {
					continue
				}
				rest := c.unread()
				if at == len(tt.client) && rest != e && !strings.HasPrefix(e, rest) {
					t.Errorf("%v: %q slipped in behind is read: %q is left", tt.protocol, e, rest)
				}
				if at == len(tt.client) && rest == "" {
					t.Errorf("%v: %q slipped in behind is taken for a part of the dialog", tt.protocol, e)
				}
				b := newServer(welcome(tt.protocol))
				first, err := sess.Join(b, netip.AddrPort{})
				if sess.Plain || err != nil || b.heard.Len() > 0 || strings.Contains(string(first), "evil") {
					t.Errorf("%v: after %q a backend hears %q, its client %q, %v", tt.protocol, says, b.heard.String(), first, err)
				}
			}
		}
	}
}

// welcome is how a backend begins.
func welcome(p starttls.Protocol) string {
	switch p {
	case starttls.SMTP:
		return "220-a\r\n220 b\r\n"
	case starttls.IMAP:
		return "* OK hi\r\n"
	case starttls.POP3:
		return "+OK hi\r\n"
	case starttls.NNTP:
		return "200 hi\r\n"
	case starttls.Sieve:
		return "\"SIEVE\" \"x\"\r\n\"STARTTLS\"\r\nOK\r\n"
	}
	return ""
}

// Whatever is slipped into what a server says, and wherever: a client hears none
// of it, and what follows the agreement is an error.
func TestStartRefusesWhatIsSlippedIn(t *testing.T) {
	for _, tt := range starts {
		for _, e := range evil {
			for at := range len(tt.server) + 1 {
				greeting, err := tt.protocol.Start(newServer(tt.server[:at]+e+tt.server[at:]), "own", "domain")
				if at == len(tt.server) && !errors.Is(err, starttls.ErrInjected) {
					t.Errorf("%v: %q behind the agreement: %v", tt.protocol, e, err)
				}
				if err == nil && string(greeting) != tt.greeting {
					t.Errorf("%v: %q at %d becomes the greeting %q", tt.protocol, e, at, greeting)
				}
			}
		}
	}
}

func TestServerRefuses(t *testing.T) {
	for _, tt := range []struct {
		protocol starttls.Protocol
		says     string
		answer   string
		err      error
	}{
		{starttls.SMTP, "EHLO x\r\nMAIL FROM:<a@b>\r\nAUTH PLAIN x\r\nSTARTTLS now\r\nNOOP\r\nHELO x\r\nQUIT\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n530 5.7.0 Must issue a STARTTLS command first\r\n501 5.5.4 STARTTLS takes no parameters\r\n250 2.0.0 OK\r\n250 localhost\r\n221 2.0.0 Bye\r\n", io.EOF},
		{starttls.SMTP, "NOOP", "", io.EOF},
		{starttls.SMTP, strings.Repeat("x", 3000), "421 4.7.0", starttls.ErrTooLong},
		{starttls.SMTP, strings.Repeat("NOOP\r\n", 40), "421 4.7.0", starttls.ErrTooMany},
		{starttls.IMAP, "a LOGIN x y\r\nb SELECT INBOX\r\n+ x\r\nc CAPABILITY\r\nd LOGOUT\r\n", "a NO [PRIVACYREQUIRED] Issue a STARTTLS command first\r\nb BAD Issue a STARTTLS command first\r\n* BAD no tag\r\n* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nc OK done\r\n* BYE bye\r\nd OK done\r\n", io.EOF},
		{starttls.IMAP, "a LOGIN x {12+}\r\nb STARTTLS\r\n", "* BYE closing\r\n", nil},
		{starttls.POP3, "USER x\r\nPASS y\r\nQUIT\r\n", "-ERR Issue a STLS command first\r\n-ERR Issue a STLS command first\r\n+OK bye\r\n", io.EOF},
		{starttls.NNTP, "MODE READER\r\nGROUP x\r\nQUIT\r\n", "483 Issue a STARTTLS command first\r\n483 Issue a STARTTLS command first\r\n205 bye\r\n", io.EOF},
		{starttls.Sieve, "AUTHENTICATE \"PLAIN\" {4+}\r\nSTARTTLS\r\n", "BYE", nil},
		{starttls.Sieve, "NOOP\r\nLISTSCRIPTS\r\nLOGOUT\r\n", "NO (ENCRYPT-NEEDED) \"Issue a STARTTLS command first\"\r\nOK \"bye\"\r\n", io.EOF},
		{starttls.IRC, "PING :x\r\nNICK x\r\nCAP REQ :tls\r\nQUIT\r\n", "PONG localhost :x\r\n:localhost 691 * :Issue a STARTTLS command first\r\n:localhost CAP * ACK :tls\r\nERROR :bye\r\n", io.EOF},
		{starttls.XMPP, xmppOpen + "<auth xmlns='x'>eA==</auth>", "<stream:error><policy-violation", starttls.ErrTLSRequired},
		{starttls.XMPP, "<!DOCTYPE x>", "<stream:error><not-well-formed", nil},
		{starttls.XMPP, "hello>", "<stream:error><not-well-formed", nil},
		{starttls.XMPP, xmppOpen + "</stream:stream>", "</stream:stream>", io.EOF},
		{starttls.LDAP, "0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\x00\x80\x00" + "0\x05\x02\x01\x02B\x00", "0\x1b\x02\x01\x01a\x16\x0a\x01\x0d", io.EOF},
		{starttls.LDAP, "GET / HTTP/1.0\r\n", "", nil},
		{starttls.LDAP, "0\x84\x7f\xff\xff\xff", "", nil},
		{starttls.PostgreSQL, "\x00\x00\x00\x09\x00\x03\x00\x00\x00", "E\x00", starttls.ErrTLSRequired},
		{starttls.PostgreSQL, "GET / HTTP/1.0\r\n", "", nil},
		{starttls.MySQL, "", "", nil},
	} {
		c := newClient(tt.says)
		_, err := (&starttls.Server{Protocol: tt.protocol}).Negotiate(c)
		if err == nil || tt.err != nil && !errors.Is(err, tt.err) || !strings.Contains(c.String(), tt.answer) {
			t.Errorf("%v, %q: %v, answers %q", tt.protocol, tt.says, err, c.String())
		}
	}
}

func TestStartFails(t *testing.T) {
	for _, tt := range []struct {
		protocol starttls.Protocol
		says     string
		err      string
	}{
		{starttls.SMTP, "554 no\r\n", `answers the connection with "554 no"`},
		{starttls.SMTP, "220 hi\r\n250-x\r\n250 SIZE\r\n", "does not offer TLS"},
		{starttls.SMTP, "220 hi\r\n250 STARTTLS\r\n", "does not offer TLS"}, // the first line is its name
		{starttls.SMTP, "220 hi\r\n250-x\r\n250 STARTTLS\r\n454 not now\r\n", `answers STARTTLS with "454 not now"`},
		{starttls.SMTP, "220-hi\r\n250 x\r\n", "the codes 220 and 250"},
		{starttls.SMTP, "SSH-2.0-x\r\n", "no reply of SMTP"},
		{starttls.SMTP, strings.Repeat("220-x\r\n", 9000), "more than the protocol has"},
		{starttls.SMTP, "220 " + strings.Repeat("x", 9000), "longer line"},
		{starttls.SMTP, "220 hi\r\n", "unexpected EOF"},
		{starttls.IMAP, "* PREAUTH hi\r\n", "PREAUTH"},
		{starttls.IMAP, "* BYE full\r\n", "full"},
		{starttls.IMAP, "* OK hi\r\ns1 NO no\r\n", "s1 NO no"},
		{starttls.POP3, "-ERR x\r\n", "-ERR x"},
		{starttls.POP3, "+OK x\r\n-ERR y\r\n", "-ERR y"},
		{starttls.NNTP, "200 x\r\n580 y\r\n", "580 y"},
		{starttls.Sieve, "\"SIEVE\" \"x\"\r\nOK\r\n", "does not offer TLS"},
		{starttls.Sieve, "BYE\r\n", "BYE"},
		{starttls.Sieve, "\"STARTTLS\"\r\nOK\r\nNO\r\n", "NO"},
		{starttls.IRC, ":x 691 * :no\r\n", "691"},
		{starttls.XMPP, xmppOpen + "<stream:features/>", "does not offer TLS"},
		{starttls.XMPP, xmppFeatures + "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "failure"},
		{starttls.XMPP, xmppOpen + "<stream:error><x/></stream:error>", "error"},
		{starttls.LDAP, ldapRefused, "does not offer TLS"},
		{starttls.PostgreSQL, "N", "does not offer TLS"},
		{starttls.PostgreSQL, "E\x00", `answers SSLRequest with "E"`},
		{starttls.MySQL, "", "no dialog"},
	} {
		_, err := tt.protocol.Start(newServer(tt.says), "", "")
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%v, %.40q: %v", tt.protocol, tt.says, err)
		}
	}
}

// A client that goes on in plain text gets to its backend as it would have
// without us.
func TestOptional(t *testing.T) {
	for _, tt := range []struct {
		protocol starttls.Protocol
		client   string
		backend  string // what it says
		hears    string // what it hears, and nothing else
		left     string // what of the client is still to be read
	}{
		{starttls.SMTP, "EHLO me\r\nMAIL FROM:<a>\r\nRCPT", welcome(starttls.SMTP) + "250-x\r\n250 y\r\n", "EHLO me\r\nMAIL FROM:<a>\r\n", "RCPT"},
		{starttls.IMAP, "a CAPABILITY\r\nb LOGIN x {1+}\r\ny\r\n", welcome(starttls.IMAP), "b LOGIN x {1+}\r\n", "y\r\n"},
		{starttls.POP3, "USER x\r\nPASS y\r\n", welcome(starttls.POP3), "USER x\r\n", "PASS y\r\n"},
		{starttls.NNTP, "GROUP x\r\n", welcome(starttls.NNTP), "GROUP x\r\n", ""},
		{starttls.Sieve, "LISTSCRIPTS\r\n", welcome(starttls.Sieve), "LISTSCRIPTS\r\n", ""},
		{starttls.IRC, "CAP LS\r\nNICK x\r\nUSER y\r\n", "", "NICK x\r\n", "USER y\r\n"},
		{starttls.XMPP, xmppOpen + "<auth xmlns='x'>eA==</auth>", xmppFeatures, xmppOpen + "<auth xmlns='x'>", "eA==</auth>"},
		{starttls.LDAP, "0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\x00\x80\x00", "", "", "0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\x00\x80\x00"},
		{starttls.PostgreSQL, "\x00\x00\x00\x09\x00\x03\x00\x00\x00", "", "", "\x00\x00\x00\x09\x00\x03\x00\x00\x00"},
	} {
		c := newClient(tt.client)
		sess, err := (&starttls.Server{Protocol: tt.protocol, Optional: true}).Negotiate(c)
		if err != nil || !sess.Plain {
			t.Errorf("%v: %v", tt.protocol, err)
			continue
		}
		b := newServer(tt.backend)
		first, err := sess.Join(b, netip.AddrPort{})
		if left := c.unread(); err != nil || b.heard.String() != tt.hears || len(first) > 0 || left != tt.left {
			t.Errorf("%v: %v, the backend hears %q, the client %q, and %q is left", tt.protocol, err, b.heard.String(), first, left)
		}
	}
}

// What a backend says in place of a welcome is its client's to hear.
func TestJoinPassesOnRefusals(t *testing.T) {
	for _, tt := range []struct {
		protocol             starttls.Protocol
		backend, want, error string
	}{
		{starttls.SMTP, "421-a\r\n421 too many\r\n", "421-a\r\n421 too many\r\n", ""},
		{starttls.IMAP, "* BYE full\r\n", "* BYE full\r\n", ""},
		{starttls.POP3, "-ERR full\r\n", "-ERR full\r\n", ""},
		{starttls.NNTP, "400 full\r\n", "400 full\r\n", ""},
		{starttls.Sieve, "BYE \"full\"\r\n", "BYE \"full\"\r\n", ""},
		{starttls.Sieve, welcome(starttls.Sieve), "\"SIEVE\" \"x\"\r\nOK\r\n", ""},
		{starttls.IMAP, "* OK hi\r\n* more\r\n", "* more\r\n", ""},
		{starttls.IMAP, "* PREAUTH hi\r\n", "", "PREAUTH"},
		{starttls.SMTP, "SSH-2.0\r\n", "", "no reply"},
		{starttls.SMTP, "220-x\r\n", "", "EOF"},
	} {
		sess := established(t, starttls.Server{Protocol: tt.protocol})
		first, err := sess.Join(newServer(tt.backend), netip.AddrPort{})
		if string(first) != tt.want || (err == nil) != (tt.error == "") || err != nil && !strings.Contains(err.Error(), tt.error) {
			t.Errorf("%v, %q: %q, %v", tt.protocol, tt.backend, first, err)
		}
	}
}

// established returns a client that has agreed on TLS.
func established(t *testing.T, s starttls.Server) *starttls.Session {
	t.Helper()
	for _, tt := range starts {
		if tt.protocol == s.Protocol {
			sess, err := s.Negotiate(newClient(tt.client))
			if err != nil {
				t.Fatal(err)
			}
			return sess
		}
	}
	t.Fatal("no such protocol")
	return nil
}

func TestXCLIENT(t *testing.T) {
	const offer = "220 hi\r\n250-x\r\n250 XCLIENT NAME ADDR PORT PROTO\r\n220 again\r\n"
	for addr, want := range map[string]string{
		"192.0.2.1:1025":     "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=1025\r\n",
		"[2001:db8::1]:1025": "XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=1025\r\n",
		"":                   "XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE]\r\n",
	} {
		from, _ := netip.ParseAddrPort(addr)
		b := newServer(offer)
		first, err := established(t, starttls.Server{Protocol: starttls.SMTP, XCLIENT: true}).Join(b, from)
		if want := "EHLO localhost\r\n" + want; err != nil || len(first) > 0 || b.heard.String() != want {
			t.Errorf("%s: %v, %q, the backend hears %q", addr, err, first, b.heard.String())
		}
	}
	for _, says := range []string{"220 hi\r\n250 x\r\n", "220 hi\r\n250-x\r\n250 XCLIENT ADDR\r\n550 no\r\n"} {
		_, err := established(t, starttls.Server{Protocol: starttls.SMTP, XCLIENT: true}).Join(newServer(says), netip.AddrPort{})
		if err == nil || !strings.Contains(err.Error(), "XCLIENT") {
			t.Errorf("%q: %v", says, err)
		}
	}
}

func FuzzServer(f *testing.F) {
	for _, tt := range starts {
		f.Add(uint8(tt.protocol), false, tt.client)
		f.Add(uint8(tt.protocol), true, tt.client)
	}
	f.Fuzz(func(t *testing.T, p uint8, optional bool, says string) {
		s := starttls.Server{Protocol: starttls.Protocol(p), Optional: optional}
		c := newClient(says)
		sess, err := s.Negotiate(c)
		if (sess == nil) == (err == nil) || c.Len() > 64<<10 {
			t.Fatalf("%v, %v, %d bytes of answers", sess, err, c.Len())
		}
		if sess == nil {
			return
		}
		if sess.Plain && !optional {
			t.Fatal("plain text goes on")
		}
		if rest := c.unread(); !strings.HasSuffix(says, rest) {
			t.Fatalf("%q is left", rest)
		}
		b := newServer(welcome(s.Protocol) + xmppFeatures)
		sess.Join(b, netip.AddrPort{})
		if !sess.Plain && b.heard.Len() > 0 {
			t.Fatalf("the backend hears %q", b.heard.String())
		}
	})
}

func FuzzStart(f *testing.F) {
	for _, tt := range starts {
		f.Add(uint8(tt.protocol), tt.server)
	}
	f.Fuzz(func(t *testing.T, p uint8, says string) {
		s := newServer(says)
		greeting, err := starttls.Protocol(p).Start(s, "own", "domain")
		if err != nil && len(greeting) > 0 || s.heard.Len() > 4<<10 {
			t.Fatalf("%q, %v, %d bytes of requests", greeting, err, s.heard.Len())
		}
		if err == nil && s.says.Len() > 0 && len(says)-s.says.Len() < 1 {
			t.Fatal("TLS without a word")
		}
	})
}

func FuzzJoin(f *testing.F) {
	for _, tt := range starts {
		f.Add(uint8(tt.protocol), welcome(tt.protocol))
	}
	f.Fuzz(func(t *testing.T, p uint8, says string) {
		for _, tt := range starts {
			if tt.protocol != starttls.Protocol(p) {
				continue
			}
			sess, err := (&starttls.Server{Protocol: tt.protocol, XCLIENT: true}).Negotiate(newClient(tt.client))
			if err != nil {
				t.Fatal(err)
			}
			b := newServer(says)
			first, _ := sess.Join(b, netip.AddrPort{})
			if len(first) > 2*len(says)+2 { // ends of lines may grow
				t.Fatal(fmt.Sprint("more for the client than came: ", len(first)))
			}
		}
	})
}
