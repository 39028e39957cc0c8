package netserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/port"
	"netserver/tlsparams"
)

// startTLSHandler is a small mail-like conversation.
func startTLSHandler(ctx context.Context, c *netserver.Conn) error {
	for {
		line, err := c.ReadLine()
		if err != nil {
			return err
		}
		switch string(line) {
		case "STARTTLS":
			fmt.Fprint(c, "go ahead\r\n")
			if err := c.StartTLS(ctx); err != nil {
				return err
			}
		case "STOPTLS":
			fmt.Fprint(c, "plain again\r\n")
			if err := c.StopTLS(); err != nil {
				return err
			}
		default:
			fmt.Fprintf(c, "%s tls=%v\r\n", line, c.TLS() != nil)
		}
	}
}

func startTLSServer(t *testing.T, plainPort bool) (*netservertest.Running, string) {
	s := &netserver.Server{Handler: netserver.StartsTLS(netserver.HandlerFunc(startTLSHandler))}
	if plainPort {
		pair := netservertest.CA(t).Issue(t, netservertest.Leaf{Name: "localhost", Hosts: []string{"localhost", "127.0.0.1"}})
		s.Config.TLS.CertFile, s.Config.TLS.KeyFile = pair.CertFile, pair.KeyFile
		return netservertest.Start(t, s, "tcp"), "tcp"
	}
	s.Config.TLS.StartPlain = true
	return netservertest.Start(t, s, "ssl"), "ssl"
}

func ask(t *testing.T, c net.Conn, line, want string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(want)+2)
	if _, err := io.ReadFull(c, b); string(b) != want+"\r\n" || err != nil {
		t.Fatalf("%s: got %q, %v; want %q", line, b, err, want)
	}
}

func TestStartTLS(t *testing.T) {
	for _, plainPort := range []bool{false, true} {
		r, proto := startTLSServer(t, plainPort)
		c := r.DialRaw(t, proto)
		ask(t, c, "hello", "hello tls=false")
		ask(t, c, "STARTTLS", "go ahead")
		tc := tls.Client(c, r.ClientTLS())
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
		ask(t, tc, "hello", "hello tls=true")
		ask(t, tc, "STOPTLS", "plain again")
		tc.CloseWrite()
		if _, err := tc.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("waiting for close_notify: %v", err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second)) // crypto/tls lets no write follow close_notify
		ask(t, c, "hello", "hello tls=false")
		ask(t, c, "STARTTLS", "go ahead")
		tc = tls.Client(c, r.ClientTLS())
		ask(t, tc, "again", "again tls=true")
		tc.Close()
		if rec := r.Records(t, 1)[0]; rec.Err != nil {
			t.Errorf("record: %v", rec.Err)
		}
	}
}

// Commands slipped in behind STARTTLS are an error, not commands under TLS.
func TestStartTLSRefusesInjection(t *testing.T) {
	r, proto := startTLSServer(t, false)
	c := r.DialRaw(t, proto)
	fmt.Fprint(c, "STARTTLS\r\nEVIL\r\n")
	io.Copy(io.Discard, c)
	if rec := r.Records(t, 1)[0]; !errors.Is(rec.Err, netserver.ErrPlaintextBeforeTLS) {
		t.Errorf("record: %v", rec.Err)
	}
}

func TestStartTLSWithoutCertificate(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error { return c.StartTLS(ctx) })}
	r := netservertest.Start(t, s, "tcp")
	c := r.DialRaw(t, "tcp")
	io.Copy(io.Discard, c)
	if rec := r.Records(t, 1)[0]; rec.Err == nil || !strings.Contains(rec.Err.Error(), "no certificate") {
		t.Errorf("record: %v", rec.Err)
	}
}

func TestHandshakeFailedHook(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Hooks.HandshakeFailed = func(_ context.Context, c *netserver.Conn, e *netserver.Error) {
		if strings.Contains(e.Error(), "plain HTTP") {
			fmt.Fprint(c, "HTTP/1.0 301 Moved Permanently\r\nLocation: https://localhost/\r\n\r\n")
		}
	}
	r := netservertest.Start(t, s, "ssl")
	c := r.DialRaw(t, "ssl")
	fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	if line != "HTTP/1.0 301 Moved Permanently\r\n" || err != nil {
		t.Errorf("got %q, %v", line, err)
	}
}

// A client that is connected loses its connection when an allow list, a pin
// or its CA no longer lets it in; the others stay.
func TestLiveRevocation(t *testing.T) {
	ca := netservertest.NewCA(t, "client CA")
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write := func(a *netservertest.Authority) {
		b, err := os.ReadFile(a.File(t))
		if err != nil {
			t.Fatal(err)
		}
		tmp := caFile + ".new"
		if err := os.WriteFile(tmp, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, caFile); err != nil {
			t.Fatal(err)
		}
	}
	write(ca)
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.TLS.Client = tlsparams.Client{CAFiles: []string{caFile}, VerifyMode: tlsparams.VerifyOptional}
	s.TLS.Poll = 50 * time.Millisecond
	r := netservertest.Start(t, s, "ssl")

	cfg := r.ClientTLS()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	pair := ca.Issue(t, netservertest.Leaf{Name: "ann", Client: true})
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &cert, nil // whichever authorities the server names
	}
	ann := r.DialTLS(t, cfg)
	other := r.DialTLS(t, r.ClientTLS()) // no certificate: it does not depend on the CA
	for _, c := range []net.Conn{ann, other} {
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	write(netservertest.NewCA(t, "another CA"))
	if _, err := io.Copy(io.Discard, ann); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Logf("cut: %v", err)
	}
	rec := r.Records(t, 1)[0]
	if !errors.Is(rec.Err, netserver.ErrDenied) || !strings.Contains(rec.Err.Error(), "certificate") {
		t.Errorf("record: %v", rec.Err)
	}
	other.Write([]byte("y"))
	if b := make([]byte, 1); true {
		if _, err := io.ReadFull(other, b); err != nil || !bytes.Equal(b, []byte("y")) {
			t.Errorf("the other client: %q, %v", b, err)
		}
	}
	again, err := tls.Dial("tcp", ann.RemoteAddr().String(), cfg)
	if err == nil {
		again.Write([]byte("x"))
		_, err = io.ReadFull(again, make([]byte, 1))
		if err == nil {
			t.Errorf("let in again, resumed: %v", again.ConnectionState().DidResume)
		}
		again.Close()
	}
}

// Ports can have certificates and functions of their own from code, and their
// clients' verified chains are where Go programs look for them.
func TestTLSForPort(t *testing.T) {
	ca := netservertest.NewCA(t, "client CA")
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		st := c.TLS()
		_, err := fmt.Fprintf(c, "%s %d", st.PeerCertificates[0].Subject.CommonName, len(st.VerifiedChains))
		return err
	})}
	s.Config.TLS.VerifyMode = tlsparams.VerifyRequired
	s.TLS.ClientCAs = ca.Pool()
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"}, {Host: "127.0.0.1", Port: "0", Proto: "ssleay", IPv: "4", Params: conf.Values{}}}
	s.Config.Ports[1].Params.Set("SSL_alpn_protocols", "second")
	s.TLS.ForPort = func(p port.Spec, env *tlsparams.Env) {
		if p.Params.Get("SSL_alpn_protocols") == "second" {
			env.ClientCAs = netservertest.NewCA(t, "another CA").Pool()
			env.Hooks.Verify = func(*tls.ConnectionState, [][]*x509.Certificate, error) error { return nil }
		}
	}
	r := netservertest.Start(t, s)
	for proto, want := range map[string]string{"ssl": "ann 1", "ssleay": "ann 0"} {
		cfg := r.ClientTLS()
		pair := ca.Issue(t, netservertest.Leaf{Name: "ann", Client: true})
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair.TLS, nil }
		c, err := tls.Dial("tcp", r.Addr(t, proto).String(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if b, err := io.ReadAll(c); string(b) != want || err != nil {
			t.Errorf("port %s: %q, %v; want %q", proto, b, err, want)
		}
	}
}
