package netserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

// passing takes the clients of pass.example undecrypted to a TLS server, and
// greets the others.
type passing struct {
	to   string
	seen chan *proto.ClientHello
	from chan netip.Addr
}

func (p *passing) Passes() bool { return true }

func (p *passing) PassesThrough(h *proto.ClientHello, from netip.Addr) bool {
	if h.ServerName != "pass.example" {
		return false
	}
	p.seen <- h
	p.from <- from
	return true
}

func (p *passing) Serve(ctx context.Context, c *netserver.Conn) error {
	if c.Hello() == nil {
		_, err := fmt.Fprint(c, "ours")
		return err
	}
	b, err := net.Dial("tcp", p.to)
	if err != nil {
		return err
	}
	defer b.Close()
	go func() {
		io.Copy(b, c)
		b.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(c, b)
	return err
}

// theirs is a TLS server of somebody else.
func theirs(t *testing.T) (addr string, roots *tls.Config) {
	t.Helper()
	ca := netservertest.NewCA(t, "theirs")
	pair := ca.Issue(t, netservertest.Leaf{Hosts: []string{"pass.example"}})
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "theirs")
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "pass.example"}
}

// A cutter sends what is written to it in pieces.
type cutter struct {
	net.Conn
	size int
}

func (c cutter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		m, werr := c.Conn.Write(b[:min(c.size, len(b))])
		n, err, b = n+m, werr, b[m:]
	}
	return n, err
}

// A splitter sends the first TLS record as several of a few bytes each.
type splitter struct {
	net.Conn
	size int
	done *bool
}

func (s splitter) Write(b []byte) (int, error) {
	if *s.done {
		return s.Conn.Write(b)
	}
	*s.done = true
	var out bytes.Buffer
	for rest := b[5:]; len(rest) > 0; {
		n := min(s.size, len(rest))
		out.Write([]byte{b[0], b[1], b[2], byte(n >> 8), byte(n)})
		out.Write(rest[:n])
		rest = rest[n:]
	}
	_, err := s.Conn.Write(out.Bytes())
	return len(b), err
}

func manyProtocols(bytes int) (list []string) {
	for n := 0; n < bytes; n += 251 {
		list = append(list, fmt.Sprintf("%0250d", n))
	}
	return append(list, "b")
}

func TestPassThrough(t *testing.T) {
	for _, queue := range []bool{true, false} {
		t.Run(fmt.Sprint(queue), func(t *testing.T) { testPassThrough(t, queue) })
	}
}

func testPassThrough(t *testing.T, queue bool) {
	to, roots := theirs(t)
	h := &passing{to: to, seen: make(chan *proto.ClientHello, 1), from: make(chan netip.Addr, 1)}
	s := &netserver.Server{Handler: h}
	s.Config.Admission.NoQueue = !queue
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4", Params: conf.Values{"proxy_protocol": {{Text: "require"}}, "proxy_protocol_from": {{Text: "127.0.0.0/8"}}}}}
	r := netservertest.Start(t, s, "ssl")
	for _, tc := range []struct {
		name, sni, want string
		wrap            func(net.Conn) net.Conn
		alpn            []string
	}{
		{name: "passed", sni: "pass.example", want: "theirs"},
		{name: "capitals", sni: "PASS.example", want: "theirs"},
		{name: "ours", sni: "localhost", want: "ours"},
		{name: "no name", want: "ours"},
		{name: "byte by byte", sni: "pass.example", want: "theirs", wrap: func(nc net.Conn) net.Conn { return cutter{nc, 1} }},
		{name: "large", sni: "pass.example", want: "theirs", alpn: manyProtocols(12 << 10)},
		{name: "large, in pieces", sni: "pass.example", want: "theirs", alpn: manyProtocols(12 << 10), wrap: func(nc net.Conn) net.Conn { return cutter{nc, 700} }},
		{name: "in records", sni: "pass.example", want: "theirs", wrap: func(nc net.Conn) net.Conn { return splitter{nc, 100, new(bool)} }},
		{name: "ours in records", sni: "localhost", want: "ours", wrap: func(nc net.Conn) net.Conn { return splitter{nc, 3, new(bool)} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := r.ClientTLS()
			if tc.want == "theirs" {
				cfg = roots.Clone()
			}
			cfg.ServerName, cfg.NextProtos = tc.sni, tc.alpn
			cfg.InsecureSkipVerify = tc.sni == ""
			nc, err := net.DialTimeout("tcp", r.Addr(t, "ssl").String(), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(30 * time.Second))
			nc.(*net.TCPConn).SetNoDelay(true)
			fmt.Fprint(nc, "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n")
			if tc.wrap != nil {
				nc = tc.wrap(nc)
			}
			tc2 := tls.Client(nc, cfg)
			got, err := io.ReadAll(tc2)
			if err != nil || string(got) != tc.want {
				t.Fatalf("%q, %v, want %q", got, err, tc.want)
			}
			if tc.want != "theirs" {
				return
			}
			hello := <-h.seen
			if want := strings.ToLower(tc.sni); hello.ServerName != want || len(hello.ALPN) != len(tc.alpn) || hello.Versions[0] != tls.VersionTLS13 {
				t.Errorf("%+v", hello)
			}
			if from := <-h.from; from != netip.MustParseAddr("192.0.2.7") {
				t.Error(from)
			}
		})
	}
}

// What is no hello is what it is without anybody who passes clients on. What is one
// that cannot be read has an outcome of its own, and no handshake.
func TestPassThroughOfGarbage(t *testing.T) {
	h := &passing{seen: make(chan *proto.ClientHello, 1)}
	s := &netserver.Server{Handler: h}
	r := netservertest.Start(t, s, "ssl")
	nc := r.DialRaw(t, "ssl")
	fmt.Fprint(nc, "GET / HTTP/1.0\r\n\r\n")
	io.Copy(io.Discard, nc)
	r.Records(t, 1)
	nc = r.DialRaw(t, "ssl")
	nc.Write([]byte{22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3})
	io.Copy(io.Discard, nc)
	recs := r.Records(t, 2)
	if recs[0].Outcome != outcome.NotTLS || recs[1].Outcome != outcome.BadHello {
		t.Errorf("%v %v, %v %v", recs[0].Outcome, recs[0].Err, recs[1].Outcome, recs[1].Err)
	}
}

// A hello that stays unfinished ends in time, as everywhere.
func TestPassThroughOfHalfAHello(t *testing.T) {
	s := &netserver.Server{Handler: &passing{}}
	s.Config.Timeouts.Hello = 50 * time.Millisecond
	r := netservertest.Start(t, s, "ssl")
	nc := r.DialRaw(t, "ssl")
	nc.Write([]byte{22, 3, 1, 0, 4, 1, 0, 0x20, 0}) // of 8 KiB, in a record of four bytes
	io.Copy(io.Discard, nc)
	if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Hello {
		t.Errorf("%v: %v", rec.Outcome, rec.Err)
	}
}

func TestPassThroughNeedsItsPort(t *testing.T) {
	s := &netserver.Server{Handler: netserver.StartsTLS(&passing{})}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4", Params: conf.Values{"SSL_startHandshake": {{Text: "0"}}}}}
	_, err := s.Listen(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cannot be passed on undecrypted") {
		t.Error(err)
	}
}
