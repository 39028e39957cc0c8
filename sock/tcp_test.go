package sock

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/port"
)

func TestTCPEcho(t *testing.T) {
	l := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{})
	client := dial(t, "tcp", l.Addr().String())
	server := accept(t, l)
	if _, ok := server.(*net.TCPConn); !ok {
		t.Errorf("accepted a %T: splice needs *net.TCPConn", server)
	}
	_, err := io.WriteString(client, "hello")
	must(t, err)
	buf := make([]byte, 5)
	_, err = io.ReadFull(server, buf)
	must(t, err)
	if string(buf) != "hello" {
		t.Errorf("got %q", buf)
	}
}

func TestSpecHasRealPort(t *testing.T) {
	l := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{}).(*StreamListener)
	if _, p, _ := net.SplitHostPort(l.Addr().String()); l.Spec().Port != p || p == "0" {
		t.Errorf("Spec has port %s, bound to %s", l.Spec().Port, p)
	}
	if l.Asked().Port != "0" || l.Spec().Host != "127.0.0.1" {
		t.Errorf("asked %+v, real %+v", l.Asked(), l.Spec())
	}
}

// reaches tells whether a client can connect to address.
func reaches(t *testing.T, l net.Listener, address string) bool {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return false
	}
	c.Close()
	accept(t, l).Close()
	return true
}

func TestFamilies(t *testing.T) {
	needIPv6(t)
	for _, tc := range []struct {
		name, host, ipv string
		v4, v6          bool
	}{
		{"DualStackStar", "*", "*", true, true},
		{"DualStackColons", "::", "*", true, true},
		{"DualStackZeroSpec", "", "", true, true},
		{"OnlyIPv6Star", "*", "6", false, true},
		{"OnlyIPv6Colons", "::", "6", false, true},
		{"OnlyIPv4Star", "*", "4", true, false},
		{"OnlyIPv4Zeros", "0.0.0.0", "*", true, false},
		{"AddressIPv4", "127.0.0.1", "4", true, false},
		{"AddressIPv4Any", "127.0.0.1", "*", true, false},
		{"AddressIPv6", "::1", "6", false, true},
		{"NameIPv4", "localhost", "4", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := open(t, "tcp", spec(tc.host, "0", tc.ipv), Options{})
			if got := reaches(t, l, "127.0.0.1:"+portOf(l)); got != tc.v4 {
				t.Errorf("IPv4 client served: %v", got)
			}
			if got := reaches(t, l, "[::1]:"+portOf(l)); got != tc.v6 {
				t.Errorf("IPv6 client served: %v", got)
			}
		})
	}
}

func TestFallsBackWithoutIPv6(t *testing.T) {
	for _, no := range []syscall.Errno{syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, syscall.EPROTONOSUPPORT} {
		var tried []string
		got, err := openAt(place{hosts: []string{""}, port: 7}, func(family, address string) (string, error) {
			tried = append(tried, family+address)
			if family == "4" {
				return "v4", nil
			}
			return "", os.NewSyscallError("socket", no)
		})
		if err != nil || got != "v4" || strings.Join(tried, " ") != ":7 4:7" {
			t.Errorf("%v: %q, %v after %q", no, got, err, tried)
		}
	}
	_, err := openAt(place{family: "6", hosts: []string{""}, port: 7}, func(family, _ string) (string, error) {
		if family == "4" {
			t.Error("IPv6 was asked for and IPv4 opened")
		}
		return "", syscall.EAFNOSUPPORT
	})
	if !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("got %v", err)
	}
}

func TestTriesEveryAddressOfAName(t *testing.T) {
	var tried []string
	got, err := openAt(place{family: "4", hosts: []string{"192.0.2.1", "127.0.0.1"}, port: 7}, func(_, address string) (string, error) {
		tried = append(tried, address)
		if len(tried) == 1 {
			return "", syscall.EADDRNOTAVAIL
		}
		return address, nil
	})
	if err != nil || got != "127.0.0.1:7" {
		t.Errorf("%q, %v after %q", got, err, tried)
	}
}

func TestBadAddresses(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec port.Spec
		want string
	}{
		{"IPv4AddressAsIPv6", spec("127.0.0.1", "0", "6"), "Cannot bind and listen to TCP port 0 on 127.0.0.1 [127.0.0.1 is not an IPv6 address]"},
		{"IPv6AddressAsIPv4", spec("::1", "0", "4"), "[::1 is not an IPv4 address]"},
		{"MappedAddress", spec("::ffff:127.0.0.1", "0", "6"), "write 127.0.0.1]"},
		{"PortTooHigh", spec("127.0.0.1", "99999", "4"), "port 99999 is above 65535"},
		{"PortSigned", spec("127.0.0.1", "+80", "4"), `"+80" is not a port`},
		{"PortEmpty", spec("127.0.0.1", "", "4"), `"" is not a port`},
		{"NoSuchService", spec("127.0.0.1", "no-such-service", "4"), "unknown port"},
		{"BadFamily", spec("127.0.0.1", "0", "5"), "IPv5 is not an address family"},
		{"NotOurAddress", spec("192.0.2.77", "0", "4"), "no network interface of this machine has this address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, network := range []string{"tcp", "udp"} {
				_, err := Listen(t.Context(), network, tc.spec, Options{})
				var le *ListenError
				if !errors.As(err, &le) || le.Network != network || le.Spec.Port != tc.spec.Port {
					t.Fatalf("not a ListenError of this port: %#v", err)
				}
				if network == "tcp" {
					wantError(t, err, tc.want)
				}
			}
		})
	}
}

func TestUnknownNetworkAndOptions(t *testing.T) {
	_, err := Listen(t.Context(), "sctp", spec("127.0.0.1", "0", "4"), Options{})
	wantError(t, err, `unknown network "sctp"`)
	_, err = Listen(t.Context(), "tcp", spec("127.0.0.1", "0", "4"),
		Options{Backlog: -1, UDPRecvLen: 70000, UnixMode: 0o1777, KeepAlive: 100 * time.Hour})
	wantError(t, err, "listen:", "udp_recv_len:", "unix_mode:", "tcp_keepalive:")
}

func TestServiceName(t *testing.T) {
	n, err := lookupPort(t.Context(), "tcp", "https")
	if err != nil || n != 443 {
		t.Errorf("https: %d, %v", n, err)
	}
	n, err = lookupPort(t.Context(), "udp", "00053")
	if err != nil || n != 53 {
		t.Errorf("00053: %d, %v", n, err)
	}
}

func TestPortInUseByAnotherProcess(t *testing.T) {
	for network, begins := range map[string]string{
		"tcp": "Cannot bind and listen to SSL port ",
		"udp": "Cannot bind to SSL port ",
	} {
		p := startChild(t, network, "0")
		s := spec("127.0.0.1", p, "4")
		s.Proto = "ssl"
		_, err := Listen(t.Context(), network, s, Options{})
		wantError(t, err, begins+p+" on 127.0.0.1 [address already in use]: another socket has this port")
		if !errors.Is(err, errInUse) {
			t.Errorf("%s: does not unwrap to the system's error: %v", network, err)
		}
	}
}

func TestErrorLines(t *testing.T) {
	for _, tc := range []struct {
		err  ListenError
		want string
	}{
		{ListenError{"tcp", spec("*", "443", "*"), os.NewSyscallError("bind", syscall.EACCES)},
			"Cannot bind and listen to TCP port 443 on * [permission denied]: ports below 1024 need root" + orCapability},
		{ListenError{"tcp", spec("::", "https", "*"), syscall.EACCES},
			"Cannot bind and listen to TCP port https on * [permission denied]: ports below 1024 need root" + orCapability},
		{ListenError{"tcp", spec("::", "8443", "6"), syscall.EACCES},
			"Cannot bind and listen to TCP port 8443 on :: [permission denied]: a security policy of the system forbids it"},
		{ListenError{"udp", port.Spec{Host: "*", Port: "53", IPv: "4"}, syscall.EMFILE},
			"Cannot bind to UDP port 53 on * [" + syscall.EMFILE.Error() + "]: too few file descriptors: raise ulimit -n"},
		{ListenError{"unix", port.Spec{Port: "/no/x"}, syscall.ENOENT},
			"Cannot bind and listen to UNIX socket at file /no/x [" + syscall.ENOENT.Error() + "]: the directory /no does not exist: create it first"},
		{ListenError{"unixgram", port.Spec{Port: "x"}, errors.New("a\nb")},
			"Cannot bind to UNIXDGRAM socket at file x [a; b]"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestCloseInterruptsAccept(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		l := open(t, network, spec("127.0.0.1", "0", "4"), Options{})
		errs := acceptInBackground(l)
		must(t, l.Close())
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Accept gave %v", network, err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Accept after Close gave %v", network, err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: second Close gave %v", network, err)
		}
	}
}

func acceptInBackground(l net.Listener) <-chan error {
	errs := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		errs <- err
	}()
	return errs
}

func TestDeadlineInterruptsAccept(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		l := open(t, network, spec("127.0.0.1", "0", "4"), Options{})
		d := l.(interface{ SetDeadline(time.Time) error })
		errs := acceptInBackground(l)
		must(t, d.SetDeadline(time.Unix(1, 0)))
		err := <-errs
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%s: Accept gave %v", network, err)
		}
		must(t, d.SetDeadline(time.Time{}))
		dialed := dial(t, network, l.Addr().String())
		_, err = dialed.Write([]byte("x"))
		must(t, err)
		accept(t, l)
	}
}

// freePort returns a port that nobody uses, and that no system gives to port 0 or
// to a client, nor netservertest.FreePort, which imports this package, to a test.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		p := strconv.Itoa(20000 + rand.IntN(1000))
		if l, err := Listen(t.Context(), "tcp", spec("127.0.0.1", p, "4"), Options{}); err == nil {
			must(t, l.Close())
			return p
		}
	}
	t.Fatal("no port is free")
	return ""
}

func TestListenAllOrNone(t *testing.T) {
	taken := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{})
	free := freePort(t)
	_, err := ListenAll(context.Background(), []Request{
		{Network: "tcp", Spec: spec("127.0.0.1", free, "4")},
		{Network: "tcp", Spec: spec("127.0.0.1", portOf(taken), "4")},
		{Network: "udp", Spec: spec("127.0.0.1", "0", "6")},
	})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "port "+portOf(taken)) || !strings.Contains(lines[1], "not an IPv6 address") {
		t.Errorf("want a line for each failure, got %q", lines)
	}
	open(t, "tcp", spec("127.0.0.1", free, "4"), Options{}) // was closed again
}

func TestListenAllSharesPortZero(t *testing.T) {
	needIPv6(t)
	ls, err := ListenAll(t.Context(), []Request{
		{Network: "tcp", Spec: spec("::1", "0", "6")},
		{Network: "tcp", Spec: spec("127.0.0.1", "0", "4")},
		{Network: "tcp", Spec: spec("127.0.0.1", "0", "4")}, // another specification
		{Network: "udp", Spec: spec("127.0.0.1", "0", "4")},
		{Network: "tcp", Spec: spec("*", "0", "*")},
		{Network: "tcp", Spec: spec("127.0.0.1", "0", "4")},
	})
	must(t, err)
	defer CloseAll(ls)
	if portOf(ls[0]) != portOf(ls[1]) {
		t.Errorf("rows of one specification have ports %s and %s", portOf(ls[0]), portOf(ls[1]))
	}
	if portOf(ls[1]) == portOf(ls[2]) || portOf(ls[4]) == portOf(ls[5]) {
		t.Error("two specifications share a port")
	}
	if asked := ls[1].(*StreamListener).Asked().Port; asked != "0" {
		t.Errorf("asked for port %s", asked)
	}
}

func TestSharedPortTriesAgain(t *testing.T) {
	// The second address refuses, always: what matters is that it is tried
	// again, ends, and leaves nothing open.
	rs := []Request{
		{Network: "tcp", Spec: spec("127.0.0.1", "0", "4")},
		{Network: "tcp", Spec: spec("0.0.0.0", "0", "4")},
	}
	_, err := listenSharing(t.Context(), rs)
	wantError(t, err, "on 0.0.0.0 [address already in use]")
}

func TestReusePort(t *testing.T) {
	if (Options{ReusePort: true}).unsupported() != nil {
		t.Skip("not on this system")
	}
	for _, network := range []string{"tcp", "udp"} {
		a := open(t, network, spec("127.0.0.1", "0", "4"), Options{ReusePort: true})
		open(t, network, spec("127.0.0.1", portOf(a), "4"), Options{ReusePort: true})
		if _, err := Listen(t.Context(), network, spec("127.0.0.1", portOf(a), "4"), Options{}); !errors.Is(err, errInUse) {
			t.Errorf("%s: without ReusePort: %v", network, err)
		}
	}
}
