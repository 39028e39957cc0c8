package echo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/echo"
	"netserver/port"
)

// serveDatagrams serves h on a udp or unixdgram port.
func serveDatagrams(t *testing.T, h *echo.Handler, proto string) (net.Addr, <-chan netserver.Record) {
	t.Helper()
	if proto == "udp" {
		return serveDatagramsAt(t, h, "127.0.0.1")
	}
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no UNIX datagrams")
	}
	return servePort(t, h, port.Spec{Host: "*", Port: filepath.Join(t.TempDir(), "s"), Proto: proto, IPv: "*"})
}

func serveDatagramsAt(t *testing.T, h *echo.Handler, host string) (net.Addr, <-chan netserver.Record) {
	t.Helper()
	return servePort(t, h, port.Spec{Host: host, Port: "0", Proto: "udp", IPv: "4"})
}

func servePort(t *testing.T, h *echo.Handler, p port.Spec) (net.Addr, <-chan netserver.Record) {
	t.Helper()
	s := new(netserver.Server)
	s.Config.Ports = []port.Spec{p}
	ls, err := s.Listen(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return ls[0].Addr(), serve(t, h, s, ls...)
}

// dialDatagrams returns a socket that can be answered.
func dialDatagrams(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	d := net.Dialer{}
	if a.Network() == "unixgram" {
		d.LocalAddr = &net.UnixAddr{Name: filepath.Join(t.TempDir(), "c"), Net: "unixgram"}
	}
	c, err := d.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends one datagram and returns the one that answers it.
func ask(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

var datagramTexts = []string{"hello", "hello\r\n", "", "quit", "exit", "get x", "\x00\xff\xfe", "\"", strings.Repeat("x", 4000)}

func TestDatagram(t *testing.T) {
	for _, proto := range []string{"udp", "unixdgram"} {
		t.Run(proto, func(t *testing.T) {
			a, _ := serveDatagrams(t, &echo.Handler{}, proto)
			c := dialDatagrams(t, a)
			for _, text := range datagramTexts {
				if got, want := ask(t, c, text), `You said "`+text+`"`; got != want {
					t.Errorf("to %q: %q", text, got)
				}
			}
			if got := ask(t, c, "please dump now"); !strings.HasPrefix(got, "$VAR1 = bless(") {
				t.Errorf("to dump: %q", got)
			}
		})
	}
}

func TestRawDatagram(t *testing.T) {
	for _, proto := range []string{"udp", "unixdgram"} {
		t.Run(proto, func(t *testing.T) {
			a, _ := serveDatagrams(t, &echo.Handler{Raw: true}, proto)
			c := dialDatagrams(t, a)
			for _, text := range append(datagramTexts, "dump") {
				if got := ask(t, c, text); got != text {
					t.Errorf("to %q: %q", text, got)
				}
			}
		})
	}
}

// Over the address of an interface this machine is a stranger to itself.
func TestDatagramControlIsForLocalClients(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil || n.IP.IsLoopback() {
			continue
		}
		for _, allow := range []bool{false, true} {
			server, _ := serveDatagramsAt(t, &echo.Handler{AllowControl: allow}, n.IP.String())
			got := ask(t, dialDatagrams(t, server), "dump")
			if want := `You said "dump"`; (got == want) == allow {
				t.Errorf("allowed %v: got %q", allow, got)
			}
		}
		return
	}
	t.Skip("no interface but loopback")
}

func TestNoEchoLoops(t *testing.T) {
	for _, port := range []int{7, 13, 17, 19, 37} {
		pc, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Skip(err) // not our port to take
		}
		defer pc.Close()
		for _, raw := range []bool{false, true} {
			server, recs := serveDatagrams(t, &echo.Handler{Raw: raw}, "udp")
			if _, err := pc.WriteTo([]byte("hello"), server); err != nil {
				t.Fatal(err)
			}
			if r := <-recs; !errors.Is(r.Err, echo.ErrLoop) || r.Out != 0 {
				t.Errorf("port %d, raw %v: record: out %d, %v", port, raw, r.Out, r.Err)
			}
		}
	}
}

func TestNoEchoToTheOwnPort(t *testing.T) {
	a, recs := serveDatagrams(t, &echo.Handler{Raw: true}, "udp")
	own := a.(*net.UDPAddr)
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: own.Port}, own)
	if err != nil {
		t.Skip(err) // only Linux has all of 127/8
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if r := <-recs; !errors.Is(r.Err, echo.ErrLoop) || r.Out != 0 {
		t.Errorf("record: out %d, %v", r.Out, r.Err)
	}
}
