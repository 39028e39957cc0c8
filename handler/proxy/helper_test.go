package proxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
)

func TestMain(m *testing.M) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // starts the poller, whose descriptors stay
	}
	fds, goroutines := countFDs(), runtime.NumGoroutine()
	code := m.Run()
	clean := func() bool {
		runtime.GC() // pooled pipes of splice are closed by it
		return countFDs() <= fds && runtime.NumGoroutine() <= goroutines
	}
	if code == 0 && !settles(clean) {
		fmt.Printf("FAIL: leak: descriptors %d before and %d after, goroutines %d and %d\n",
			fds, countFDs(), goroutines, runtime.NumGoroutine())
		_ = pprof.Lookup("goroutine").WriteTo(os.Stdout, 1)
		code = 1
	}
	os.Exit(code)
}

// countFDs returns how many descriptors are open, or 0 where that is not known.
func countFDs() int {
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return 0
	}
	return len(names)
}

// settles waits up to 10 seconds for ok.
func settles(ok func() bool) bool {
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience bounds what should happen at once.
const patience = 20 * time.Second

var testTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// listen opens a port of the kind tcp, tls or unix. The TLS of the latter is
// the listener's, as a library user may have it.
func listen(t testing.TB, kind string) net.Listener {
	t.Helper()
	network, address := kind, "127.0.0.1:0"
	switch kind {
	case "unix":
		address = filepath.Join(t.TempDir(), "s")
	case "tls":
		network = "tcp"
	}
	l, err := net.Listen(network, address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	if kind == "tls" {
		return tls.NewListener(l, testTLS())
	}
	return l
}

// targetOf is how a Handler names the backend at l.
func targetOf(l net.Listener) string { return l.Addr().String() }

// A front is a server with the proxy in it.
type front struct {
	kind string
	addr net.Addr
	recs chan netserver.Record
	stop func() error // ends it as ending the context does
}

// serve puts a proxy of the given kind in front of target.
func serve(t testing.TB, kind string, h *proxy.Handler, cfg netserver.Config) *front {
	t.Helper()
	l := listen(t, kind)
	f := &front{kind: kind, addr: l.Addr(), recs: make(chan netserver.Record, 1000)}
	s := &netserver.Server{Handler: h, Config: cfg, Log: slog.New(slog.DiscardHandler)}
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) { f.recs <- r }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	f.stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { s.Close(); f.stop() })
	return f
}

// A stream is what both kinds of client have.
type stream interface {
	net.Conn
	CloseWrite() error
}

// dial connects a client.
func (f *front) dial(t testing.TB) stream {
	t.Helper()
	nc, err := net.Dial(f.addr.Network(), f.addr.String())
	must(t, err)
	if f.kind == "tls" {
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		must(t, c.Handshake())
		nc = c
	}
	must(t, nc.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { nc.Close() })
	return nc.(stream)
}

// record waits for the next client's end.
func (f *front) record(t testing.TB) netserver.Record {
	t.Helper()
	select {
	case r := <-f.recs:
		return r
	case <-time.After(patience):
		t.Fatal("no record: the client did not end")
		panic("unreachable")
	}
}

// accept takes the backend's next connection.
func accept(t testing.TB, l net.Listener) stream {
	t.Helper()
	must(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(patience)))
	c, err := l.Accept()
	must(t, err)
	must(t, c.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { c.Close() })
	return c.(stream)
}

// pair is a client, the backend's end of it, and the proxy between.
func pair(t testing.TB, client, backend string, cfg netserver.Config) (*front, stream, stream) {
	t.Helper()
	l := listen(t, backend)
	f := serve(t, client, &proxy.Handler{Target: targetOf(l)}, cfg)
	c := f.dial(t)
	return f, c, accept(t, l)
}

// send writes text, and fails the test when that fails.
func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	must(t, err)
}

// want reads exactly text.
func want(t testing.TB, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if n, err := io.ReadFull(c, b); string(b) != text {
		t.Fatalf("read %q, %v; want %q", b[:n], err, text)
	}
}

// wantEOF reads the end, and nothing before it.
func wantEOF(t testing.TB, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
}

// wantBroken reads until c ends, and wants that not to look like an ordinary
// end.
func wantBroken(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	var ne net.Error
	if err == nil || errors.As(err, &ne) && ne.Timeout() {
		t.Fatalf("reading ended with %v; want a broken connection", err)
	}
}

// eachPair runs f for all kinds of client and backend.
func eachPair(t *testing.T, f func(t *testing.T, client, backend string)) {
	for _, client := range []string{"tcp", "tls", "unix"} {
		for _, backend := range []string{"tcp", "unix"} {
			t.Run(client+" to "+backend, func(t *testing.T) { f(t, client, backend) })
		}
	}
}
