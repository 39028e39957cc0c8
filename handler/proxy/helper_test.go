package proxy_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
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
	"netserver/netservertest"
	"netserver/port"
	"netserver/tlsparams"
	"netserver/tlsparams/outbound"
)

func TestMain(m *testing.M) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // starts the poller, whose descriptors stay
	}
	flag.Parse()
	flag.Set("test.parallel", "8") // those that are parallel wait, and do not work
	fds, goroutines := countFDs(), runtime.NumGoroutine()
	code := m.Run()
	clean := func() bool {
		runtime.GC() // pooled pipes of splice are closed by it
		return countFDs() <= fds && runtime.NumGoroutine() <= goroutines
	}
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // it keeps descriptors of its own
	if code == 0 && !fuzzing && !settles(clean) {
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

// settles waits up to a minute for ok: a program of others may take long to
// come up on a busy machine.
func settles(ok func() bool) bool {
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
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

// patience bounds what should happen at once, or after the second try of inTime.
const patience = time.Minute

// listen opens a backend of the kind tcp, unix or tls. Nobody else gets its port
// when the test closes it.
func listen(t testing.TB, kind string) net.Listener {
	t.Helper()
	var address string
	switch kind {
	case "tls":
		l := listen(t, "tcp")
		pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
		return &tlsListener{l.(*net.TCPListener), &tls.Config{Certificates: []tls.Certificate{pair.TLS}}}
	case "unix":
		address = filepath.Join(t.TempDir(), "s")
	default:
		address = net.JoinHostPort("127.0.0.1", netservertest.FreePort(t))
	}
	l, err := net.Listen(kind, address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// A tlsListener is that of a backend that speaks TLS.
type tlsListener struct {
	*net.TCPListener
	conf *tls.Config
}

func (l *tlsListener) Accept() (net.Conn, error) {
	nc, err := l.TCPListener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(nc, l.conf), nil
}

// handlerTo is a Handler for the backend at l, of a kind that listen takes.
func handlerTo(t testing.TB, l net.Listener) *proxy.Handler {
	h := &proxy.Handler{Target: targetOf(l)}
	if _, ok := l.(*tlsListener); ok {
		h.TLS = overTLS(t, outbound.Params{})
	}
	return h
}

// overTLS speaks TLS to targets whose authority is that of the tests.
func overTLS(t testing.TB, p outbound.Params) func(context.Context, net.Conn, proxy.Target, *netserver.Conn) (net.Conn, error) {
	t.Helper()
	if len(p.CAFiles) == 0 && len(p.Pins) == 0 && !p.Unverified {
		p.CAFiles = []string{authorityFile(t)}
	}
	s, err := p.Open(tlsparams.Env{})
	must(t, err)
	return proxy.OverTLS(s)
}

// authorityFile is a file with the authority of the tests.
func authorityFile(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: netservertest.CA(t).Cert.Raw}), 0o600))
	return name
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

// serve serves a proxy, or what leads to one, on a port of the kind tcp, tls, unix or udp.
func serve(t testing.TB, kind string, h netserver.Handler, cfg netserver.Config) *front {
	t.Helper()
	p := port.Spec{Host: "127.0.0.1", Port: "0", Proto: kind, IPv: "4"}
	switch kind {
	case "unix", "unixdgram":
		p = port.Spec{Host: "*", Port: filepath.Join(t.TempDir(), "s"), Proto: kind, IPv: "*"}
	case "tls":
		p.Proto = "ssl" // on loopback it makes its own certificate
	}
	cfg.Ports = []port.Spec{p}
	s := &netserver.Server{Handler: h, Config: cfg, Log: slog.New(slog.DiscardHandler)}
	ls, err := s.Listen(context.Background())
	must(t, err)
	return serveOn(t, kind, s, ls[0])
}

// serveOn serves s on l.
func serveOn(t testing.TB, kind string, s *netserver.Server, l net.Listener) *front {
	f := &front{kind: kind, addr: l.Addr(), recs: make(chan netserver.Record, 1000)}
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) {
		select {
		case f.recs <- r:
		default: // more than any test looks at
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	f.stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { s.Close(); f.stop(); s.Shutdown(context.Background()) })
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
	t.Cleanup(func() { below(nc).Close() }) // a close_notify could wait for 5 s
	return nc.(stream)
}

// below returns the socket of a client.
func below(nc net.Conn) net.Conn {
	for {
		u, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = u.NetConn()
	}
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
	t.Cleanup(func() { below(c).Close() })
	if s, ok := c.(*tls.Conn); ok {
		must(t, s.Handshake())
	}
	return c.(stream)
}

// pair is a client, the backend's end of it, and the proxy between.
func pair(t testing.TB, client, backend string, cfg netserver.Config) (*front, stream, stream) {
	t.Helper()
	l := listen(t, backend)
	f := serve(t, client, handlerTo(t, l), cfg)
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

func timeouts(c netserver.Timeouts) netserver.Config { return netserver.Config{Timeouts: c} }

// A trial is a test whose failures are noted.
type trial struct {
	testing.TB
	failed string
}

func (tr *trial) Errorf(format string, args ...any) { tr.failed += fmt.Sprintf(format, args...) + "\n" }

func (tr *trial) Error(args ...any) { tr.failed += fmt.Sprintln(args...) }

func (tr *trial) Fatalf(format string, args ...any) { tr.Errorf(format, args...); runtime.Goexit() }

func (tr *trial) Fatal(args ...any) { tr.Error(args...); runtime.Goexit() }

// inTime runs f with a limit of time for a client, which that client must not
// reach before it has done what f wants of it. When it has failed and the limit
// was over, the machine may be too busy: then f gets more time.
func inTime(t *testing.T, f func(t testing.TB, limit time.Duration)) {
	t.Helper()
	for limit := 2 * time.Second; ; limit *= 4 {
		tr, begin, done := &trial{TB: t}, time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			f(tr, limit)
		}()
		<-done
		if tr.failed == "" {
			return
		}
		if time.Since(begin) < limit || limit > time.Minute {
			t.Fatal(tr.failed)
		}
		t.Logf("with %v: %s", limit, tr.failed)
	}
}

// eachPairAtOnce is eachPair for what takes time and no processor.
func eachPairAtOnce(t *testing.T, f func(t *testing.T, client, backend string)) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, client := range []string{"tcp", "tls", "unix"} {
		for _, backend := range []string{"tcp", "unix", "tls"} {
			all.Go(func() { t.Run(client+" to "+backend, func(t *testing.T) { f(t, client, backend) }) })
		}
	}
}

// eachPair runs f for all kinds of client and backend.
func eachPair(t *testing.T, f func(t *testing.T, client, backend string)) {
	for _, client := range []string{"tcp", "tls", "unix"} {
		for _, backend := range []string{"tcp", "unix", "tls"} {
			t.Run(client+" to "+backend, func(t *testing.T) { f(t, client, backend) })
		}
	}
}
