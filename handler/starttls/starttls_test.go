package starttls_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/starttls"
	"netserver/netservertest"
	dialog "netserver/starttls"
)

// A backend is a server in plain text that says what it likes and keeps what it
// hears.
type backend struct {
	l     net.Listener
	says  string
	heard chan string // all that one client has said
}

func newBackend(t *testing.T, says string) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{l: l, says: says, heard: make(chan string, 100)}
	done := make(chan struct{})
	go b.serve(done)
	t.Cleanup(func() { l.Close(); <-done })
	return b
}

func (b *backend) serve(done chan struct{}) {
	defer close(done)
	for {
		c, err := b.l.Accept()
		if err != nil {
			return
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, b.says)
		all, _ := io.ReadAll(c)
		c.Close()
		b.heard <- string(all)
	}
}

// Serve connects a client to the backend, as a proxy does.
func (b *backend) Serve(ctx context.Context, c *netserver.Conn) error {
	nc, err := net.Dial("tcp", b.l.Addr().String())
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	joined, err := dialog.JoinOf(ctx)(nc, nil)
	if err != nil {
		return err
	}
	if c.TLS() == nil {
		return errors.New("the client has no TLS")
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		io.Copy(joined, c)
		nc.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c, joined)
	c.CloseWrite()
	<-copied
	return nil
}

func start(t *testing.T, h *starttls.Handler) *netservertest.Running {
	t.Helper()
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	s := &netserver.Server{Handler: h}
	s.Config.TLS.StartPlain = true
	s.Config.TLS.ALPN = []string{"postgresql"}
	return netservertest.Start(t, s, "ssl")
}

// welcome is how a backend of each protocol begins, and what comes after it.
var welcome = map[dialog.Protocol]string{
	dialog.SMTP: "220 hi\r\n", dialog.IMAP: "* OK hi\r\n", dialog.POP3: "+OK hi\r\n", dialog.NNTP: "200 hi\r\n",
	dialog.Sieve: "\"SIEVE\" \"x\"\r\n\"STARTTLS\"\r\nOK\r\n",
}

// OpenSSL's client starts TLS with each protocol that it knows, and the first
// that it reads is what it waits for.
func TestOpenSSL(t *testing.T) {
	openssl := netservertest.Peer(t, "openssl")
	for _, p := range []dialog.Protocol{dialog.SMTP, dialog.IMAP, dialog.POP3, dialog.NNTP, dialog.Sieve, dialog.IRC, dialog.XMPP, dialog.LDAP, dialog.PostgreSQL} {
		b := newBackend(t, welcome[p]+"MARK\r\n")
		r := start(t, &starttls.Handler{Protocol: p, Next: b, Name: "mail.example.org"})
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			cmd := exec.CommandContext(ctx, openssl, "s_client", "-starttls", p.String(), "-connect", r.Addr(t, "ssl").String(), "-CAfile", netservertest.CA(t).File(t),
				"-verify_return_error", "-quiet", "-no_ign_eof", "-xmpphost", "example.org", "-name", "me", version)
			cmd.Stdin = strings.NewReader("HELLO\n")
			var out strings.Builder
			cmd.Stdout = &out
			err := cmd.Run()
			cancel()
			want := "MARK\r\n"
			if p == dialog.Sieve {
				want = "\"SIEVE\" \"x\"\r\nOK\r\n" + want
			}
			if got := <-b.heard; err != nil || got != "HELLO\n" {
				t.Errorf("%v %s: %v, the backend heard %q", p, version, err, got)
			}
			if out.String() != "" && out.String() != want { // it may end before it has read
				t.Errorf("%v %s: the client read %q, want %q", p, version, out.String(), want)
			}
		}
	}
}

// A dialect is how a client starts TLS.
type dialect struct {
	protocol dialog.Protocol
	says     []string // each is followed by an answer
	ends     string   // of the last answer
}

var dialects = []dialect{
	{dialog.SMTP, []string{"", "EHLO me\r\n", "STARTTLS\r\n"}, "TLS\r\n"},
	{dialog.IMAP, []string{"", "a CAPABILITY\r\n", "b STARTTLS\r\n"}, "now\r\n"},
	{dialog.POP3, []string{"", "STLS\r\n"}, "negotiation\r\n"},
	{dialog.NNTP, []string{"", "STARTTLS\r\n"}, "negotiation\r\n"},
	{dialog.Sieve, []string{"", "STARTTLS\r\n"}, "now\"\r\n"},
	{dialog.IRC, []string{"STARTTLS\r\n"}, "handshake\r\n"},
	{dialog.XMPP, []string{"<stream:stream to='x'>", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"}, "/>"},
	{dialog.LDAP, []string{"0\x1d\x02\x01\x01w\x18\x80\x161.3.6.1.4.1.1466.20037"}, "20037"},
	{dialog.PostgreSQL, []string{"\x00\x00\x00\x08\x04\xd2\x16\x2f"}, "S"},
}

// speak plays a client up to its start of TLS, and slips evil in before or after
// what it says at a step.
func (d *dialect) speak(c net.Conn, r *bufio.Reader, evil string, step int, wait bool) {
	for i, s := range d.says {
		if i == step && !wait {
			s += evil
		}
		if s != "" {
			io.WriteString(c, s)
		}
		if _, err := r.Peek(1); err != nil {
			return
		}
		for r.Buffered() > 0 {
			r.Discard(r.Buffered())
		}
		if i == step && wait {
			io.WriteString(c, evil)
		}
	}
}

// What is slipped in, in one packet with any step of the dialog or behind its
// answer, never gets to the backend: there is no TLS, or the backend hears
// what comes under TLS alone.
func TestNothingIsSlippedIn(t *testing.T) {
	const evil = "EVIL evil\r\n"
	for _, d := range dialects {
		b := newBackend(t, welcome[d.protocol])
		r := start(t, &starttls.Handler{Protocol: d.protocol, Next: b})
		clients := 0
		for step := range d.says {
			for _, wait := range []bool{false, true} {
				last := step == len(d.says)-1
				c := r.DialRaw(t, "ssl")
				clients++
				in := bufio.NewReader(c)
				d.speak(c, in, evil, step, wait)
				tc := tls.Client(c, r.ClientTLS())
				err := tc.HandshakeContext(t.Context())
				if last && err == nil {
					t.Errorf("%v, step %d, %v: there was a handshake", d.protocol, step, wait)
				}
				if err == nil {
					io.WriteString(tc, "good")
					tc.CloseWrite()
					if got := <-b.heard; got != "good" {
						t.Errorf("%v, step %d, %v: the backend heard %q", d.protocol, step, wait, got)
					}
				}
				c.Close()
			}
		}
		r.Records(t, clients)
		select {
		case got := <-b.heard:
			t.Errorf("%v: the backend heard %q of a client without TLS", d.protocol, got)
		default:
		}
	}
}

// PostgreSQL's clients since 17 can begin with TLS at once, and say by ALPN that
// they mean it.
func TestPostgreSQLDirect(t *testing.T) {
	b := newBackend(t, "")
	r := start(t, &starttls.Handler{Protocol: dialog.PostgreSQL, Next: b})
	cfg := r.ClientTLS()
	cfg.NextProtos = []string{"postgresql"}
	c := tls.Client(r.DialRaw(t, "ssl"), cfg)
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "good")
	c.CloseWrite()
	if got := <-b.heard; got != "good" {
		t.Errorf("the backend heard %q", got)
	}
	c = tls.Client(r.DialRaw(t, "ssl"), r.ClientTLS())
	io.WriteString(c, "bad")
	io.ReadAll(c)
	if rec := r.Records(t, 2)[1]; rec.Err == nil || !strings.Contains(rec.Err.Error(), "ALPN") {
		t.Errorf("without ALPN: %v", rec.Err)
	}
}

func TestClientsThatDoNotStart(t *testing.T) {
	b := newBackend(t, welcome[dialog.SMTP])
	r := start(t, &starttls.Handler{Protocol: dialog.SMTP, Next: b, Timeout: time.Second})
	for i, tt := range []struct{ says, err string }{
		{"", "did not start TLS within 1s"},
		{"QUIT\r\n", ""},
		{strings.Repeat("x", 3000), "too long"},
		{strings.Repeat("NOOP\r\n", 50), "too many"},
		{"\x16\x03\x01\x02\x00\x01\n", "began with TLS at once"},
	} {
		c := r.DialRaw(t, "ssl")
		io.WriteString(c, tt.says)
		io.Copy(io.Discard, c)
		rec := r.Records(t, i+1)[i]
		if (rec.Err == nil) != (tt.err == "") || rec.Err != nil && !strings.Contains(rec.Err.Error(), tt.err) {
			t.Errorf("%.10q: %v", tt.says, rec.Err)
		}
	}
}

func TestCheck(t *testing.T) {
	b := newBackend(t, "")
	for want, h := range map[string]*starttls.Handler{
		"not a protocol": {Next: b},
		"set Next":       {Protocol: dialog.SMTP},
		"XCLIENT is for": {Protocol: dialog.IMAP, Next: b, XCLIENT: true},
		"inner":          {Protocol: dialog.IMAP, Next: checks{b}},
	} {
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, ok := netserver.HandlerAs[checks](&starttls.Handler{Next: checks{b}}); !ok {
		t.Error("Next is not found")
	}
}

type checks struct{ netserver.Handler }

func (checks) Check(...net.Addr) error { return fmt.Errorf("inner") }
