//go:build unix

package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/echo"
	"netserver/netservertest"
	"netserver/port"
)

// wantClients is how many clients are held at once.
const wantClients = 2000

// manyClients returns wantClients, or fewer where the limit of descriptors
// does not allow so many: the client's and the server's end may be in one
// process. (The runtime has raised the soft limit to the hard one.)
func manyClients(t *testing.T, endsHere int) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const others = 200
	n := wantClients
	if most := int(limit.Cur) - others; n*endsHere > most {
		n = max(most/endsHere, 10)
		t.Logf("with %d descriptors there are %d clients instead of %d", limit.Cur, n, wantClients)
	}
	return n
}

// The ports of a server with all five protocols.
type allPorts struct {
	tcp, ssl, udp        string // addresses
	unixPath, unixgramAt string
	dir                  string
}

// A holder is a client that stays.
type holder struct {
	net.Conn
	r *bufio.Reader
}

// talk has one line echoed.
func (h *holder) talk(line string) error {
	if _, err := fmt.Fprintf(h, "%s\n", line); err != nil {
		return err
	}
	got, err := h.r.ReadString('\n')
	if err == nil && !strings.HasSuffix(got, `: You said "`+line+"\"\r\n") {
		err = fmt.Errorf("sent %q, got %q", line, got)
	}
	return err
}

// connect makes the i-th client: over TCP, TLS and a UNIX socket in turn.
func (p *allPorts) connect(i int) (*holder, error) {
	dialer := net.Dialer{Timeout: patience}
	var c net.Conn
	var err error
	switch i % 3 {
	case 0:
		c, err = dialer.Dial("tcp", p.tcp)
	case 1:
		c, err = tls.DialWithDialer(&dialer, "tcp", p.ssl, &tls.Config{InsecureSkipVerify: true})
	case 2:
		c, err = dialer.Dial("unix", p.unixPath)
	}
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(5 * patience))
	h := &holder{c, bufio.NewReaderSize(c, 128)}
	_, err = h.r.ReadString('\n') // the greeting
	return h, err
}

// hold connects n clients. Those who are there talk meanwhile: the echo ends who
// is silent for half a minute.
func (p *allPorts) hold(t *testing.T, n int) []*holder {
	t.Helper()
	clients := make([]*holder, n)
	const talkers = 16 // one alone is too slow for all of them on a busy machine
	here, talked := make(chan *holder, n), make(chan error, talkers)
	for range talkers {
		go func() { talked <- keepTalking(here) }()
	}
	func() {
		defer close(here)
		each(t, n, func(i int) (err error) {
			if clients[i], err = p.connect(i); err == nil {
				here <- clients[i]
			}
			return err
		})
	}()
	for range talkers {
		if err := <-talked; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		for _, c := range clients {
			if c != nil {
				c.Close()
			}
		}
	})
	return clients
}

// keepTalking has each client that comes talk now and then, until no more come.
func keepTalking(come <-chan *holder) error {
	type heard struct {
		h  *holder
		at time.Time
	}
	var list []heard
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case h, more := <-come:
			if !more {
				return nil
			}
			list = append(list, heard{h, time.Now()})
		case <-tick.C:
			for len(list) > 0 && time.Since(list[0].at) > 5*time.Second {
				if err := list[0].h.talk("still here"); err != nil {
					return err
				}
				list = append(list[1:], heard{list[0].h, time.Now()})
			}
		}
	}
}

// each calls f for 0 to n-1, several at a time.
func each(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var failed atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil && failed.Add(1) <= 5 {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// A datagrammer sends datagrams and checks the answers until it is stopped.
type datagrammer struct {
	stop   chan struct{}
	done   chan error
	rounds atomic.Int64
}

func (p *allPorts) datagrams(t *testing.T, network string) *datagrammer {
	t.Helper()
	var c net.Conn
	var err error
	if network == "udp" {
		c, err = net.Dial("udp", p.udp)
	} else {
		c, err = net.DialUnix("unixgram", &net.UnixAddr{Name: filepath.Join(p.dir, "own"), Net: "unixgram"},
			&net.UnixAddr{Name: p.unixgramAt, Net: "unixgram"})
		if err == nil { // root's server serves as nobody
			err = os.Chmod(filepath.Join(p.dir, "own"), 0o777)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &datagrammer{stop: make(chan struct{}), done: make(chan error, 1)}
	go d.run(c)
	return d
}

func (d *datagrammer) run(c net.Conn) {
	defer c.Close()
	b := make([]byte, 1000)
	for {
		select {
		case <-d.stop:
			d.done <- nil
			return
		default:
		}
		text := fmt.Sprintf("datagram %d", d.rounds.Load())
		c.SetDeadline(time.Now().Add(patience))
		_, err := io.WriteString(c, text)
		n := 0
		if err == nil {
			n, err = c.Read(b)
		}
		if want := `You said "` + text + `"`; err == nil && string(b[:n]) != want {
			err = fmt.Errorf("got %q, want %q", b[:n], want)
		}
		if err != nil {
			d.done <- err
			return
		}
		d.rounds.Add(1)
	}
}

// end stops the traffic and says how it went.
func (d *datagrammer) end(t *testing.T, what string) {
	t.Helper()
	close(d.stop)
	if err := <-d.done; err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if n := d.rounds.Load(); n < 10 {
		t.Errorf("%s: only %d datagrams were answered meanwhile", what, n)
	}
}

// exercise holds n clients over the stream protocols while datagrams go to and
// fro, lets every client talk with all of them there, and returns them.
func (p *allPorts) exercise(t *testing.T, n int) []*holder {
	t.Helper()
	udp, unixgram := p.datagrams(t, "udp"), p.datagrams(t, "unixgram")
	clients := p.hold(t, n)
	for round := range 2 {
		each(t, n, func(i int) error { return clients[i].talk(fmt.Sprintf("round %d of client %d", round, i)) })
	}
	udp.end(t, "udp")
	unixgram.end(t, "unixgram")
	return clients
}

// 2,000 clients at once in the command; TERM then leaves nothing behind.
func TestTwoThousandClients(t *testing.T) {
	n := manyClients(t, 1)
	dir := openDir(t)
	p := &allPorts{dir: dir, unixPath: filepath.Join(dir, "s"), unixgramAt: filepath.Join(dir, "d")}
	s := start(t, "--host", "127.0.0.1", "--port", "0/tcp", "--port", "0/ssl", "--port", "0/udp",
		"--port", p.unixPath+"|unix", "--port", p.unixgramAt+"|unixdgram")
	p.tcp, p.ssl, p.udp = s.addr(0), s.addr(1), s.addr(2)
	s.awaitUnix(p.unixgramAt)
	clients := p.exercise(t, n)
	s.stop()
	each(t, n, func(i int) error {
		if _, err := clients[i].r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("still connected after the server's end: %v", err)
		}
		return nil
	})
	s.awaitLog(fmt.Sprintf(`cut: the server stopped \(clients: %d\)`, n))
	for _, path := range []string{p.unixPath, p.unixgramAt} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was left behind", path)
		}
	}
}

// The same within this process, where goroutines and descriptors are counted
// before and after.
func TestTwoThousandClientsLeaveNothing(t *testing.T) {
	n := manyClients(t, 2)
	netservertest.CheckLeaks(t)
	dir := t.TempDir()
	p := &allPorts{dir: dir, unixPath: filepath.Join(dir, "s"), unixgramAt: filepath.Join(dir, "d")}
	s := &netserver.Server{Handler: &echo.Handler{Timeout: 10 * time.Minute}, Log: slog.New(slog.DiscardHandler)}
	var closed atomic.Int64
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) {
		if !errors.Is(r.Err, netserver.ErrCut) && r.Port.Kind() != port.UDP && r.Port.Kind() != port.UnixDgram {
			t.Errorf("client %d ended by itself: %v", r.ID, r.Err)
		}
		closed.Add(1)
	}
	for _, proto := range []string{"tcp", "ssl", "udp"} {
		s.Config.Ports = append(s.Config.Ports, port.Spec{Host: "127.0.0.1", Port: "0", Proto: proto, IPv: "4"})
	}
	s.Config.Ports = append(s.Config.Ports, port.Spec{Port: p.unixPath, Proto: "unix", IPv: "*"},
		port.Spec{Port: p.unixgramAt, Proto: "unixdgram", IPv: "*"})
	ls, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.tcp, p.ssl, p.udp = ls[0].Addr().String(), ls[1].Addr().String(), ls[2].Addr().String()
	s.Config.Shutdown.Grace = -1
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ls...) }()
	p.exercise(t, n)
	cancel()
	if err := <-served; !errors.Is(err, netserver.ErrCut) {
		t.Errorf("Serve returned %v", err)
	}
	if got := closed.Load(); got < int64(n) {
		t.Errorf("%d records of at least %d clients", got, n)
	}
	for _, path := range []string{p.unixPath, p.unixgramAt} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was left behind", path)
		}
	}
}
