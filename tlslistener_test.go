package netserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
)

// serveOwn serves listeners that did not come from Listen, and returns its
// records.
func serveOwn(t *testing.T, s *netserver.Server, ls ...net.Listener) <-chan netserver.Record {
	t.Helper()
	netservertest.CheckLeaks(t)
	records := make(chan netserver.Record, 100)
	s.Log = slog.New(slog.DiscardHandler)
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) { records <- r }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ls...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return records
}

func listenOn(t *testing.T, network string) net.Listener {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		at = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestTLSListener: a listener of tls.NewListener is served as TLS: the
// handshake is the engine's, the handler and the record know of TLS and of the
// client's certificate.
func TestTLSListener(t *testing.T) {
	ca := netservertest.CA(t)
	cert := ca.Issue(t, netservertest.Leaf{Name: "localhost", Hosts: []string{"localhost"}}).TLS
	ann := ca.Issue(t, netservertest.Leaf{Name: "ann", Client: true}).TLS
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	for _, queue := range []bool{true, false} {
		for _, network := range []string{"tcp", "unix"} {
			s := &netserver.Server{}
			s.Config.Admission.NoQueue = !queue
			s.Handler = netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
				st := c.TLS() // before any byte is read
				if st == nil || !st.HandshakeComplete {
					return errors.New("no handshake")
				}
				if in := s.Monitor().Clients(0, 9); len(in) != 1 || in[0].TLS == nil || in[0].TLS.Version != st.Version || in[0].TLS.ServerName != "localhost" {
					return fmt.Errorf("Clients tells %+v", in)
				}
				line, err := c.ReadLine()
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c, "%s %s\r\n", line, st.VerifiedChains[0][0].Subject.CommonName)
				return err
			})
			l := tls.NewListener(listenOn(t, network), cfg)
			records := serveOwn(t, s, l)
			nc, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			c := tls.Client(nc, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{ann}})
			c.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprint(c, "hello\r\n")
			if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello ann\r\n" {
				t.Errorf("%s, queue %v: %q, %v", network, queue, line, err)
			}
			c.Close()
			r := <-records
			if r.Err != nil || r.TLS == nil || r.TLS.ServerName != "localhost" || len(r.TLS.PeerCertificates) != 2 || r.Outcome != outcome.Served {
				t.Errorf("%s, queue %v: record %+v", network, queue, r)
			}
			if want := "/ssl"; network == "tcp" && !strings.HasSuffix(r.Port.Short(), want) {
				t.Errorf("the record's port is %s", r.Port.Short())
			}
		}
	}
}

// TestTLSListenerLimits: its clients are under the limits of TLS clients: those
// who say nothing, half a hello, no TLS, or stop in the handshake do not reach
// the handler.
func TestTLSListenerLimits(t *testing.T) {
	cert := netservertest.CA(t).Issue(t, netservertest.Leaf{}).TLS
	hello := clientHello(t)
	for name, tc := range map[string]struct {
		set  func(*netserver.Config)
		send []byte
		want error
	}{
		"silent":     {func(c *netserver.Config) { c.Timeouts.FirstByte = 20 * time.Millisecond }, nil, netserver.ErrFirstByteTimeout},
		"half hello": {func(c *netserver.Config) { c.Timeouts.Hello = 20 * time.Millisecond }, hello[:100], netserver.ErrHelloTimeout},
		"stalled":    {func(c *netserver.Config) { c.Timeouts.Handshake = 100 * time.Millisecond }, hello, netserver.ErrHandshakeTimeout},
		"no queue": {func(c *netserver.Config) {
			c.Timeouts.Handshake, c.Admission.NoQueue = 20*time.Millisecond, true
		}, hello, netserver.ErrHandshakeTimeout},
	} {
		s := &netserver.Server{Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error {
			t.Errorf("%s: in the handler", name)
			return nil
		})}
		tc.set(&s.Config)
		l := tls.NewListener(listenOn(t, "tcp"), &tls.Config{Certificates: []tls.Certificate{cert}})
		records := serveOwn(t, s, l)
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.Write(tc.send)
		if r := <-records; !errors.Is(r.Err, tc.want) || r.Stage != netserver.StageHandshake {
			t.Errorf("%s: stage %v, %v", name, r.Stage, r.Err)
		}
	}
}

// clientHello returns the first record of a TLS client.
func clientHello(t *testing.T) []byte {
	a, b := net.Pipe()
	defer a.Close()
	go tls.Client(a, &tls.Config{InsecureSkipVerify: true}).Handshake()
	head := make([]byte, 5)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(b, body); err != nil {
		t.Fatal(err)
	}
	b.Close()
	return append(head, body...)
}

// TestTLSListenerDenies: what the tls.Config of the listener denies is a failed
// handshake, and a plain client is told apart.
func TestTLSListenerDenies(t *testing.T) {
	ca := netservertest.CA(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, netservertest.Leaf{}).TLS}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error { return errors.New("in the handler") })}
	l := tls.NewListener(listenOn(t, "tcp"), cfg)
	records := serveOwn(t, s, l)
	ann := ca.Issue(t, netservertest.Leaf{Name: "ann", Client: true}).TLS
	if c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{ann}}); err == nil {
		c.Read(make([]byte, 1))
		c.Close()
	}
	if r := <-records; r.Stage != netserver.StageHandshake || r.Outcome == outcome.Served {
		t.Errorf("stage %v, outcome %v, %v", r.Stage, r.Outcome, r.Err)
	}
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprint(nc, "GET / HTTP/1.1\r\n\r\n")
	if r := <-records; r.Stage != netserver.StageHandshake || !strings.Contains(fmt.Sprint(r.Err), "plain HTTP") {
		t.Errorf("stage %v, %v", r.Stage, r.Err)
	}
}
