package proto

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"netserver/tlsparams"
)

// greet shakes hands over nc and client and returns the server's connection.
func greet(t testing.TB, tr *TLSTransport, nc, client net.Conn, cfg *tls.Config) (*TLSConn, *tls.Conn) {
	t.Helper()
	type result struct {
		nc  net.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := tr.Ready(context.Background(), nc)
		done <- result{nc, err}
	}()
	c := tls.Client(client, cfg)
	err := c.Handshake()
	r := <-done
	if err := errors.Join(err, r.err); err != nil {
		t.Fatal(err)
	}
	return r.nc.(*TLSConn), c
}

// pairTLS returns both ends of a TLS connection, and the client's socket.
func pairTLS(t testing.TB, p tlsparams.Params) (*TLSConn, *tls.Conn, net.Conn) {
	t.Helper()
	server, client := ends(t)
	srv, tc := greet(t, transport(t, p), server, client, &tls.Config{InsecureSkipVerify: true})
	return srv, tc, client
}

// corked is a connection whose writes go out together.
type corked struct {
	net.Conn
	cork bool
	held []byte
}

func (c *corked) Write(b []byte) (int, error) {
	if c.cork {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *corked) uncork(t *testing.T) {
	t.Helper()
	c.cork = false
	if _, err := c.Conn.Write(c.held); err != nil {
		t.Fatal(err)
	}
	c.held = nil
}

func mustReadText(t *testing.T, c net.Conn, size int, want string) {
	t.Helper()
	b := make([]byte, size)
	if n, err := c.Read(b); err != nil || string(b[:n]) != want {
		t.Fatalf("%q, %v; want %q", b[:n], err, want)
	}
}

// Two records that come in one packet are two reads, and waiting between them
// takes nothing of the second.
func TestRecordsInOnePacket(t *testing.T) {
	server, client := ends(t)
	out := &corked{Conn: client}
	srv, tc := greet(t, transport(t, tlsparams.Params{}), server, out, &tls.Config{InsecureSkipVerify: true})
	if srv.Unread() {
		t.Error("bytes are left before any have come")
	}
	out.cork = true
	for _, s := range []string{"first", "second"} {
		if _, err := io.WriteString(tc, s); err != nil {
			t.Fatal(err)
		}
	}
	out.uncork(t)
	mustReadText(t, srv, 2, "fi")
	if !srv.Unread() {
		t.Error("the rest of a record is not told of")
	}
	mustReadText(t, srv, 100, "rst")
	if !srv.Unread() {
		t.Error("the second record is not told of")
	}
	if err := srv.WaitRead(); err != nil {
		t.Fatal(err)
	}
	mustReadText(t, srv, 100, "second")
	if srv.Unread() {
		t.Error("bytes are left that were read")
	}
}

// WaitRead waits, up to the read deadline, and takes nothing.
func TestWaitReadWaits(t *testing.T) {
	srv, tc, _ := pairTLS(t, tlsparams.Params{})
	srv.SetReadDeadline(time.Unix(1, 0))
	if err := srv.WaitRead(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("nothing has come, and WaitRead returned %v", err)
	}
	if _, err := srv.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	srv.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(tc, "late"); err != nil {
		t.Fatal(err)
	}
	if err := srv.WaitRead(); err != nil {
		t.Fatal(err)
	}
	mustReadText(t, srv, 100, "late")
	if _, err := srv.Write([]byte("x")); err != nil {
		t.Errorf("a passed deadline has ended the connection: %v", err)
	}
}

// A client may end its half and still get the answer, with close_notify and,
// by default, without it.
func TestHalfClose(t *testing.T) {
	for _, c := range []struct {
		name, eof string
		notify    bool
		want      error
		truncated bool
	}{
		{"close_notify", "reset", true, io.EOF, false},
		{"FIN", "", false, io.EOF, true},
		{"FIN is a reset", "reset", false, ErrTruncated, true},
	} {
		srv, tc, client := pairTLS(t, tlsparams.Params{UnexpectedEOF: c.eof})
		if _, err := io.WriteString(tc, "last"); err != nil {
			t.Fatal(err)
		}
		if c.notify {
			tc.CloseWrite()
		} else {
			client.(*net.TCPConn).CloseWrite()
		}
		mustReadText(t, srv, 100, "last")
		for range 2 { // the end stays
			if err := srv.WaitRead(); err != nil {
				t.Errorf("%s: WaitRead: %v", c.name, err)
			}
			if n, err := srv.Read(make([]byte, 1)); n != 0 || err != c.want {
				t.Errorf("%s: %d bytes, %v, want %v", c.name, n, err, c.want)
			}
		}
		if srv.Truncated() != c.truncated {
			t.Errorf("%s: truncated %v", c.name, srv.Truncated())
		}
		if c.want != io.EOF {
			continue
		}
		if _, err := srv.Write([]byte("answer")); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		srv.Close()
		if rest, err := io.ReadAll(tc); string(rest) != "answer" || err != nil {
			t.Errorf("%s: the client got %q, %v", c.name, rest, err)
		}
	}
}

// Stop gives back the plain connection with what the client has sent on it
// right behind its close_notify, or an error if that does not come.
func TestStopGivesBackTheConnection(t *testing.T) {
	server, client := ends(t)
	out := &corked{Conn: client}
	srv, tc := greet(t, transport(t, tlsparams.Params{}), server, out, &tls.Config{InsecureSkipVerify: true})
	out.cork = true
	io.WriteString(tc, "still under TLS")
	tc.CloseWrite()
	io.WriteString(out, "plain")
	client.SetWriteDeadline(time.Time{}) // crypto/tls lets it pass behind close_notify
	out.uncork(t)
	nc, sent, err := srv.Stop()
	if nc != server || string(sent) != "plain" || err != nil {
		t.Fatalf("%v, %q, %v", nc, sent, err)
	}
	io.WriteString(client, " again")
	mustReadText(t, nc, 100, " again")

	srv, tc, _ = pairTLS(t, tlsparams.Params{})
	tc.CloseWrite()
	if nc, sent, err := srv.Stop(); nc == nil || len(sent) != 0 || err != nil {
		t.Errorf("a client that waits: %v, %q, %v", nc, sent, err)
	}
	srv, _, _ = pairTLS(t, tlsparams.Params{})
	srv.SetReadDeadline(time.Unix(1, 0))
	if nc, _, err := srv.Stop(); nc != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a client that says nothing: %v, %v", nc, err)
	}
	srv, _, client = pairTLS(t, tlsparams.Params{})
	client.Close()
	if nc, _, err := srv.Stop(); nc != nil || err == nil {
		t.Errorf("a client that has gone: %v, %v", nc, err)
	}
}

// A connection without a descriptor is served as well.
func TestTLSOverAPipe(t *testing.T) {
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	// A ticket would wait for a reader.
	srv, tc := greet(t, transport(t, tlsparams.Params{TicketLife: -1}), server, client, &tls.Config{InsecureSkipVerify: true})
	go io.WriteString(tc, "hello")
	mustReadText(t, srv, 100, "hello")
	go client.Close()
	if _, err := srv.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

// A waits looks at the connection whenever a handshake waits.
type waits struct {
	depth, times int
	look         func()
}

func (w *waits) Waiting() {
	w.depth++
	w.times++
	if w.look != nil {
		w.look()
	}
}

func (w *waits) Woken() { w.depth-- }

// A client that says nothing holds no buffer, and each wait ends before the
// next begins.
func TestWaitingHoldsNoBuffer(t *testing.T) {
	server, client := ends(t)
	a := newAhead(server)
	w := &waits{}
	asked := make(chan struct{}, 10)
	w.look = func() {
		if a.buf != nil {
			t.Error("a connection that waits holds a buffer")
		}
		if w.depth != 1 {
			t.Errorf("%d waits at once", w.depth)
		}
		asked <- struct{}{}
	}
	a.waits = w
	record := []byte{22, 3, 1, 0, 3, 1, 2, 3}
	go func() {
		<-asked
		client.Write(record[:6])
		<-asked
		client.Write(record[6:])
		<-asked
		client.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(a)
	if string(got) != string(record) || err != nil {
		t.Errorf("% x, %v", got, err)
	}
	if w.depth != 0 || w.times != 3 {
		t.Errorf("waits: %d times, %d open", w.times, w.depth)
	}
	if a.buf != nil {
		t.Error("the end holds a buffer")
	}
}

// Bytes inside a record are no alert, whatever they look like.
func TestAlertInsideARecord(t *testing.T) {
	alert := "\x15\x03\x03\x00\x02\x02\x2a"
	server, client := ends(t)
	a := newAhead(server)
	buf := make([]byte, 64)
	for _, part := range []string{"\x16\x03\x01\x00\x09\x01", alert, "\x01"} {
		io.WriteString(client, part)
		if n, err := a.Read(buf); string(buf[:n]) != part || err != nil {
			t.Fatalf("%x came as %x, %v", part, buf[:n], err)
		}
	}
	io.WriteString(client, alert)
	var told *ClientAlert
	if n, err := a.Read(buf); n != 0 || !errors.As(err, &told) || told.Alert != 42 {
		t.Errorf("between records: %x, %v", buf[:n], err)
	}
}

func TestLooksLike(t *testing.T) {
	tr := transport(t, tlsparams.Params{})
	for sent, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n":           "it sent plain HTTP; use https:// for this port",
		"EHLO me\r\n":                      "it sent SMTP in plain text; starttls smtp is for clients that begin so",
		"\x00\x00\x00\x08\x04\xd2\x16\x2f": "it sent PostgreSQL's request for TLS in plain text; starttls postgres",
		"OPTIONS * HTTP/1.0\r\n":           "plain HTTP",
		"PRI * HTTP/2.0\r\n":               "plain HTTP",
		"SSH-2.0-OpenSSH_9.2\r\n":          "it sent SSH",
		"PROXY TCP4 1.2.3.4\r\n":           "it sent a PROXY header",
		"\x80\x2e\x01\x00\x02\x00":         "it sent an SSLv2 hello",
		"\x00\x2e\x01\x00\x02\x00":         "it sent 00 2e 01 00 02",
		"\x80\x2e\x02\x00\x02\x00":         "it sent 80 2e 02 00 02",
		"\x15\x03\x03\xff\xff":             "it sent a TLS alert where a ClientHello belongs",
		"\x15\x02\x03\xff\xff":             "it sent 15 02 03 ff ff",
	} {
		server, client := ends(t)
		io.WriteString(client, sent)
		_, err := tr.Ready(context.Background(), server)
		if !errors.Is(err, ErrNotTLS) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", sent, err, want)
		}
	}
}

// A client that leaves, and a server that gives up, are told apart.
func TestHandshakeThatEndsEarly(t *testing.T) {
	tr := transport(t, tlsparams.Params{})
	server, client := ends(t)
	client.Close()
	if _, err := tr.Ready(context.Background(), server); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "the client left") {
		t.Error(err)
	}
	server, _ = ends(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("no time left")
	cancel(reason)
	if nc, err := tr.Ready(ctx, server); nc != nil || err != reason {
		t.Errorf("%v, %v", nc, err)
	}
}

// The address that the sender of a PROXY header tells is the one that
// certificates are chosen by.
func TestLocalAddr(t *testing.T) {
	server, _ := ends(t)
	want := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 443}
	if got := localAddr(WithLocalAddr(context.Background(), want), server); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := localAddr(context.Background(), server); got.String() != server.LocalAddr().String() {
		t.Errorf("%v", got)
	}
}
