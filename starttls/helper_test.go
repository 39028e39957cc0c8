package starttls_test

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"netserver/starttls"
)

// A client is what a client says, and what it hears.
type client struct {
	r   *bufio.Reader
	all int
	bytes.Buffer
}

func newClient(says string) *client {
	return &client{r: bufio.NewReaderSize(strings.NewReader(says), 16<<10), all: len(says)}
}

func (c *client) Read(b []byte) (int, error) { return c.r.Read(b) }

func (c *client) Peek(n int) ([]byte, error) { return c.r.Peek(n) }

func (c *client) ReadUntil(delim byte, n int) ([]byte, error) {
	var line []byte
	for len(line) < n {
		b, err := c.r.ReadByte()
		if err != nil && len(line) == 0 {
			return nil, err
		}
		if err != nil {
			break
		}
		if line = append(line, b); b == delim {
			break
		}
	}
	return line, nil
}

// unread is what the client has said that nobody has read.
func (c *client) unread() string {
	b, _ := io.ReadAll(c.r)
	return string(b)
}

// A server is what a server says, and what it hears.
type server struct {
	says  *strings.Reader
	heard bytes.Buffer
}

func newServer(says string) *server { return &server{says: strings.NewReader(says)} }

func (s *server) Read(b []byte) (int, error) { return s.says.Read(b) }

func (s *server) Write(b []byte) (int, error) { return s.heard.Write(b) }

// A start is a good start of TLS.
type start struct {
	protocol starttls.Protocol
	client   string   // what a client says
	answers  []string // what is in the answers, in order
	server   string   // what a server says
	greeting string   // what Start returns
	asks     string   // what is in its requests
}

const (
	ldapRequest = "0\x1d\x02\x01\x01w\x18\x80\x161.3.6.1.4.1.1466.20037"
	ldapSuccess = "0\x0c\x02\x01\x01x\x07\x0a\x01\x00\x04\x00\x04\x00"
	ldapRefused = "0\x0c\x02\x01\x01x\x07\x0a\x01\x02\x04\x00\x04\x00"
	sslRequest  = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	gssRequest  = "\x00\x00\x00\x08\x04\xd2\x16\x30"

	xmppOpen     = "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	xmppFeatures = xmppOpen + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls><mechanisms xmlns='x'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
	xmppStart    = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	xmppProceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
)

var starts = []start{
	{starttls.SMTP, "EHLO me\r\nSTARTTLS\r\n", []string{"220 h ESMTP\r\n", "250-h\r\n", "250 STARTTLS\r\n220 2.0.0 "},
		"220-a\r\n220 b\r\n250-b\r\n250-SIZE 1\r\n250 STARTTLS\r\n220 go\r\n", "220 own ESMTP\r\n", "EHLO own\r\nSTARTTLS\r\n"},
	{starttls.IMAP, "a NOOP\r\nb STARTTLS\r\n", []string{"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] h ready\r\n", "a OK", "b OK"},
		"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n* 1 EXISTS\r\ns1 OK go\r\n", "* OK ready\r\n", "s1 STARTTLS\r\n"},
	{starttls.POP3, "CAPA\r\nSTLS\r\n", []string{"+OK h ready\r\n", "STLS\r\n.\r\n", "+OK"},
		"+OK hi <1@x>\r\n+OK go\r\n", "+OK ready\r\n", "STLS\r\n"},
	{starttls.NNTP, "CAPABILITIES\r\nSTARTTLS\r\n", []string{"200 h ready\r\n", "101 ", "STARTTLS\r\n.\r\n", "382 "},
		"201 hi\r\n382 go\r\n", "200 ready\r\n", "STARTTLS\r\n"},
	{starttls.Sieve, "CAPABILITY\r\nSTARTTLS\r\n", []string{"\"STARTTLS\"\r\n", "OK \"ready\"\r\n", "OK \"ready\"\r\n", "OK "},
		"\"IMPLEMENTATION\" \"x\"\r\n\"StartTLS\"\r\nOK\r\nOK \"go\"\r\n", "", "STARTTLS\r\n"},
	{starttls.IRC, "CAP LS 302\r\nSTARTTLS\r\n", []string{":h CAP * LS :tls\r\n", ":h 670 * :"},
		":x NOTICE AUTH :looking up\r\nNOTICE * :x\r\n:x 670 me :go\r\n", "", "STARTTLS\r\n"},
	{starttls.XMPP, xmppOpen + xmppStart, []string{"<stream:stream from='example.org'", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>", "<proceed "},
		xmppFeatures + xmppProceed, "", " to='domain'"},
	{starttls.LDAP, ldapRequest, []string{"0$\x02\x01\x01x\x1f\x0a\x01\x00"}, ldapSuccess, "", ldapRequest},
	{starttls.PostgreSQL, gssRequest + sslRequest, []string{"NS"}, "S", "", sslRequest},
}
