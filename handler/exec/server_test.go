//go:build unix

package exec_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/handler/exec"
	"netserver/port"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// A server is a running netserver.Server with what its tests look at.
type server struct {
	t    testing.TB
	addr map[string]net.Addr // by protocol: tcp, tls, unix
	recs chan netserver.Record
	log  *logBuffer
	pki  *pki
	stop func() error
}

// logBuffer holds what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts h on a TCP, a TLS and a UNIX port.
func serve(t testing.TB, h *exec.Handler, change ...func(*netserver.Server)) *server {
	t.Helper()
	s := newServer(t, newPKI(t))
	s.start(h, change,
		s.listen("tcp", "tcp", "127.0.0.1:0"),
		netserver.NewListener(s.listen("tls", "tcp", "127.0.0.1:0"), port.Spec{Proto: "ssl"}, tlsTransport{s.pki.server}),
		s.listen("unix", "unix", filepath.Join(shortDir(t), "s")))
	return s
}

// serveOn starts h on listeners of the test's own. The caller fills in addr.
func serveOn(t testing.TB, h *exec.Handler, p *pki, ls ...net.Listener) *server {
	t.Helper()
	s := newServer(t, p)
	s.start(h, nil, ls...)
	return s
}

func newServer(t testing.TB, p *pki) *server {
	return &server{t: t, addr: make(map[string]net.Addr), recs: make(chan netserver.Record, 1000), log: new(logBuffer), pki: p}
}

func (s *server) start(h *exec.Handler, change []func(*netserver.Server), ls ...net.Listener) {
	s.t.Helper()
	if err := h.Check(); err != nil {
		s.t.Fatal(err)
	}
	srv := &netserver.Server{
		Handler: h,
		Log:     slog.New(slog.NewTextHandler(s.log, nil)),
		Hooks:   netserver.Hooks{Closed: func(_ *netserver.Conn, r netserver.Record) { s.recs <- r }},
	}
	for _, f := range change {
		f(srv)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, ls...) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-done })
	s.t.Cleanup(func() { srv.Close(); s.stop(); srv.Shutdown(context.Background()) })
}

// textLog returns a log that b holds.
func textLog(b *logBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// shortDir is a directory with a path short enough for sockets.
func shortDir(t testing.TB) string {
	d, err := os.MkdirTemp("", "ns")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return d
}

func (s *server) listen(name, network, addr string) net.Listener {
	s.t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr[name] = l.Addr()
	return l
}

// tlsTransport is TLS with a *tls.Config, which the tests need for client
// certificates.
type tlsTransport struct{ cfg *tls.Config }

func (tlsTransport) Network() string { return "tcp" }
func (t tlsTransport) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	c := tls.Server(nc, t.cfg)
	return c, c.HandshakeContext(ctx)
}

// A client is a connection that can end its side alone.
type client interface {
	net.Conn
	CloseWrite() error
}

// dial connects by one of the protocols.
func (s *server) dial(proto string) client {
	s.t.Helper()
	a := s.addr[proto]
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if proto == "tls" {
		tc := tls.Client(c, s.pki.client)
		if err := tc.Handshake(); err != nil {
			s.t.Fatal(err)
		}
		return tc
	}
	return c.(client)
}

// record waits for the next client's record.
func (s *server) record() netserver.Record {
	s.t.Helper()
	select {
	case r := <-s.recs:
		return r
	case <-time.After(patience):
		s.t.Fatal("no record")
		panic("unreachable")
	}
}

// notes returns the attributes that the Handler added, as a text handler
// prints them.
func notes(r netserver.Record) string {
	var s []string
	for _, a := range r.Notes {
		s = append(s, a.String())
	}
	return strings.Join(s, " ")
}

// run sends in, ends the client's side and returns what comes back.
func (s *server) run(proto, in string) string {
	s.t.Helper()
	c := s.dial(proto)
	if in != "" {
		if _, err := io.WriteString(c, in); err != nil {
			s.t.Fatal(err)
		}
	}
	c.CloseWrite() // the program may have ended already
	out, err := io.ReadAll(c)
	if err != nil {
		s.t.Fatalf("after %q: %v", out, err)
	}
	c.Close()
	return string(out)
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// helper returns a Handler whose program is one of the test's helpers.
func helper(t testing.TB, name string) *exec.Handler {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Handler{Path: self, Env: []string{helperVar + "=" + name, "GORACE=atexit_sleep_ms=0"}}
}

// sh returns a Handler that runs a shell script.
func sh(script string) *exec.Handler {
	return &exec.Handler{Path: "sh", Args: []string{"-c", script}}
}

// everyStream runs f over TCP, TLS, UNIX, and TCP by pipes.
func everyStream(t *testing.T, f func(t *testing.T, proto string, pipes bool)) {
	for _, proto := range []string{"tcp", "tls", "unix"} {
		t.Run(proto, func(t *testing.T) { f(t, proto, false) })
	}
	t.Run("tcp by pipes", func(t *testing.T) { f(t, "tcp", true) })
	t.Run("unix by pipes", func(t *testing.T) { f(t, "unix", true) })
}

// everyStreamAtOnce is everyStream for what takes time and no processor: t.Parallel
// runs no more at once than there are processors.
func everyStreamAtOnce(t *testing.T, f func(t *testing.T, proto string, pipes bool)) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, proto := range []string{"tcp", "tls", "unix"} {
		all.Go(func() { t.Run(proto, func(t *testing.T) { f(t, proto, false) }) })
	}
	all.Go(func() { t.Run("tcp by pipes", func(t *testing.T) { f(t, "tcp", true) }) })
	all.Go(func() { t.Run("unix by pipes", func(t *testing.T) { f(t, "unix", true) }) })
}

// A pki is certificates for both sides.
type pki struct {
	server, client *tls.Config
}

func newPKI(t testing.TB) *pki {
	t.Helper()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey := newKey(t)
	caDER := sign(t, ca, ca, caKey, caKey)
	pool := x509.NewCertPool()
	pool.AddCert(parse(t, caDER))
	issue := func(c *x509.Certificate) tls.Certificate {
		key := newKey(t)
		c.NotBefore, c.NotAfter = ca.NotBefore, ca.NotAfter
		return tls.Certificate{Certificate: [][]byte{sign(t, c, ca, key, caKey)}, PrivateKey: key}
	}
	srv := issue(&x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}})
	cli := issue(&x509.Certificate{
		SerialNumber: big.NewInt(0xABCDEF), Subject: pkix.Name{CommonName: "Jane Client", Organization: []string{"Acme, Inc."}},
		DNSNames: []string{"jane.example"}, EmailAddresses: []string{"jane@example.org"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return &pki{
		server: &tls.Config{Certificates: []tls.Certificate{srv}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven},
		client: &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{cli}},
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, c, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
