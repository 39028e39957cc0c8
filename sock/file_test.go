//go:build unix

package sock

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/port"
)

// networks runs f for each network with a listener of it.
func networks(t *testing.T, f func(t *testing.T, network string, l net.Listener)) {
	for _, network := range []string{"tcp", "udp", "unix", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			s := port.Spec{Host: "*", Port: "0", Proto: network, IPv: "4"}
			if isUnix(network) {
				s = unixSpec(filepath.Join(t.TempDir(), "s"))
			}
			f(t, network, open(t, network, s, Options{}))
		})
	}
}

// dialListener connects to l with a return address.
func dialListener(t *testing.T, network string, l net.Listener) net.Conn {
	t.Helper()
	switch network {
	case "unixgram":
		return dialUnixgram(t, portOf(l), filepath.Join(t.TempDir(), "c"))
	case "unix":
		return dial(t, network, portOf(l))
	}
	return dial(t, network, "127.0.0.1:"+portOf(l))
}

func passOn(t *testing.T, l net.Listener) *os.File {
	t.Helper()
	f, err := File(l)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFileAndBack(t *testing.T) {
	networks(t, func(t *testing.T, network string, l net.Listener) {
		f := passOn(t, l)
		again, err := FromFile(f, network, l.(interface{ Asked() port.Spec }).Asked(), Options{})
		must(t, err)
		must(t, f.Close())
		if portOf(again) != portOf(l) || again.Addr().String() != l.Addr().String() {
			t.Errorf("port %s at %v, was %s at %v", portOf(again), again.Addr(), portOf(l), l.Addr())
		}
		if isUnix(network) {
			l.(unlinker).SetUnlinkOnClose(false)
		}
		must(t, l.Close())

		client := dialListener(t, network, again)
		send(t, client, "x")
		c := accept(t, again)
		if b := make([]byte, 1); readOne(c, b) != nil || b[0] != 'x' {
			t.Errorf("got %q", b)
		}
		send(t, c, "y")
		if got := receive(t, client); got != "y" {
			t.Errorf("got %q", got)
		}
		must(t, again.Close())
		if isUnix(network) && !exists(portOf(l)) {
			t.Error("the file of an inherited socket was removed without being told")
		}
	})
}

func TestFromFileUnlinksWhenTold(t *testing.T) {
	for _, network := range []string{"unix", "unixgram"} {
		path := filepath.Join(t.TempDir(), "s")
		l := open(t, network, unixSpec(path), Options{})
		again, err := FromFile(passOn(t, l), network, unixSpec(path), Options{})
		must(t, err)
		l.(unlinker).SetUnlinkOnClose(false)
		again.(unlinker).SetUnlinkOnClose(true)
		must(t, l.Close())
		if !exists(path) {
			t.Errorf("%s: removed by the one that gave it away", network)
		}
		must(t, again.Close())
		if exists(path) {
			t.Errorf("%s: not removed", network)
		}
	}
}

// Taking the number of the descriptor, as os/exec does, must not make the
// listener itself blocking: the two share that flag.
func TestFileLeavesListenerNonblocking(t *testing.T) {
	networks(t, func(t *testing.T, network string, l net.Listener) {
		fd := passOn(t, l).Fd()
		if isPolled(t, fd) {
			t.Error("the copy is in the poller")
		}
		must(t, onSocket(l.(syscall.Conn), func(fd uintptr) error {
			flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
			if flags&unix.O_NONBLOCK == 0 {
				t.Error("the listener became blocking")
			}
			return err
		}))
	})
}

// isPolled tells whether fd is in an epoll set of this process; it is false
// where that is not known.
func isPolled(t *testing.T, fd uintptr) bool {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	must(t, err)
	for _, info := range infos {
		text, _ := os.ReadFile(info) // may be gone
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "tfd:" && f[1] == fmt.Sprint(fd) {
				return true
			}
		}
	}
	return false
}

func TestFromFileRefuses(t *testing.T) {
	networks(t, func(t *testing.T, network string, l net.Listener) {
		f := passOn(t, l)
		for _, other := range []string{"tcp", "udp", "unix", "unixgram", "sctp"} {
			if other == network {
				continue
			}
			if got, err := FromFile(f, other, port.Spec{Host: "*", Port: "0", Proto: other, IPv: "4"}, Options{}); err == nil {
				got.Close()
				t.Errorf("taken for a %s socket", other)
			} else {
				wantError(t, err, "descriptor ")
			}
		}
		wrong := port.Spec{Host: "*", Port: "1", Proto: network, IPv: "4"}
		if isUnix(network) {
			wrong.Port = "/elsewhere"
		}
		_, err := FromFile(f, network, wrong, Options{})
		wantError(t, err, "bound to ", portOf(l))
		_, err = FromFile(f, network, l.(specer).Spec(), Options{Backlog: -1})
		wantError(t, err, "listen: -1 is below 0")
	})
}

func TestFromFileRefusesWhatDoesNotListen(t *testing.T) {
	l := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{})
	f, err := dial(t, "tcp", l.Addr().String()).(*net.TCPConn).File()
	must(t, err)
	defer f.Close()
	accept(t, l)
	_, err = FromFile(f, "tcp", spec("*", "0", "4"), Options{})
	wantError(t, err, "the socket does not listen")

	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	_, err = FromFile(r, "tcp", spec("*", "0", "4"), Options{})
	wantError(t, err, "not a tcp listener")
}

func TestFileOfForeignListener(t *testing.T) {
	l := Once(nopConn{})
	_, err := File(l)
	wantError(t, err, "has no descriptor to pass on")
}

type nopConn struct{ net.Conn }

func (nopConn) LocalAddr() net.Addr { return nil }

func TestInheritedKeepAlive(t *testing.T) {
	for _, tc := range []struct {
		period time.Duration
		on     bool
	}{{0, true}, {time.Minute, true}, {-1, false}} {
		o := Options{KeepAlive: tc.period}
		l := open(t, "tcp", spec("127.0.0.1", "0", "4"), o)
		again, err := FromFile(passOn(t, l), "tcp", spec("127.0.0.1", "0", "4"), o)
		must(t, err)
		defer again.Close()
		dial(t, "tcp", l.Addr().String())
		must(t, onSocket(accept(t, again).(*net.TCPConn), func(fd uintptr) error {
			v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			if (v != 0) != tc.on {
				t.Errorf("%v: SO_KEEPALIVE is %d", tc.period, v)
			}
			return err
		}))
	}
}

// A client that comes while no process accepts is served by the next one.
func TestHandOverToAnotherProcess(t *testing.T) {
	networks(t, func(t *testing.T, network string, l net.Listener) {
		f := passOn(t, l)
		if isUnix(network) {
			l.(unlinker).SetUnlinkOnClose(false)
		}
		must(t, l.Close())
		client := dialListener(t, network, l)
		send(t, client, "x")

		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childInherit+"="+network+","+portOf(l))
		cmd.ExtraFiles = []*os.File{f}
		cmd.Stderr = os.Stderr
		must(t, cmd.Start())
		if got := receive(t, client); got != "x" {
			t.Errorf("got %q", got)
		}
		must(t, cmd.Wait())
		if isUnix(network) && exists(portOf(l)) {
			t.Error("the process that was told to did not remove the file")
		}
	})
}
