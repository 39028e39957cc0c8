package foreign

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/internal/childproc"
)

// server runs Serve at one end of a link and returns the other, and what Serve
// returns.
func server(t *testing.T) (*childproc.Link, <-chan error) {
	t.Helper()
	if why := Why(); why != nil {
		t.Skip(why)
	}
	mine, file, err := childproc.NewLink()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := childproc.LinkOf(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(mine); mine.Close() }()
	t.Cleanup(func() { theirs.Close(); mine.Close() })
	return theirs, ended
}

// connectFrom connects to a listener from an address and returns the one that it
// has come from.
func connectFrom(t *testing.T, s *Source, from netip.Addr) (netip.Addr, error) {
	t.Helper()
	host := "127.0.0.1"
	if from.Is6() {
		host = "::1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	d := net.Dialer{Timeout: 10 * time.Second, ControlContext: func(_ context.Context, _, _ string, rc syscall.RawConn) error { return s.Bind(from, rc) }}
	nc, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer nc.Close()
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	// Deadlines and waiting work as with any other connection.
	nc.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a read that waits:", err)
	}
	return got.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(), nil
}

func TestBind(t *testing.T) {
	link, _ := server(t)
	far := new(Source)
	far.Use(link)
	for name, s := range map[string]*Source{"itself": {}, "another process": far} {
		if why := s.Why(); why != nil {
			t.Error(name, why)
		}
		for _, text := range []string{"127.0.0.7", "::1"} {
			from := netip.MustParseAddr(text)
			if got, err := connectFrom(t, s, from); err != nil || got != from {
				t.Errorf("%s: from %v, %v; want %v", name, got, err, from)
			}
		}
		// A foreign address can be bound, whatever the routes are.
		if f, err := open(netip.MustParseAddr("192.0.2.7")); err != nil {
			t.Error(err)
		} else {
			f.Close()
		}
		for _, text := range []string{"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:192.0.2.1"} {
			if _, err := connectFrom(t, s, netip.MustParseAddr(text)); err == nil || !strings.Contains(err.Error(), "is not an address that a client has") {
				t.Errorf("%s: %s: %v", name, text, err)
			}
		}
	}
	// The system has no way to one of a link that it is not told.
	if _, err := far.ask(netip.MustParseAddr("fe80::1")); err == nil || !strings.Contains(err.Error(), "bind") {
		t.Error("fe80::1:", err)
	}
	if _, err := connectFrom(t, far, netip.MustParseAddr("127.0.0.7")); err != nil {
		t.Error("after refusals:", err)
	}
}

// Who sends anything but an address gets no more sockets, and cannot hand any
// file over.
func TestServeRefuses(t *testing.T) {
	for name, send := range map[string]func(*childproc.Link) error{
		"no address": func(l *childproc.Link) error { return l.Send([]byte("127.0.0.1:80")) },
		"too much":   func(l *childproc.Link) error { return l.Send(make([]byte, 4096)) },
		"a file":     func(l *childproc.Link) error { return l.Send([]byte{127, 0, 0, 1}, os.Stdin) },
	} {
		link, ended := server(t)
		if err := send(link); err != nil {
			t.Fatal(name, err)
		}
		if err := <-ended; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: served on, %v", name, err)
		}
		if _, files, err := link.Receive(maxMessage); err == nil {
			t.Errorf("%s: an answer with %d files", name, len(files))
		}
	}
	link, ended := server(t)
	link.Close()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Error("an end in order:", err)
	}
}

// Who asks without end and takes nothing is given up, with no more sockets on
// their way than a UNIX socket holds.
func TestServeNobodyReads(t *testing.T) {
	t.Parallel()
	link, ended := server(t)
	for link.Send([]byte{127, 0, 0, 1}) == nil {
		continue
	}
	if err := <-ended; err == nil {
		t.Error("served on")
	}
}

// Without descriptors left there is an error, which the other process is told of,
// and a socket once there are some.
func TestNoDescriptorsLeft(t *testing.T) {
	link, _ := server(t)
	s := new(Source)
	s.Use(link)
	if _, err := connectFrom(t, s, netip.MustParseAddr("127.0.0.7")); err != nil {
		t.Fatal(err) // and all that is opened once is there
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	f, err := s.ask(netip.MustParseAddr("127.0.0.7"))
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
	if err == nil || !strings.Contains(err.Error(), "too many open files") {
		t.Error(f, err)
	}
	if _, err := connectFrom(t, s, netip.MustParseAddr("127.0.0.7")); err != nil {
		t.Error("afterwards:", err)
	}
}

// FuzzServe sends whatever a compromised process may.
func FuzzServe(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte("127.0.0.1"))
	f.Add(make([]byte, 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		link, ended := server(t)
		if err := link.Send(b[:min(len(b), 100)]); err != nil {
			t.Skip(err)
		}
		_, files, err := link.Receive(maxMessage)
		if _, ok := netip.AddrFromSlice(b); ok != (err == nil) || len(files) > 1 {
			t.Errorf("%d bytes: %d files, %v", len(b), len(files), err)
		}
		for _, file := range files {
			file.Close()
		}
		link.Close()
		<-ended
	})
}
