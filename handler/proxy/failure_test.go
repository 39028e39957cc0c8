package proxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/outcome"
	"netserver/tlsparams"
)

// wantRecord checks that the next client failed with an error that ends so.
func wantRecord(t *testing.T, f *front, end string) netserver.Record {
	t.Helper()
	r := f.record(t)
	if r.Err == nil || !strings.HasSuffix(r.Err.Error(), "handler: "+end) {
		t.Errorf("record: %v\nwant the end %q", r.Err, end)
	}
	return r
}

func TestBackendDown(t *testing.T) {
	dead := listen(t, "tcp")
	dead.Close()
	deadPath := filepath.Join(t.TempDir(), "dead")
	l, err := net.Listen("unix", deadPath)
	must(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name, target, want string
		errno              syscall.Errno
	}{
		{"tcp", targetOf(dead), "connection refused", syscall.ECONNREFUSED},
		{"unix", deadPath, "connection refused", syscall.ECONNREFUSED},
		{"unix with prefix", "unix:" + deadPath, "connection refused", syscall.ECONNREFUSED},
		{"missing socket", missing, "no such file or directory", syscall.ENOENT},
	} {
		for _, client := range []string{"tcp", "tls", "unix"} {
			t.Run(test.name+" for "+client, func(t *testing.T) {
				f := serve(t, client, &proxy.Handler{Target: test.target}, netserver.Config{})
				c := f.dial(t)
				wantEOF(t, c)
				r := wantRecord(t, f, "proxy_to "+test.target+": "+test.want)
				if !errors.Is(r.Err, test.errno) {
					t.Errorf("the error does not wrap %v", test.errno)
				}
				if r.Outcome != outcome.NoTarget {
					t.Errorf("outcome %v", r.Outcome)
				}
			})
		}
	}
}

func TestUnknownHost(t *testing.T) {
	f := serve(t, "tcp", &proxy.Handler{Target: "no-such-host.invalid:1", ConnectTimeout: 2 * time.Second}, netserver.Config{})
	wantEOF(t, f.dial(t))
	r := f.record(t)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "proxy_to no-such-host.invalid:1: lookup no-such-host.invalid") {
		t.Errorf("record: %v", r.Err)
	}
}

// A recordCounter counts the TLS records of each type that a client gets.
type recordCounter struct {
	net.Conn
	skip  int
	head  []byte
	types map[byte]int
}

func (c *recordCounter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for _, x := range b[:n] {
		if c.skip > 0 {
			c.skip--
			continue
		}
		if c.head = append(c.head, x); len(c.head) == 5 {
			c.types[c.head[0]]++
			c.skip = int(c.head[3])<<8 | int(c.head[4])
			c.head = c.head[:0]
		}
	}
	return n, err
}

// A TLS client of a backend that is down, or ends, gets a close_notify; one of
// a backend that breaks off does not.
func TestCloseNotify(t *testing.T) {
	const alert = 21
	dial := func(t *testing.T, f *front) (*tls.Conn, *recordCounter) {
		nc, err := net.Dial("tcp", f.addr.String())
		must(t, err)
		rc := &recordCounter{Conn: nc, types: make(map[byte]int)}
		// TLS 1.3 would hide the alerts.
		c := tls.Client(rc, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		must(t, c.SetDeadline(time.Now().Add(patience)))
		t.Cleanup(func() { c.Close() })
		must(t, c.Handshake())
		return c, rc
	}
	t.Run("down", func(t *testing.T) {
		dead := listen(t, "tcp")
		dead.Close()
		c, rc := dial(t, serve(t, "tls", &proxy.Handler{Target: targetOf(dead)}, netserver.Config{}))
		wantEOF(t, c)
		if rc.types[alert] != 1 {
			t.Errorf("got %d alerts", rc.types[alert])
		}
	})
	for _, test := range []struct {
		name   string
		end    func(*testing.T, stream)
		alerts int
	}{
		{"end", func(_ *testing.T, b stream) { b.Close() }, 1},
		{"break", func(t *testing.T, b stream) { breakOff(t, b) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := listen(t, "tcp")
			c, rc := dial(t, serve(t, "tls", &proxy.Handler{Target: targetOf(l)}, netserver.Config{}))
			b := accept(t, l)
			send(t, b, "x")
			want(t, c, "x")
			test.end(t, b)
			io.Copy(io.Discard, c)
			if rc.types[alert] != test.alerts {
				t.Errorf("got %d alerts, want %d", rc.types[alert], test.alerts)
			}
		})
	}
}

// blackHole is a listener that accepts nothing, its backlog full.
func blackHole(t *testing.T, kind string) net.Listener {
	t.Helper()
	l := listen(t, kind)
	rc, err := l.(syscall.Conn).SyscallConn()
	must(t, err)
	must(t, rc.Control(func(fd uintptr) { err = shrinkBacklog(int(fd)) }))
	must(t, err)
	failed := 0
	for range 100 {
		d := net.Dialer{Timeout: 200 * time.Millisecond}
		c, err := d.Dial(kind, l.Addr().String())
		if err == nil {
			failed = 0
			t.Cleanup(func() { c.Close() })
		} else if failed++; failed == 2 { // one alone may have been late
			return l
		}
	}
	t.Skip("this system's backlog has no end")
	return nil
}

func TestBlackHole(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			l := blackHole(t, kind)
			f := serve(t, "tls", &proxy.Handler{Target: targetOf(l), ConnectTimeout: 300 * time.Millisecond}, netserver.Config{})
			begin := time.Now()
			wantEOF(t, f.dial(t))
			if d := time.Since(begin); d < 250*time.Millisecond {
				t.Errorf("gave up after %v", d)
			}
			wantRecord(t, f, "proxy_to "+targetOf(l)+": no connection within 300ms")
		})
	}
}

// A full backlog is a queue, on a UNIX socket too, where the system does not
// wait by itself.
func TestFullBacklogIsAQueue(t *testing.T) {
	l := blackHole(t, "unix")
	f := serve(t, "tcp", &proxy.Handler{Target: targetOf(l)}, netserver.Config{})
	c := f.dial(t)
	send(t, c, "at last")
	for { // those of blackHole come first
		b := accept(t, l)
		b.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		buf := make([]byte, 7)
		if n, _ := io.ReadFull(b, buf); string(buf[:n]) == "at last" {
			return
		}
	}
}

func TestCutWhileConnecting(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			l := blackHole(t, kind)
			f := serve(t, "tcp", &proxy.Handler{Target: targetOf(l), ConnectTimeout: time.Minute}, netserver.Config{Shutdown: netserver.Shutdown{Grace: -1}})
			c := f.dial(t)
			time.Sleep(50 * time.Millisecond) // it may be connecting by now, or not yet: both must do
			begin := time.Now()
			if err := f.stop(); err != nil && !errors.Is(err, netserver.ErrCut) {
				t.Errorf("Serve: %v", err)
			}
			if d := time.Since(begin); d > 20*time.Second {
				t.Errorf("stopping took %v", d)
			}
			c.Close()
		})
	}
}

// A host name may have several addresses; the first that answers serves.
func TestSecondAddress(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0") // localhost may be ::1 first
	must(t, err)
	defer l.Close()
	target := fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	f := serve(t, "tcp", &proxy.Handler{Target: target}, netserver.Config{})
	c := f.dial(t)
	send(t, c, "x")
	want(t, accept(t, l), "x")
}

func TestRecordNamesTheBackend(t *testing.T) {
	f, c, b := pair(t, "tcp", "tcp", netserver.Config{})
	c.Close()
	b.Close()
	for _, a := range f.record(t).Attrs() {
		if a.Key == "backend" && a.Value.String() == b.LocalAddr().String() {
			return
		}
	}
	t.Error("the record does not name the backend")
}

func TestBadTargetAtServe(t *testing.T) {
	f := serve(t, "tcp", &proxy.Handler{}, netserver.Config{})
	wantEOF(t, f.dial(t))
	if r := f.record(t); r.Err == nil || !strings.Contains(r.Err.Error(), `proxy_to "": no target`) {
		t.Errorf("record: %v", r.Err)
	}
}

// A listener of the program's own, with crypto/tls in it, does as well.
func TestLibraryListener(t *testing.T) {
	backend := listen(t, "tcp")
	cert, err := tlsparams.SelfSigned(time.Now())
	must(t, err)
	l := tls.NewListener(listen(t, "tcp"), &tls.Config{Certificates: []tls.Certificate{*cert.TLS()}})
	s := &netserver.Server{Handler: &proxy.Handler{Target: targetOf(backend)}, Log: slog.New(slog.DiscardHandler)}
	f := serveOn(t, "tls", s, l)
	c := f.dial(t)
	send(t, c, "question")
	b := accept(t, backend)
	want(t, b, "question")
	must(t, c.CloseWrite())
	wantEOF(t, b)
	send(t, b, "answer")
	b.Close()
	want(t, c, "answer")
	wantEOF(t, c)
	if r := f.record(t); r.Err != nil {
		t.Errorf("record: %v", r.Err)
	}
}
