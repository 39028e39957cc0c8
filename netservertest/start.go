package netservertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/logs"
	"netserver/port"
	"netserver/proto"
)

// Protos returns the protocols that Start listens on by itself: those of tcp,
// ssl, udp, unix, unixssl and unixdgram that are built in and that the system has.
func Protos() []string {
	builtin := proto.Builtin()
	var have []string
	for _, name := range []string{"tcp", "ssl", "udp", "unix", "unixssl", "unixdgram"} {
		if runtime.GOOS == "windows" && name == "unixdgram" {
			continue
		}
		if _, ok := builtin[name]; ok || name == "ssl" || name == "unixssl" {
			have = append(have, name)
		}
	}
	return have
}

// Streams returns those of Protos whose clients are connections.
func Streams() []string {
	return slices.DeleteFunc(Protos(), func(name string) bool { return name == "udp" || name == "unixdgram" })
}

// A Running is a server that Start started.
type Running struct {
	ports  []port.Spec
	ls     []net.Listener
	ca     *Authority
	dir    string // for sockets; short, as their paths must be
	cancel context.CancelFunc
	done   chan struct{} // closed when Serve has returned
	err    error         // what it returned

	mu       sync.Mutex
	log      bytes.Buffer
	accepted int
	records  []netserver.Record
	more     chan struct{} // closed when accepted or records grow
	clients  int           // sockets that clients were bound to
}

// Start serves s on loopback until the test ends, and then fails the test if
// Serve does not return. Unless s.Config.Ports says otherwise it listens on a
// free port for each of the protocols, or of Protos if none are named; a
// protocol of s.Protocols can be named too, and its port is a TCP one. TLS
// ports show a certificate of CA unless they, s.Config.TLS or s.TLSConfig have
// one.
//
// Start sets s.Config.Ports, s.Hooks.Accepted and s.Hooks.Closed (the old ones
// are still called) and, if it is nil, s.Log; the log is shown when the test
// fails.
func Start(t testing.TB, s *netserver.Server, protos ...string) *Running {
	t.Helper()
	r := &Running{ca: CA(t), dir: socketDir(t), done: make(chan struct{}), more: make(chan struct{})}
	if len(s.Config.Ports) == 0 {
		if len(protos) == 0 {
			protos = Protos()
		}
		for _, p := range protos {
			s.Config.Ports = append(s.Config.Ports, r.spec(p))
		}
	}
	if own := s.TLSConfig; s.Config.TLS.CertFile == "" && (own == nil || len(own.Certificates) == 0 && own.GetCertificate == nil) {
		r.certify(t, s.Config.Ports)
	}
	r.ports = s.Config.Ports
	r.watch(s)

	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	ls, err := s.Listen(ctx)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r.ls = ls
	go r.serve(ctx, s)
	t.Cleanup(func() { r.end(t, s) })
	if len(r.ls) != len(r.ports) {
		t.Fatalf("netservertest: %d ports became %d listeners; name addresses, not names", len(r.ports), len(r.ls))
	}
	return r
}

// socketDir returns a directory that lives as long as the test. Its path is
// short, as a socket's path has at most 107 bytes.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ns")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// spec returns a free port for a protocol.
func (r *Running) spec(name string) port.Spec {
	if strings.HasPrefix(name, port.Unix) {
		return port.Spec{Host: "*", Port: filepath.Join(r.dir, name), Proto: name, IPv: "*"}
	}
	return port.Spec{Host: "127.0.0.1", Port: "0", Proto: name, IPv: "4"}
}

// certify gives the TLS ports that have no certificate one of the CA.
func (r *Running) certify(t testing.TB, ports []port.Spec) {
	t.Helper()
	var pair Pair
	for i := range ports {
		p := &ports[i]
		if !p.IsTLS() || p.Params.Get("SSL_cert_file") != "" {
			continue
		}
		if pair.CertFile == "" {
			pair = r.ca.Issue(t, Leaf{})
		}
		params := make(conf.Values)
		for k, v := range p.Params {
			params[k] = v
		}
		params.Set("SSL_cert_file", pair.CertFile)
		params.Set("SSL_key_file", pair.KeyFile)
		p.Params = params
	}
}

// watch notes what s logs and which clients it has served.
func (r *Running) watch(s *netserver.Server) {
	if s.Log == nil {
		s.Log = slog.New(logs.NewLine(logWriter{r}, logs.Options{Level: slog.LevelDebug}))
	}
	accepted, closed := s.Hooks.Accepted, s.Hooks.Closed
	s.Hooks.Accepted = func(ctx context.Context, c *netserver.Conn) context.Context {
		r.note(func() { r.accepted++ })
		if accepted == nil {
			return ctx
		}
		return accepted(ctx, c)
	}
	s.Hooks.Closed = func(c *netserver.Conn, rec netserver.Record) {
		if closed != nil {
			closed(c, rec)
		}
		r.note(func() { r.records = append(r.records, rec) })
	}
}

// note changes r and wakes those who wait for that.
func (r *Running) note(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.more)
	r.more = make(chan struct{})
}

type logWriter struct{ r *Running }

func (w logWriter) Write(b []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.log.Write(b)
}

func (r *Running) serve(ctx context.Context, s *netserver.Server) {
	defer close(r.done)
	r.err = s.Serve(ctx, r.ls...)
}

// end stops the server for good.
func (r *Running) end(t testing.TB, s *netserver.Server) {
	t.Helper()
	s.Close()
	if _, err := r.stop(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		t.Errorf("netservertest: handlers have not returned %v after their clients were cut:\n%s", stopTime, allStacks())
	}
	if t.Failed() {
		r.mu.Lock()
		defer r.mu.Unlock()
		t.Logf("the server's log:\n%s", r.log.Bytes())
	}
}

// Stop stops the server as the end of its context does: it drains. It returns
// what Serve returned, and fails the test if that takes longer than the grace
// period and half a minute. It may be called again.
func (r *Running) Stop(t testing.TB) error {
	t.Helper()
	served, err := r.stop()
	if err != nil {
		t.Fatal(err)
	}
	return served
}

// Drain tells the server to stop, as Stop does, and does not wait for it.
func (r *Running) Drain() { r.cancel() }

func (r *Running) stop() (served, err error) {
	r.cancel()
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.err, nil
	case <-timer.C:
		return nil, fmt.Errorf("netservertest: Serve has not returned %v after it was told to:\n%s", stopTime, allStacks())
	}
}

// stopTime is how long a server may take to stop: the engine waits up to 30 s
// for clients, and 10 for handlers.
const stopTime = 80 * time.Second

func allStacks() string {
	var dump strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&dump, 1)
	return dump.String()
}

// Log returns what the server has logged so far, if it logs to Start's log.
func (r *Running) Log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// Accepted waits until the server has accepted n clients or more. It fails the
// test when that takes half a minute. A client that has connected need not be
// accepted yet, and a server that stops then never will.
func (r *Running) Accepted(t testing.TB, n int) {
	t.Helper()
	r.await(t, "accepted", n, func() int { return r.accepted })
}

// Records waits until n clients have been closed, and returns the records of
// all that have, in order. It fails the test when that takes half a minute.
func (r *Running) Records(t testing.TB, n int) []netserver.Record {
	t.Helper()
	r.await(t, "closed", n, func() int { return len(r.records) })
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records)
}

// await waits until count, which is called with r.mu held, is n or more.
func (r *Running) await(t testing.TB, what string, n int, count func() int) {
	t.Helper()
	limit := patience(t)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		r.mu.Lock()
		have, more := count(), r.more
		r.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-more:
		case <-timer.C:
			t.Fatalf("netservertest: %d clients were %s within %v, not %d", have, what, limit, n)
		}
	}
}

// index returns the number of the first port with a protocol.
func (r *Running) index(name string) (int, error) {
	for i, p := range r.ports {
		if p.Proto == name || p.Kind() == name {
			return i, nil
		}
	}
	return 0, errors.New("netservertest: the server has no port with the protocol " + name)
}

// Addrs returns the addresses of all ports, in their order.
func (r *Running) Addrs() []net.Addr {
	var all []net.Addr
	for _, l := range r.ls {
		all = append(all, l.Addr())
	}
	return all
}

// Addr returns the address of the first port with a protocol. It fails the
// test if there is none.
func (r *Running) Addr(t testing.TB, name string) net.Addr {
	t.Helper()
	i, err := r.index(name)
	if err != nil {
		t.Fatal(err)
	}
	return r.ls[i].Addr()
}
