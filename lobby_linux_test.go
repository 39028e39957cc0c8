package netserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/tlsparams"
)

// greeters returns how many goroutines wait for the hello of one client each.
func greeters() int {
	buf := make([]byte, 4<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), ".awaitHello(")
}

// Clients whose hello is not whole have no goroutine, whatever they have sent,
// and go on when the rest of it comes.
func TestWaitingForTheHello(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	r := netservertest.Start(t, s, "ssl")
	first := hello(t)
	var silent []net.Conn
	for i := range 50 {
		c := r.DialRaw(t, "ssl")
		c.Write(first[:i*3])
		silent = append(silent, c)
	}
	r.Accepted(t, 50)
	if n := greeters(); n != 0 {
		t.Errorf("%d goroutines wait for one client each", n)
	}
	// A whole client comes through a pipe that gives a byte at a time.
	raw := r.DialRaw(t, "ssl")
	c := tls.Client(dripping{raw}, r.ClientTLS())
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	for _, c := range silent {
		c.Close()
	}
	zero(t, s, map[outcome.Class]uint64{
		outcome.Served: 1, outcome.Probe: 1, outcome.Reset: 49,
	})
}

// dripping writes a byte at a time.
type dripping struct{ net.Conn }

func (d dripping) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// A client that says no more after a part of its hello is told from one that
// stalls, at once and once.
func TestLeavesInTheHello(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	r := netservertest.Start(t, s, "ssl")
	c := r.DialRaw(t, "ssl")
	c.Write(hello(t)[:50])
	r.Accepted(t, 1)
	c.(*net.TCPConn).CloseWrite()
	rec := r.Records(t, 1)[0]
	if rec.Outcome != outcome.Reset || !errors.Is(rec.Err, io.ErrUnexpectedEOF) {
		t.Errorf("%v: %v", rec.Outcome, rec.Err)
	}
}

// Clients that wait for their hello are cut by the end of the server, and by
// name.
func TestCutWhileWaitingForTheHello(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	r := netservertest.Start(t, s, "ssl")
	for range 20 {
		r.DialRaw(t, "ssl").Write(hello(t)[:20])
	}
	r.Accepted(t, 20)
	if id := s.Monitor().Clients(0, 1)[0].ID; !s.Monitor().Kill(id) {
		t.Error("no client to kill")
	}
	rec := r.Records(t, 1)[0]
	if rec.Outcome != outcome.Killed {
		t.Errorf("%v: %v", rec.Outcome, rec.Err)
	}
	s.Close()
	for _, rec := range r.Records(t, 20)[1:] {
		if rec.Outcome != outcome.Cut {
			t.Errorf("%v: %v", rec.Outcome, rec.Err)
		}
	}
	zero(t, s, nil)
}

// resets connects n times and resets each connection at once.
func resets(t *testing.T, r *netservertest.Running, n int) {
	for range n {
		c := r.DialRaw(t, "ssl").(*net.TCPConn)
		c.SetLinger(0)
		c.Close()
	}
}

// ended returns how many clients of the TLS port ended in a class.
func ended(s *netserver.Server, o outcome.Class) uint64 {
	return s.Monitor().Stats().Ports[0].Outcomes[o]
}

// In a flood of resets the kernel keeps clients that say nothing, for a time
// that counts against their deadline, and forgets those that reset before.
func TestDeferAccept(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Timeouts.Handshake = 3 * time.Second
	var accepted sync.Map // times by ID
	s.Hooks.Accepted = func(ctx context.Context, c *netserver.Conn) context.Context {
		accepted.Store(c.ID(), time.Now())
		return ctx
	}
	r := netservertest.Start(t, s, "ssl", "tcp")
	if a, b := deferral(t, r, "ssl"), deferral(t, r, "tcp"); a != 0 || b != 0 {
		t.Errorf("with no flood the ports wait %d and %d s", a, b)
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_syncookies"); err != nil || b[0] == '0' {
		t.Skip("no SYN cookies here")
	}
	var silent net.Conn
	var known uint64
	// The server believes for a while in the flood that it saw, and each time for
	// twice as long. On a busy machine that can be over too soon.
	netservertest.Eventually(t, "what follows is in the time of the flood", func() bool {
		silent, known = inAFlood(t, s, r)
		return deferral(t, r, "ssl") != 0
	})
	if known != 0 {
		t.Errorf("%d clients that reset came to be known", known)
	}
	io.Copy(io.Discard, silent)
	var rec netserver.Record
	netservertest.Eventually(t, "the silent client's end", func() bool {
		i := slices.IndexFunc(r.Records(t, 0), func(r netserver.Record) bool { return r.Peer.String() == silent.LocalAddr().String() })
		if i >= 0 {
			rec = r.Records(t, 0)[i]
		}
		return i >= 0
	})
	at, _ := accepted.Load(rec.ID)
	if d := at.(time.Time).Sub(rec.Begin); rec.Outcome != outcome.Handshake || d < time.Second || rec.Time < s.Config.Timeouts.Handshake {
		t.Errorf("%v: a silent client counts from %v before it was accepted, and was cut %v later", rec.Outcome, d, rec.Time)
	}
}

// inAFlood makes the server see a flood. It returns a client that says nothing,
// and how many of some that reset after that the server knows.
func inAFlood(t *testing.T, s *netserver.Server, r *netservertest.Running) (silent net.Conn, known uint64) {
	t.Helper()
	netservertest.Eventually(t, "the flood is noticed", func() bool {
		resets(t, r, 300)
		return deferral(t, r, "ssl") != 0
	})
	if d := deferral(t, r, "tcp"); d != 0 {
		t.Errorf("a port whose server may speak first waits %d s", d)
	}
	served := ended(s, outcome.Served)
	r.DialTLS(t, r.ClientTLS()).Close() // who was there before is accepted now
	netservertest.Eventually(t, "the end of all clients", func() bool {
		return ended(s, outcome.Served) == served+1 && s.Monitor().Stats().Clients == 0
	})
	before := ended(s, outcome.Reset) + ended(s, outcome.Probe)
	resets(t, r, 20)
	silent = r.DialRaw(t, "ssl")
	r.DialTLS(t, r.ClientTLS()).Close()
	netservertest.Eventually(t, "the client's end", func() bool { return ended(s, outcome.Served) == served+2 })
	return silent, ended(s, outcome.Reset) + ended(s, outcome.Probe) - before
}

// Clients that are gone before they are accepted are counted, and nothing of
// them stays open.
func TestGoneBeforeAccept(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // else it closes what is forgotten
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	// netservertest would see them by its hooks, and they would be clients.
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho), Log: slog.New(slog.DiscardHandler)}
	s.Config.Limits.MaxConns = 1 // the others stay in the backlog
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"}}
	s.Config.TLS.CertFile = tlsparams.ForceSelfSigned
	ls, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context(), ls...) }()
	defer func() { s.Close(); <-served }()
	dial := func() *net.TCPConn {
		c, err := net.Dial("tcp", ls[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c.(*net.TCPConn)
	}
	first := tls.Client(dial(), &tls.Config{InsecureSkipVerify: true})
	if err := first.Handshake(); err != nil {
		t.Fatal(err)
	}
	const n = 10
	before := open()
	for range n {
		c := dial()
		c.SetLinger(0)
		c.Close()
	}
	first.Close()
	netservertest.Eventually(t, "the end of all clients", func() bool {
		return ended(s, outcome.Served) == 1 && ended(s, outcome.Reset) == n && s.Monitor().Stats().Clients == 0
	})
	netservertest.Eventually(t, "both ends of the first client and of all others closed", func() bool { return open() <= before-2 })
}

// Limits that are short, and PROXY headers, want to see clients at once.
func TestNoDeferAccept(t *testing.T) {
	for name, set := range map[string]func(c *netserver.Config){
		"short handshake":  func(c *netserver.Config) { c.Timeouts.Handshake = 1900 * time.Millisecond },
		"short first byte": func(c *netserver.Config) { c.Timeouts.FirstByte = time.Second },
		"off":              func(c *netserver.Config) { c.Admission.DeferAccept = -1 },
		"PROXY header": func(c *netserver.Config) {
			c.Proxy = proxyFrom(netserver.ProxyRequire, "127.0.0.1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
			set(&s.Config)
			r := netservertest.Start(t, s, "ssl")
			resets(t, r, 300)
			if d := deferral(t, r, "ssl"); d != 0 {
				t.Errorf("waits %d s", d)
			}
		})
	}
}

// deferral returns TCP_DEFER_ACCEPT of a running server's port: a socket of
// ours that is bound to the same one is not to be had, so it asks each
// descriptor of the process.
func deferral(t *testing.T, r *netservertest.Running, proto string) int {
	t.Helper()
	want := r.Addr(t, proto).(*net.TCPAddr).Port
	for fd := range 4096 {
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
			continue
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		if in, ok := sa.(*unix.SockaddrInet4); ok && in.Port == want {
			d, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatal("no such socket")
	return 0
}
