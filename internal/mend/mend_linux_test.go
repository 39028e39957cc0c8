package mend

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/port"
	"netserver/sock"
)

// A socket that nobody has touched is let alone; what others did to it is found,
// and taken back where that can be.
func TestMend(t *testing.T) {
	type spoil struct {
		name   string
		do     func(fd int) error
		want   string
		broken bool // it has to be opened again
	}
	none := spoil{"nothing", func(int) error { return nil }, "", false}
	shut := func(fd int) error { unix.Shutdown(fd, unix.SHUT_RDWR); return nil }
	filter := func(fd int) error {
		no := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &no[0]})
	}
	locked := func(fd int) error {
		return errors.Join(filter(fd), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1))
	}
	backlog := func(fd int) error { return unix.Listen(fd, 0) }
	ttl := func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, 255) }
	connect := func(fd int) error {
		return unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
	}
	for _, tc := range []struct {
		network string
		spec    port.Spec
		list    []spoil
	}{
		{"tcp", spec("127.0.0.1", "0", "4"), []spoil{none, {"shut", shut, "it was shut down", false}, {"filter", filter, "a filter was attached", false},
			{"locked", locked, "a filter was attached", true}, {"backlog", backlog, "", false}, {"hops", ttl, "IP_MINTTL was set", false}}},
		{"udp", spec("127.0.0.1", "0", "4"), []spoil{none, {"shut", shut, "it was shut down", true}, {"connected", connect, "it was connected to one peer", true}, {"filter", filter, "a filter was attached", false}}},
		{"unix", port.Spec{Host: "*", Port: filepath.Join(t.TempDir(), "s"), Proto: port.Unix, IPv: "*"}, []spoil{none, {"shut", shut, "it was shut down", true}}},
	} {
		for _, sp := range tc.list {
			t.Run(tc.network+" "+sp.name, func(t *testing.T) {
				ls, err := sock.ListenAll(context.Background(), []sock.Request{{Network: tc.network, Spec: tc.spec}})
				must(t, err)
				l := ls[0]
				f, err := sock.File(l)
				must(t, err)
				defer f.Close()
				r := sock.Request{Network: tc.network, Spec: l.(interface{ Spec() port.Spec }).Spec()}
				must(t, l.Close())
				c, err := f.SyscallConn()
				must(t, err)
				c.Control(func(fd uintptr) { err = sp.do(int(fd)) })
				must(t, err)
				found, err := Socket(f, r)
				if found != sp.want || errors.Is(err, ErrSpoiled) != sp.broken || err != nil && !sp.broken {
					t.Errorf("found %q, %v", found, err)
				}
				if again, err := Socket(f, r); !sp.broken && (again != "" || err != nil) {
					t.Errorf("after that %q, %v", again, err)
				}
				if strings.HasPrefix(tc.network, "tcp") && !sp.broken {
					c, err := net.DialTimeout("tcp", "127.0.0.1:"+r.Spec.Port, 10*time.Second)
					must(t, err)
					c.Close()
				}
			})
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func spec(host, p, ipv string) port.Spec {
	return port.Spec{Host: host, Port: p, Proto: "tcp", IPv: ipv}
}
